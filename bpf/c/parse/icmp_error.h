/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * ICMP errors. An error quotes the packet that caused it. The parser turns the
 * error into a reply to the quoted packet: addresses and ports are reversed and
 * pkt->full.icmp_error is set. The flow lookup then finds the flow of the
 * quoted packet.
 */
#ifndef BAILEY_PARSE_ICMP_ERROR_H
#define BAILEY_PARSE_ICMP_ERROR_H

#include "parse/ipv6_chain.h"

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

/* The common header of ICMP and ICMPv6. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id_be;
	__be16 sequence_be;
};

static __always_inline __u32 icmp_protocol(__u32 kind)
{
	return kind == KIND_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

static __always_inline bool is_icmp_error_type(__u32 kind, __u32 type)
{
	const __u32 errors = 1 << ICMPV4_UNREACHABLE |
			     1 << ICMPV4_SOURCE_QUENCH | 1 << ICMPV4_REDIRECT |
			     1 << ICMPV4_TIME_EXCEEDED |
			     1 << ICMPV4_PARAMETER_PROBLEM;

	if (kind == KIND_IPV6)
		return type <= ICMPV6_ERROR_LAST;
	return type < 32 && errors >> type & 1;
}

/* The identifier is the port of the requesting side. Two hosts that ping each
 * other with the same identifier therefore have two flows. */
static __always_inline bool read_icmp_echo(__u32 kind, __u32 type,
					   bool *request)
{
	*request = type == (kind == KIND_IPV4 ? ICMPV4_ECHO_REQUEST :
						ICMPV6_ECHO_REQUEST);
	return *request || type == (kind == KIND_IPV4 ? ICMPV4_ECHO_REPLY :
							ICMPV6_ECHO_REPLY);
}

/* Moves pkt->full.offset past the quoted IP header. Returns the protocol of the
 * quoted packet, or -1. */
static __always_inline int quoted_v4(struct pkt *pkt, struct headers *headers,
				     __u64 source[2], __u64 destination[2])
{
	struct iphdr *ip = header_at(headers, pkt->full.offset, sizeof(*ip),
				     pkt->full.packet_end);
	__u32 header;

	if (!ip || ip->version != 4 || ip->ihl < 5 ||
	    ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return -1;
	header = ip->ihl * 4;
	source[0] = 0;
	source[1] = v4_mapped_address(ip->saddr);
	destination[0] = 0;
	destination[1] = v4_mapped_address(ip->daddr);
	if (header > pkt->full.packet_end - pkt->full.offset)
		return -1;
	pkt->full.offset += header;
	return ip->protocol;
}

static __always_inline int quoted_v6(struct pkt *pkt, struct headers *headers,
				     __u64 source[2], __u64 destination[2])
{
	struct ipv6hdr *ip = header_at(headers, pkt->full.offset, sizeof(*ip),
				       pkt->full.packet_end);

	if (!ip || ip->version != 6)
		return -1;
	__builtin_memcpy(source, &ip->saddr, 16);
	__builtin_memcpy(destination, &ip->daddr, 16);
	if (is_v4_mapped(destination[0], destination[1]))
		return -1;
	pkt->full.offset += sizeof(*ip);
	return parse_ipv6_chain(pkt, headers, ip->nexthdr, true);
}

/* Ports of the quoted packet; false if they are not readable. */
static __always_inline bool quoted_ports(struct pkt *pkt,
					 struct headers *headers,
					 __u32 protocol, __u16 *source,
					 __u16 *destination)
{
	struct icmp_header *icmp;
	bool request;

	*source = 0;
	*destination = 0;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP &&
	    protocol != IPPROTO_SCTP && protocol != icmp_protocol(pkt->in.kind))
		return true;
	icmp = header_at(headers, pkt->full.offset, sizeof(*icmp),
			 pkt->full.packet_end);
	if (!icmp)
		return false;
	if (protocol != icmp_protocol(pkt->in.kind)) {
		*source = bpf_ntohs(((__be16 *)icmp)[0]);
		*destination = bpf_ntohs(((__be16 *)icmp)[1]);
		return true;
	}
	if (is_icmp_error_type(pkt->in.kind, icmp->type))
		return false;
	if (read_icmp_echo(pkt->in.kind, icmp->type, &request)) {
		*source = request ? bpf_ntohs(icmp->id_be) : 0;
		*destination = request ? 0 : bpf_ntohs(icmp->id_be);
	}
	return true;
}

__noinline int parse_icmp_error(struct pkt *pkt, struct headers *headers)
{
	__u64 source[2] = {}, destination[2] = {};
	__u16 sport, dport;
	int protocol;

	if (!pkt || !headers)
		return STEP_DONE;
	pkt->in.may_create_flow = 0;
	if (pkt->full.fragment)
		return drop(pkt, REASON_DROP_FRAGMENT);
	protocol = pkt->in.kind == KIND_IPV4 ?
			   quoted_v4(pkt, headers, source, destination) :
			   quoted_v6(pkt, headers, source, destination);
	if (protocol < 0 || source[0] != pkt->addr.destination_be[0] ||
	    source[1] != pkt->addr.destination_be[1] ||
	    !quoted_ports(pkt, headers, protocol, &sport, &dport))
		return drop(pkt, REASON_DROP_ICMP_ERROR_PAYLOAD);
	/* Check the real source before the quoted one replaces it. */
	if (is_source_unspecified(pkt))
		return drop(pkt, REASON_DROP_MARTIAN);
	pkt->full.icmp_error = pkt->addr.source_be[0] == destination[0] &&
					       pkt->addr.source_be[1] ==
						       destination[1] ?
				       ERROR_FROM_END :
				       ERROR_FROM_PATH;
	if (!pkt->full.tunnel) {
		pkt->addr.sender_be[0] = pkt->addr.source_be[0];
		pkt->addr.sender_be[1] = pkt->addr.source_be[1];
	}
	pkt->in.protocol = protocol;
	pkt->addr.source_be[0] = destination[0];
	pkt->addr.source_be[1] = destination[1];
	pkt->in.source_port = dport;
	pkt->in.destination_port = sport;
	return STEP_CONTINUE;
}

#endif
