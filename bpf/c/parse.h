/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Frame -> struct pkt: who talks to whom, and may this packet open a flow.
 * Headers are checked against the length that the IP header states, and that
 * length against the frame, so padding is never read as payload. Nothing here
 * knows about flows or policy.
 */
#ifndef BAILEY_PARSE_H
#define BAILEY_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "maps.h"

#define ETH_P_QINQ_OLD 0x9100
#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define SCTP_HEADER 12
#define ND_HOP_LIMIT 255
#define V4_MAPPED_PREFIX_BE bpf_htonl(0xffff)

#define ICMPV4_ECHO_REPLY 0
#define ICMPV4_UNREACHABLE 3
#define ICMPV4_SOURCE_QUENCH 4
#define ICMPV4_REDIRECT 5
#define ICMPV4_ECHO_REQUEST 8
#define ICMPV4_TIME_EXCEEDED 11
#define ICMPV4_PARAMETER_PROBLEM 12
#define ICMPV6_ERROR_LAST 127
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129
#define ND_FIRST 133 /* router solicitation */
#define ND_LAST 137  /* redirect */

/* What ICMP and ICMPv6 have in common. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id_be;
	__be16 sequence_be;
};

/* A layer-4 header as the IP header describes it. */
struct l4 {
	void *data;
	void *data_end;
	__u32 len;       /* bytes, from the IP header */
	__u32 hop_limit; /* IPv6 */
	bool joined;     /* offload left several segments in one frame */
};

static __always_inline enum step parse_tcp(struct pkt *pkt, struct l4 *l4)
{
	struct tcphdr *tcp = l4->data;
	__u32 header;

	if (l4->len < sizeof(*tcp) || (void *)(tcp + 1) > l4->data_end)
		return drop(pkt, REASON_DROP_L4_TRUNCATED);
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || header > l4->len)
		return drop(pkt, REASON_DROP_L4_HEADER);
	pkt->source_port = bpf_ntohs(tcp->source);
	pkt->destination_port = bpf_ntohs(tcp->dest);
	pkt->tcp_flags = ((__u8 *)tcp)[13];
	pkt->opens = (pkt->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) ==
		     TCP_SYN;
	return STEP_CONTINUE;
}

static __always_inline enum step parse_udp(struct pkt *pkt, struct l4 *l4)
{
	struct udphdr *udp = l4->data;
	__u32 len;

	if (l4->len < sizeof(*udp) || (void *)(udp + 1) > l4->data_end)
		return drop(pkt, REASON_DROP_L4_TRUNCATED);
	len = bpf_ntohs(udp->len);
	if (!l4->joined && (len < sizeof(*udp) || len > l4->len))
		return drop(pkt, REASON_DROP_L4_HEADER);
	pkt->source_port = bpf_ntohs(udp->source);
	pkt->destination_port = bpf_ntohs(udp->dest);
	pkt->opens = 1;
	return STEP_CONTINUE;
}

static __always_inline enum step parse_sctp(struct pkt *pkt, struct l4 *l4)
{
	__be16 *ports = l4->data;

	if (l4->len < SCTP_HEADER || l4->data + SCTP_HEADER > l4->data_end)
		return drop(pkt, REASON_DROP_L4_TRUNCATED);
	pkt->source_port = bpf_ntohs(ports[0]);
	pkt->destination_port = bpf_ntohs(ports[1]);
	pkt->opens = 1;
	return STEP_CONTINUE;
}

/* The identifier stands as the port of the side that asks, so that two hosts
 * that ping each other with one identifier are two flows. */
static __always_inline void echo_ports(struct pkt *pkt, __u16 id, bool request)
{
	pkt->source_port = request ? id : 0;
	pkt->destination_port = request ? 0 : id;
	pkt->opens = request;
}

static __always_inline enum step parse_icmpv4(struct pkt *pkt, struct l4 *l4)
{
	struct icmp_header *icmp = l4->data;

	if (l4->len < sizeof(*icmp) || (void *)(icmp + 1) > l4->data_end)
		return drop(pkt, REASON_DROP_L4_TRUNCATED);
	switch (icmp->type) {
	case ICMPV4_ECHO_REQUEST:
	case ICMPV4_ECHO_REPLY:
		echo_ports(pkt, bpf_ntohs(icmp->id_be),
			   icmp->type == ICMPV4_ECHO_REQUEST);
		return STEP_CONTINUE;
	case ICMPV4_UNREACHABLE:
	case ICMPV4_SOURCE_QUENCH:
	case ICMPV4_REDIRECT:
	case ICMPV4_TIME_EXCEEDED:
	case ICMPV4_PARAMETER_PROBLEM:
		return drop(pkt, REASON_DROP_ICMP_ERROR);
	}
	pkt->opens = 1;
	return STEP_CONTINUE;
}

static __always_inline enum step parse_icmpv6(struct pkt *pkt, struct l4 *l4)
{
	struct icmp_header *icmp = l4->data;

	if (l4->len < sizeof(*icmp) || (void *)(icmp + 1) > l4->data_end)
		return drop(pkt, REASON_DROP_L4_TRUNCATED);
	if (icmp->type <= ICMPV6_ERROR_LAST)
		return drop(pkt, REASON_DROP_ICMP_ERROR);
	if (icmp->type >= ND_FIRST && icmp->type <= ND_LAST) {
		/* RFC 4861: a hop limit below 255 came through a router. */
		if (l4->hop_limit != ND_HOP_LIMIT)
			return drop(pkt, REASON_DROP_ND_HOP_LIMIT);
		return pass(pkt, REASON_PASS_ND);
	}
	if (icmp->type == ICMPV6_ECHO_REQUEST ||
	    icmp->type == ICMPV6_ECHO_REPLY) {
		echo_ports(pkt, bpf_ntohs(icmp->id_be),
			   icmp->type == ICMPV6_ECHO_REQUEST);
		return STEP_CONTINUE;
	}
	pkt->opens = 1;
	return STEP_CONTINUE;
}

static __always_inline enum step parse_l4(struct pkt *pkt, struct l4 *l4)
{
	if (pkt->protocol == IPPROTO_TCP)
		return parse_tcp(pkt, l4);
	if (pkt->protocol == IPPROTO_UDP)
		return parse_udp(pkt, l4);
	if (pkt->protocol == IPPROTO_SCTP)
		return parse_sctp(pkt, l4);
	if (pkt->protocol == IPPROTO_ICMP && pkt->kind == KIND_IPV4)
		return parse_icmpv4(pkt, l4);
	if (pkt->protocol == IPPROTO_ICMPV6 && pkt->kind == KIND_IPV6)
		return parse_icmpv6(pkt, l4);
	pkt->opens = 1; /* any other protocol: one flow per pair of addresses */
	return STEP_CONTINUE;
}

/* The key is the same for both directions: the lower address, then the lower
 * port, comes first. Any total order does; this one needs no byte swaps. */
static __always_inline void key_set(struct pkt *pkt, const __u64 source[2],
				    const __u64 destination[2])
{
	__u16 sport = pkt->source_port, dport = pkt->destination_port;
	bool low = source[0] != destination[0]
			   ? source[0] < destination[0]
			   : source[1] != destination[1]
				     ? source[1] < destination[1]
				     : sport <= dport;

	pkt->from_low = low;
	pkt->key.addr_lo_be[0] = low ? source[0] : destination[0];
	pkt->key.addr_lo_be[1] = low ? source[1] : destination[1];
	pkt->key.addr_hi_be[0] = low ? destination[0] : source[0];
	pkt->key.addr_hi_be[1] = low ? destination[1] : source[1];
	pkt->key.tuple =
		(__u64)(low ? sport : dport) << TUPLE_PORT_LO_SHIFT |
		(__u64)(low ? dport : sport) << TUPLE_PORT_HI_SHIFT |
		(__u64)pkt->protocol << TUPLE_PROTOCOL_SHIFT |
		(__u64)pkt->kind << TUPLE_KIND_SHIFT;
}

static __always_inline __u64 address_v4_mapped(__be32 address)
{
	return (__u64)address << 32 | V4_MAPPED_PREFIX_BE;
}

static __always_inline enum step parse_ipv4(struct pkt *pkt, void *data,
					    void *data_end, __u32 len,
					    bool joined)
{
	struct iphdr *ip = data;
	struct l4 l4 = { .data_end = data_end, .joined = joined };
	__u64 source[2], destination[2];
	__u32 header, total;
	enum step step;

	if ((void *)(ip + 1) > data_end)
		return drop(pkt, REASON_DROP_IP_TRUNCATED);
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip))
		return drop(pkt, REASON_DROP_IP_HEADER);
	total = bpf_ntohs(ip->tot_len);
	if (joined && !total) /* BIG TCP */
		total = len;
	if (total < header || total > len)
		return drop(pkt, REASON_DROP_IP_LENGTH);
	if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET))
		return drop(pkt, REASON_DROP_FRAGMENT);

	pkt->kind = KIND_IPV4;
	pkt->protocol = ip->protocol;
	l4.data = data + header;
	l4.len = total - header;
	step = parse_l4(pkt, &l4);
	if (step != STEP_CONTINUE)
		return step;
	source[0] = 0;
	source[1] = address_v4_mapped(ip->saddr);
	destination[0] = 0;
	destination[1] = address_v4_mapped(ip->daddr);
	key_set(pkt, source, destination);
	return STEP_CONTINUE;
}

static __always_inline bool extension_header(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
	       next == IPPROTO_DSTOPTS || next == IPPROTO_AH ||
	       next == IPPROTO_MH || next == 139 /* HIP */ ||
	       next == 140 /* Shim6 */ || next == 253 || next == 254;
}

static __always_inline bool v4_mapped(const __u64 address[2])
{
	return !address[0] && (__u32)address[1] == V4_MAPPED_PREFIX_BE;
}

static __always_inline enum step parse_ipv6(struct pkt *pkt, void *data,
					    void *data_end, __u32 len,
					    bool joined)
{
	struct ipv6hdr *ip = data;
	struct l4 l4 = { .data_end = data_end, .joined = joined };
	__u64 source[2], destination[2];
	__u32 payload;
	enum step step;

	if ((void *)(ip + 1) > data_end || len < sizeof(*ip))
		return drop(pkt, REASON_DROP_IP_TRUNCATED);
	if (ip->version != 6)
		return drop(pkt, REASON_DROP_IP_HEADER);
	payload = bpf_ntohs(ip->payload_len);
	if (joined && !payload) /* BIG TCP */
		payload = len - sizeof(*ip);
	if (payload > len - sizeof(*ip))
		return drop(pkt, REASON_DROP_IP_LENGTH);
	__builtin_memcpy(source, &ip->saddr, sizeof(source));
	__builtin_memcpy(destination, &ip->daddr, sizeof(destination));
	if (v4_mapped(source) || v4_mapped(destination))
		return drop(pkt, REASON_DROP_MARTIAN);
	if (ip->nexthdr == IPPROTO_FRAGMENT)
		return drop(pkt, REASON_DROP_FRAGMENT);
	if (extension_header(ip->nexthdr))
		return drop(pkt, REASON_DROP_EXTENSION_HEADER);

	pkt->kind = KIND_IPV6;
	pkt->protocol = ip->nexthdr;
	l4.data = ip + 1;
	l4.len = payload;
	l4.hop_limit = ip->hop_limit;
	step = parse_l4(pkt, &l4);
	if (step != STEP_CONTINUE)
		return step;
	key_set(pkt, source, destination);
	return STEP_CONTINUE;
}

/* 01:80:c2:00:00:0x is never forwarded by bridges: STP, LACP, LLDP, 802.1X. */
static __always_inline bool link_local_control(const struct ethhdr *eth)
{
	const __u8 *d = eth->h_dest;

	return d[0] == 0x01 && d[1] == 0x80 && d[2] == 0xc2 && !d[3] && !d[4] &&
	       d[5] < 0x10;
}

#define LLC_SNAP 0xaaaa

/* IEEE 802.2 with a length for a type: CDP, IS-IS, spanning trees of old. Not
 * SNAP, which could carry IP. */
static __always_inline bool llc(const struct ethhdr *eth, const void *data_end)
{
	const __be16 *saps = (const __be16 *)(eth + 1);

	return bpf_ntohs(eth->h_proto) < ETH_P_802_3_MIN &&
	       (const void *)(saps + 1) <= data_end &&
	       *saps != bpf_htons(LLC_SNAP);
}

/* len: bytes of the frame, of which [data, data_end) can be read directly. */
static __always_inline enum step parse_frame(struct pkt *pkt, void *data,
					     void *data_end, __u32 len,
					     bool joined)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > data_end)
		return drop(pkt, REASON_DROP_ETH_TRUNCATED);
	switch (bpf_ntohs(eth->h_proto)) {
	case ETH_P_IP:
		return parse_ipv4(pkt, eth + 1, data_end, len - sizeof(*eth),
				  joined);
	case ETH_P_IPV6:
		return parse_ipv6(pkt, eth + 1, data_end, len - sizeof(*eth),
				  joined);
	case ETH_P_ARP:
		return pass(pkt, REASON_PASS_ARP);
	case ETH_P_8021Q:
	case ETH_P_8021AD:
	case ETH_P_QINQ_OLD:
		return drop(pkt, REASON_DROP_VLAN);
	}
	if (link_local_control(eth))
		return pass(pkt, REASON_PASS_LINK_LOCAL_CONTROL);
	if (BRIDGE && llc(eth, data_end))
		return pass(pkt, REASON_PASS_LLC);
	return drop(pkt, REASON_DROP_ETHERTYPE);
}

#endif
