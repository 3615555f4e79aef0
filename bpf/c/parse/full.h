/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The long way: every header that Bailey knows, read from a copy of the frame's
 * first HEADERS_MAX bytes. Each layer is a global function, verified once; they
 * hand pkt->at and pkt->end to each other, which say where in the frame the next
 * header begins and the packet ends. Padding is never read as payload.
 */
#ifndef BAILEY_PARSE_FULL_H
#define BAILEY_PARSE_FULL_H

#include "parse/frame.h"
#include "parse/ipv6_chain.h"
#include "parse/layer4.h"

#define LLC_SNAP 0xaa
#define LLC_IP 0x06
#define LLC_UI 0x03
#define SNAP_HEADER 8
#define IP_OPTIONS_MAX 40
#define IP_OPTION_END 0
#define IP_OPTION_NOP 1
#define IP_OPTION_LSRR 131
#define IP_OPTION_SSRR 137

/* 01:80:c2:00:00:0x is never forwarded by bridges: STP, LACP, LLDP, 802.1X. */
static __always_inline bool link_local_control(const struct ethhdr *eth)
{
	const __u8 *d = eth->h_dest;

	return d[0] == 0x01 && d[1] == 0x80 && d[2] == 0xc2 && !d[3] && !d[4] &&
	       d[5] < 0x10;
}

/*
 * LLC that a bridge hands on: spanning trees, IS-IS; and SNAP by which switches talk to
 * each other (PVST+, CDP, UDLD, VTP, DTP, EDP): to a group, under the number of a
 * vendor. Those of RFC 1042, of bridge tunnels and of bridged frames (802.1H, RFC 2684)
 * carry what policy is about; so does IP under its ethertype or SAP, whoever's.
 */
static __always_inline bool llc_passes(const struct pkt *pkt,
				       struct headers *headers)
{
	__u8 *llc = header_at(headers, pkt->at, 2, pkt->end);
	__u32 vendor, type;

	if (!llc || (llc[0] & 0xfe) == LLC_IP || (llc[1] & 0xfe) == LLC_IP)
		return false;
	if ((llc[0] & 0xfe) != LLC_SNAP)
		return true;
	llc = header_at(headers, pkt->at, SNAP_HEADER, pkt->end);
	if (!llc || llc[0] != LLC_SNAP || llc[1] != LLC_SNAP ||
	    llc[2] != LLC_UI || pkt->link != LINK_GROUP)
		return false;
	vendor = (__u32)llc[3] << 16 | (__u32)llc[4] << 8 | llc[5];
	type = (__u32)llc[6] << 8 | llc[7];
	return vendor && vendor != 0x0000f8 && vendor != 0x0080c2 &&
	       type != ETH_P_IP && type != ETH_P_IPV6 && type != ETH_P_ARP &&
	       !vlan_type(type);
}

static __always_inline bool ethertype_passes(__u32 type)
{
	__u32 i;

	for (i = 0; i < ETHERTYPES_MAX && i < ETHERTYPE_COUNT; i++)
		if (ETHERTYPES[i] == type)
			return true;
	return false;
}

/* Leaves the type in pkt->ethertype if it is IP. */
__noinline int parse_link(struct pkt *pkt, struct headers *headers)
{
	struct ethhdr *eth;
	__be16 *word;
	__u32 type, i;

	if (!pkt || !headers)
		return STEP_DONE;
	eth = header_at(headers, pkt->at, sizeof(*eth), pkt->end);
	if (!eth)
		return drop(pkt, REASON_DROP_ETH_TRUNCATED);
	type = bpf_ntohs(eth->h_proto);
	pkt->link = link_of(eth, pkt->mac);
	pkt->at += sizeof(*eth);
	for (i = 0; i <= VLAN_TAGS_MAX && vlan_type(type); i++) {
		if (pkt->tags == VLAN_TAGS_MAX)
			return drop(pkt, REASON_DROP_VLAN);
		word = header_at(headers, pkt->at, 4, pkt->end);
		if (!word)
			return drop(pkt, REASON_DROP_ETH_TRUNCATED);
		vlan_enter(pkt, bpf_ntohs(word[0]));
		type = bpf_ntohs(word[1]);
		pkt->at += 4;
	}
	pkt->ethertype = type;
	if (type == ETH_P_IP || type == ETH_P_IPV6)
		return STEP_CONTINUE;
	if (type == ETH_P_ARP)
		return pass(pkt, REASON_PASS_ARP);
	if (link_local_control(eth))
		return pass(pkt, REASON_PASS_LINK_LOCAL_CONTROL);
	if (pkt->tunnel)
		return drop(pkt, REASON_DROP_ETHERTYPE);
	if (type < ETH_P_802_3_MIN)
		return BRIDGE && llc_passes(pkt, headers) ?
			       pass(pkt, REASON_PASS_LLC) :
			       drop(pkt, REASON_DROP_ETHERTYPE);
	return ethertype_passes(type) ? pass(pkt, REASON_PASS_ETHERTYPE)
				      : drop(pkt, REASON_DROP_ETHERTYPE);
}

/* The options between pkt->at and end. Byte by byte: an index that came from the
 * packet would cost the verifier a state per value. */
__noinline int parse_ipv4_options(struct pkt *pkt, struct headers *headers,
				  __u32 end)
{
	__u32 i, next = 0, length_at = 0;

	if (!pkt || !headers)
		return STEP_DONE;
	for (i = 0; i < IP_OPTIONS_MAX; i++) {
		__u8 *byte;

		if (pkt->at + i >= end)
			break;
		if (i < next)
			continue;
		byte = header_at(headers, pkt->at + i, 1, end);
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
	/* The last option has its length, and does not reach beyond the header. */
	return length_at || next > end - pkt->at ?
		       drop(pkt, REASON_DROP_IP_HEADER) :
		       STEP_CONTINUE;
}

static __always_inline bool martian_v4(__be32 source, __be32 destination)
{
	__u32 s = source & 0xff, d = destination & 0xff;

	return (!s && source) || s == 127 || (s & 0xf0) == 224 ||
	       source == 0xffffffff || !d || d == 127 ||
	       source == destination;
}

/* RFC 1122, 3.3.6: a group's packet comes in a group's frame. Who sends it to one
 * station alone means the sockets there that are bound to any address. */
static __always_inline bool group_astray(const struct pkt *pkt)
{
	return (pkt->link == LINK_STATION || pkt->link == LINK_OTHER) &&
	       group_address(pkt->destination_be);
}

/* Offload has left segments joined whose length no header can state (BIG TCP). No frame
 * of that size comes from a wire. */
static __always_inline bool big_frame(const struct pkt *pkt, __u32 bytes)
{
	return pkt->joined || bytes > IP_PACKET_MAX;
}

/* What follows the inner packet is no padding there, but further segments that
 * would each be a tunnel's packet and that nobody has looked at. */
static __always_inline bool joined_tunnel(const struct pkt *pkt)
{
	return pkt->joined && pkt->tunnel;
}

__noinline int parse_ipv4(struct pkt *pkt, struct headers *headers)
{
	__u32 start, header, total, bytes;
	struct iphdr *ip;
	__u16 fragment;

	if (!pkt || !headers)
		return STEP_DONE;
	start = pkt->at;
	ip = header_at(headers, start, sizeof(*ip), pkt->end);
	if (!ip)
		return drop(pkt, REASON_DROP_IP_TRUNCATED);
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip))
		return drop(pkt, REASON_DROP_IP_HEADER);
	total = bpf_ntohs(ip->tot_len);
	if (!total && big_frame(pkt, pkt->end - start))
		total = pkt->end - start;
	if (total < header || total > pkt->end - start ||
	    (joined_tunnel(pkt) && total != pkt->end - start))
		return drop(pkt, REASON_DROP_IP_LENGTH);
	pkt->end = start + total;
	if (martian_v4(ip->saddr, ip->daddr))
		return drop(pkt, REASON_DROP_MARTIAN);
	pkt->destination_be[0] = 0;
	pkt->destination_be[1] = address_v4_mapped(ip->daddr);
	if (group_astray(pkt))
		return drop(pkt, REASON_DROP_GROUP_MAC);
	if (header > sizeof(*ip)) {
		pkt->at = start + sizeof(*ip);
		if (parse_ipv4_options(pkt, headers, start + header))
			return STEP_DONE;
	}
	pkt->at = start + header;
	pkt->kind = KIND_IPV4;
	pkt->protocol = ip->protocol;
	pkt->hop_limit = ip->ttl;
	pkt->source_be[0] = 0;
	pkt->source_be[1] = address_v4_mapped(ip->saddr);
	fragment = bpf_ntohs(ip->frag_off);
	bytes = total - header;
	if (fragment & (IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET)) {
		pkt->fragment_id = ip->id;
		if (fragment_set(pkt, (fragment & IP_FRAGMENT_OFFSET) * 8,
				 fragment & IP_MORE_FRAGMENTS, bytes,
				 IP_PACKET_MAX - header))
			return STEP_DONE;
		if (pkt->fragment == FRAGMENT_LATER)
			return STEP_CONTINUE;
	}
	return parse_layer4(pkt, headers);
}

static __always_inline bool martian_v6(const __u64 source[2],
				       const __u64 destination[2])
{
	const __u64 loopback = bpf_cpu_to_be64(1);

	return (source[0] & 0xff) == 0xff || v4_mapped(source[0], source[1]) ||
	       v4_mapped(destination[0], destination[1]) ||
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
	ip = header_at(headers, pkt->at, sizeof(*ip), pkt->end);
	if (!ip)
		return drop(pkt, REASON_DROP_IP_TRUNCATED);
	if (ip->version != 6)
		return drop(pkt, REASON_DROP_IP_HEADER);
	pkt->at += sizeof(*ip);
	payload = bpf_ntohs(ip->payload_len);
	if (!payload && big_frame(pkt, pkt->end - pkt->at))
		payload = pkt->end - pkt->at;
	if (payload > pkt->end - pkt->at ||
	    (joined_tunnel(pkt) && payload != pkt->end - pkt->at))
		return drop(pkt, REASON_DROP_IP_LENGTH);
	pkt->end = pkt->at + payload;
	pkt->kind = KIND_IPV6;
	pkt->hop_limit = ip->hop_limit;
	addresses_v6(pkt, ip);
	if (martian_v6(pkt->source_be, pkt->destination_be))
		return drop(pkt, REASON_DROP_MARTIAN);
	if (group_astray(pkt))
		return drop(pkt, REASON_DROP_GROUP_MAC);
	chain = ipv6_chain(pkt, headers, ip->nexthdr, false);
	if (chain < 0)
		return drop(pkt, -chain);
	pkt->protocol = chain;
	if (pkt->fragment == FRAGMENT_LATER)
		return STEP_CONTINUE;
	return parse_layer4(pkt, headers);
}

static __always_inline enum step parse_network(struct pkt *pkt,
					       struct headers *headers)
{
	int step = pkt->ethertype == ETH_P_IP ? parse_ipv4(pkt, headers)
					      : parse_ipv6(pkt, headers);

	if (step == STEP_CONTINUE && !pkt->related && source_unspecified(pkt))
		return drop(pkt, REASON_DROP_MARTIAN);
	return step;
}

/* pkt->end: bytes of the frame, which may be more than were copied. */
static __always_inline enum step parse_headers(struct pkt *pkt,
					       struct headers *headers)
{
	enum step step = parse_link(pkt, headers);

	if (step == STEP_CONTINUE)
		step = parse_network(pkt, headers);
	if (step != STEP_AGAIN)
		return step;
	packet_restart(pkt);
	pkt->tags = 0;
	pkt->zone = 0;
	pkt->link = LINK_NONE;
	step = STEP_CONTINUE;
	if (pkt->ethertype == ETH_P_TEB)
		step = parse_link(pkt, headers);
	if (step == STEP_CONTINUE)
		step = parse_network(pkt, headers);
	return step;
}

#endif
