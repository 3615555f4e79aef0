/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* IPv4 and IPv6 headers. */
#ifndef BAILEY_PARSE_IP_H
#define BAILEY_PARSE_IP_H

#include "parse/ipv6_chain.h"
#include "parse/layer4.h"

#define IP_OPTIONS_MAX 40
#define IP_OPTION_END 0
#define IP_OPTION_NOP 1
#define IP_OPTION_LSRR 131
#define IP_OPTION_SSRR 137

/* Checks the options between pkt->full.offset and end, byte by byte: an index
 * read from the packet would cost the verifier one state per value. */
__noinline int parse_ipv4_options(struct pkt *pkt, struct headers *headers,
				  __u32 end)
{
	__u32 i, next = 0, length_at = 0;

	if (!pkt || !headers)
		return STEP_DONE;
	for (i = 0; i < IP_OPTIONS_MAX; i++) {
		__u8 *byte;

		if (pkt->full.offset + i >= end)
			break;
		if (i < next)
			continue;
		byte = header_at(headers, pkt->full.offset + i, 1, end);
		if (!byte)
			return drop(pkt, REASON_DROP_IP_TRUNCATED);
		next = i + 1;
		if (length_at) {
			if (*byte < 2)
				return drop(pkt, REASON_DROP_IP_HEADER);
			next = length_at - 1 + *byte;
			length_at = 0;
		} else if (*byte == IP_OPTION_END) {
			return STEP_CONTINUE;
		} else if (*byte == IP_OPTION_LSRR || *byte == IP_OPTION_SSRR) {
			return drop(pkt, REASON_DROP_SOURCE_ROUTE);
		} else if (*byte != IP_OPTION_NOP) {
			length_at = i + 1;
		}
	}
	/* The last option is complete and ends within the header. */
	return length_at || next > end - pkt->full.offset ?
		       drop(pkt, REASON_DROP_IP_HEADER) :
		       STEP_CONTINUE;
}

static __always_inline bool is_martian_v4(__be32 source, __be32 destination)
{
	__u32 s = source & 0xff, d = destination & 0xff;

	return (!s && source) || s == 127 || (s & 0xf0) == 224 ||
	       source == 0xffffffff || !d || d == 127 || source == destination;
}

/* RFC 1122, 3.3.6: a packet to a group arrives in a group frame. In a unicast
 * frame it would reach sockets that are bound to any address. */
static __always_inline bool is_group_in_unicast_frame(const struct pkt *pkt)
{
	return (pkt->in.link_target == LINK_STATION ||
		pkt->in.link_target == LINK_OTHER) &&
	       is_group_address(pkt->addr.destination_be);
}

/* A GSO/GRO frame may be longer than an IP header can state (BIG TCP). No frame
 * of that size arrives from the wire. */
static __always_inline bool may_exceed_ip_length(const struct pkt *pkt,
						 __u32 bytes)
{
	return pkt->in.is_gso || bytes > IP_PACKET_MAX;
}

/* In a GSO frame the bytes after the inner packet are not padding. They are
 * further segments, each a tunnel packet of its own, which no parser has
 * checked. */
static __always_inline bool is_gso_tunnel(const struct pkt *pkt)
{
	return pkt->in.is_gso && pkt->full.tunnel;
}

__noinline int parse_ipv4(struct pkt *pkt, struct headers *headers)
{
	__u32 start, header, total, bytes;
	struct iphdr *ip;
	__u16 fragment;

	if (!pkt || !headers)
		return STEP_DONE;
	start = pkt->full.offset;
	ip = header_at(headers, start, sizeof(*ip), pkt->full.packet_end);
	if (!ip)
		return drop(pkt, REASON_DROP_IP_TRUNCATED);
	/* Lengths: header <= total <= frame. */
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip))
		return drop(pkt, REASON_DROP_IP_HEADER);
	total = bpf_ntohs(ip->tot_len);
	if (!total && may_exceed_ip_length(pkt, pkt->full.packet_end - start))
		total = pkt->full.packet_end - start;
	if (total < header || total > pkt->full.packet_end - start ||
	    (is_gso_tunnel(pkt) && total != pkt->full.packet_end - start))
		return drop(pkt, REASON_DROP_IP_LENGTH);
	pkt->full.packet_end = start + total;
	/* Addresses; also those of a packet that is dropped are recorded. */
	pkt->in.kind = KIND_IPV4;
	pkt->in.protocol = ip->protocol;
	pkt->addr.source_be[0] = 0;
	pkt->addr.source_be[1] = v4_mapped_address(ip->saddr);
	pkt->addr.destination_be[0] = 0;
	pkt->addr.destination_be[1] = v4_mapped_address(ip->daddr);
	if (is_martian_v4(ip->saddr, ip->daddr))
		return drop(pkt, REASON_DROP_MARTIAN);
	if (is_group_in_unicast_frame(pkt))
		return drop(pkt, REASON_DROP_GROUP_MAC);
	/* Options. */
	if (header > sizeof(*ip)) {
		pkt->full.offset = start + sizeof(*ip);
		if (parse_ipv4_options(pkt, headers, start + header))
			return STEP_DONE;
	}
	pkt->full.offset = start + header;
	pkt->full.hop_limit = ip->ttl;
	/* Fragments. */
	fragment = bpf_ntohs(ip->frag_off);
	bytes = total - header;
	if (fragment & (IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET)) {
		pkt->full.fragment_id = ip->id;
		if (fragment_note(pkt, (fragment & IP_FRAGMENT_OFFSET) * 8,
				  fragment & IP_MORE_FRAGMENTS, bytes,
				  IP_PACKET_MAX - header))
			return STEP_DONE;
		if (pkt->full.fragment == FRAGMENT_LATER)
			return STEP_CONTINUE;
	}
	return parse_layer4(pkt, headers);
}

static __always_inline bool is_martian_v6(const __u64 source[2],
					  const __u64 destination[2])
{
	const __u64 loopback = bpf_cpu_to_be64(1);

	return (source[0] & 0xff) == 0xff ||
	       is_v4_mapped(source[0], source[1]) ||
	       is_v4_mapped(destination[0], destination[1]) ||
	       (!source[0] && source[1] == loopback) ||
	       (source[0] == destination[0] && source[1] == destination[1]) ||
	       (!destination[0] &&
		(destination[1] == loopback || !destination[1]));
}

__noinline int parse_ipv6(struct pkt *pkt, struct headers *headers)
{
	struct ipv6hdr *ip;
	__u32 payload;
	int chain;

	if (!pkt || !headers)
		return STEP_DONE;
	ip = header_at(headers, pkt->full.offset, sizeof(*ip),
		       pkt->full.packet_end);
	if (!ip)
		return drop(pkt, REASON_DROP_IP_TRUNCATED);
	if (ip->version != 6)
		return drop(pkt, REASON_DROP_IP_HEADER);
	pkt->full.offset += sizeof(*ip);
	/* Lengths: payload <= frame. */
	payload = bpf_ntohs(ip->payload_len);
	if (!payload &&
	    may_exceed_ip_length(pkt, pkt->full.packet_end - pkt->full.offset))
		payload = pkt->full.packet_end - pkt->full.offset;
	if (payload > pkt->full.packet_end - pkt->full.offset ||
	    (is_gso_tunnel(pkt) &&
	     payload != pkt->full.packet_end - pkt->full.offset))
		return drop(pkt, REASON_DROP_IP_LENGTH);
	pkt->full.packet_end = pkt->full.offset + payload;
	pkt->in.kind = KIND_IPV6;
	pkt->full.hop_limit = ip->hop_limit;
	/* Addresses. */
	read_addresses_v6(&pkt->addr, ip);
	if (is_martian_v6(pkt->addr.source_be, pkt->addr.destination_be))
		return drop(pkt, REASON_DROP_MARTIAN);
	if (is_group_in_unicast_frame(pkt))
		return drop(pkt, REASON_DROP_GROUP_MAC);
	/* Extension headers. */
	chain = parse_ipv6_chain(pkt, headers, ip->nexthdr, false);
	if (chain < 0)
		return drop(pkt, -chain);
	pkt->in.protocol = chain;
	if (pkt->full.fragment == FRAGMENT_LATER)
		return STEP_CONTINUE;
	return parse_layer4(pkt, headers);
}

static __always_inline enum step parse_network(struct pkt *pkt,
					       struct headers *headers)
{
	int step = pkt->full.ethertype == ETH_P_IP ? parse_ipv4(pkt, headers) :
						     parse_ipv6(pkt, headers);

	if (step == STEP_CONTINUE && !pkt->full.icmp_error &&
	    is_source_unspecified(pkt))
		return drop(pkt, REASON_DROP_MARTIAN);
	return step;
}

#endif
