/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Layer 4, between pkt->full.offset and pkt->full.packet_end: ports, whether
 * the packet may create a flow, and packets that pass because the network
 * depends on them. */
#ifndef BAILEY_PARSE_LAYER4_H
#define BAILEY_PARSE_LAYER4_H

#include "parse/icmp_error.h"
#include "address/own.h"
#include "address/antispoof.h"
#include "parse/tunnel.h"

#define ND_HOP_LIMIT 255
#define ND_SOLICITATION 133 /* router solicitation */
#define ND_ADVERTISEMENT 134
#define ND_REDIRECT 137
#define MLD_QUERY 130
#define MLD_REPORT 131
#define MLD_DONE 132
#define MLD_REPORT_V2 143
#define LINK_ONLY 1 /* the hop limit of such packets */

/* Drops a packet whose header of this size is not readable. */
static __always_inline enum step drop_truncated(struct pkt *pkt, __u32 size)
{
	return drop(pkt, pkt->full.fragment == FRAGMENT_FIRST &&
					 pkt->full.offset + size >
						 pkt->full.packet_end ?
				 REASON_DROP_FRAGMENT_TINY :
				 REASON_DROP_L4_TRUNCATED);
}

static __always_inline enum step parse_tcp(struct pkt *pkt,
					   struct headers *headers)
{
	struct tcphdr *tcp = header_at(headers, pkt->full.offset, sizeof(*tcp),
				       pkt->full.packet_end);
	__u32 header;

	if (!tcp)
		return drop_truncated(pkt, sizeof(*tcp));
	header = tcp->doff * 4;
	if (header < sizeof(*tcp))
		return drop(pkt, REASON_DROP_L4_HEADER);
	if (header > pkt->full.packet_end - pkt->full.offset)
		return drop(pkt, pkt->full.fragment == FRAGMENT_FIRST ?
					 REASON_DROP_FRAGMENT_TINY :
					 REASON_DROP_L4_HEADER);
	read_tcp(&pkt->in, tcp);
	return is_valid_tcp_flags(pkt->in.tcp_flags) ?
		       STEP_CONTINUE :
		       drop(pkt, REASON_DROP_TCP_FLAGS);
}

/* ff02::1:2 and ff05::1:3: all DHCPv6 agents and servers. */
static __always_inline bool is_dhcpv6_group(const __u64 address_be[2])
{
	return (address_be[0] == bpf_cpu_to_be64(0xff02ULL << 48) &&
		address_be[1] == bpf_cpu_to_be64(0x10002)) ||
	       (address_be[0] == bpf_cpu_to_be64(0xff05ULL << 48) &&
		address_be[1] == bpf_cpu_to_be64(0x10003));
}

/* Only a client without an address, or DHCP on the link. Policy evaluates a
 * renewal like any other datagram. DHCPv6 starts from a link-local address,
 * DHCP from none. */
static __always_inline bool is_dhcp(const struct pkt *pkt)
{
	bool from_link = is_link_local(pkt->addr.source_be);
	bool to_link = is_link_local(pkt->addr.destination_be);

	if (pkt->full.fragment ||
	    !has_dhcp_ports(pkt->in.source_port, pkt->in.destination_port,
			    pkt->in.kind))
		return false;
	/* Linux forwards link-local packets of IPv4. */
	if (pkt->in.kind == KIND_IPV4)
		return (from_link && to_link) || is_source_unspecified(pkt) ||
		       pkt->addr.destination_be[1] >> 32 == 0xffffffff;
	return !is_source_unspecified(pkt) &&
	       (from_link || to_link ||
		is_dhcpv6_group(pkt->addr.destination_be));
}

static __always_inline enum step parse_udp(struct pkt *pkt,
					   struct headers *headers)
{
	struct udphdr *udp = header_at(headers, pkt->full.offset, sizeof(*udp),
				       pkt->full.packet_end);
	__u32 stated, tunnel;

	if (!udp)
		return drop_truncated(pkt, sizeof(*udp));
	stated = bpf_ntohs(udp->len);
	if (!pkt->in.is_gso &&
	    (stated < sizeof(*udp) ||
	     (pkt->full.fragment != FRAGMENT_FIRST &&
	      stated > pkt->full.packet_end - pkt->full.offset)))
		return drop(pkt, REASON_DROP_L4_HEADER);
	pkt->in.source_port = bpf_ntohs(udp->source);
	pkt->in.destination_port = bpf_ntohs(udp->dest);
	pkt->in.may_create_flow = 1;
	if (is_dhcp(pkt))
		return pass(pkt, REASON_PASS_DHCP);
	tunnel = pkt->full.tunnel ? 0 :
				    tunnel_of_port(pkt->in.destination_port);
	if (!tunnel)
		return STEP_CONTINUE;
	if (!pkt->in.is_gso)
		pkt->full.packet_end = pkt->full.offset + stated;
	pkt->full.offset += sizeof(*udp);
	return tunnel_enter(pkt, headers, tunnel);
}

struct sctp_head {
	__be16 source;
	__be16 destination;
	__be32 tag;
	__be32 checksum;
	__u8 chunk;
	__u8 chunk_flags;
	__be16 chunk_length;
};

struct sctp_init {
	struct sctp_head head;
	__be32 tag;
	__be32 rest[3];
};

/* An association begins with INIT. Each further path begins with HEARTBEAT (RFC
 * 9260, 5.4) or with the chunk that adds an address (RFC 5061). */
static __always_inline bool may_create_sctp_flow(__u8 chunk)
{
	return chunk == SCTP_CHUNK_INIT || chunk == SCTP_CHUNK_HEARTBEAT ||
	       chunk == SCTP_CHUNK_ASCONF;
}

static __always_inline enum step parse_sctp(struct pkt *pkt,
					    struct headers *headers)
{
	struct sctp_head *sctp;
	struct sctp_init *init;

	sctp = header_at(headers, pkt->full.offset, sizeof(*sctp),
			 pkt->full.packet_end);
	if (!sctp)
		return drop_truncated(pkt, sizeof(*sctp));
	pkt->in.source_port = bpf_ntohs(sctp->source);
	pkt->in.destination_port = bpf_ntohs(sctp->destination);
	pkt->in.sequence = sctp->tag;
	pkt->full.chunk = sctp->chunk;
	pkt->full.chunk_flags = sctp->chunk_flags;
	pkt->in.may_create_flow = may_create_sctp_flow(pkt->full.chunk);
	init = header_at(headers, pkt->full.offset, sizeof(*init),
			 pkt->full.packet_end);
	if (pkt->full.chunk == SCTP_CHUNK_INIT && !init)
		return drop_truncated(pkt, sizeof(*init));
	if (pkt->in.may_create_flow &&
	    !sctp->tag != (pkt->full.chunk == SCTP_CHUNK_INIT))
		return drop(pkt, REASON_DROP_L4_HEADER);
	if (init && (pkt->full.chunk == SCTP_CHUNK_INIT ||
		     pkt->full.chunk == SCTP_CHUNK_INIT_ACK))
		pkt->in.ack = init->tag;
	return STEP_CONTINUE;
}

static __always_inline bool is_link_mld(const struct pkt *pkt, __u8 type)
{
	return (type == MLD_QUERY || type == MLD_REPORT || type == MLD_DONE ||
		type == MLD_REPORT_V2) &&
	       pkt->full.hop_limit == LINK_ONLY && !pkt->full.fragment &&
	       (is_link_local(pkt->addr.source_be) ||
		is_source_unspecified(pkt));
}

/*
 * Neighbour discovery ends on the link, but a router forwards such a packet if
 * its destination is elsewhere. A packet passes only if no router would forward
 * it. Link-local destinations are fe80::/10 and ff02::/16.
 *
 * Router advertisement, redirect: link-local source and destination.
 * Router solicitation: link-local destination.
 * Neighbour solicitation, advertisement: one of
 *   - link-local source or destination,
 *   - both addresses in one /64 (an on-link prefix is not shorter, RFC 7421),
 *     which in a frame to this machine must be a subnet of the host, because
 *     the host would forward the packet otherwise,
 *   - both addresses in one internal prefix,
 *   - to or from this machine, which then is an end and forwards nothing.
 */
static __always_inline bool is_nd_of_host(const struct pkt *pkt)
{
	if (BRIDGE)
		return false;
	return is_host_address(pkt->env.hook == HOOK_TC ?
				       pkt->addr.source_be :
				       pkt->addr.destination_be);
}

static __always_inline bool is_nd_in_subnet(const struct pkt *pkt)
{
	const __u64 subnet[2] = { pkt->addr.source_be[0], 0 };

	return pkt->addr.source_be[0] == pkt->addr.destination_be[0] &&
	       (BRIDGE || pkt->in.link_target == LINK_NONE ||
		pkt->in.link_target == LINK_OTHER ||
		address_flags(subnet) & OWN_SUBNET);
}

static __always_inline bool is_nd_on_link(const struct pkt *pkt, __u8 type)
{
	const __u64 *source = pkt->addr.source_be,
		    *destination = pkt->addr.destination_be;
	bool link = is_link_local(source);
	bool to_link = is_link_local(destination) ||
		       (destination[0] & 0xffff) == 0x02ff;

	if (type == ND_ADVERTISEMENT || type == ND_REDIRECT)
		return link && to_link;
	if (type == ND_SOLICITATION || is_source_unspecified(pkt))
		return to_link;
	return to_link || link || is_nd_in_subnet(pkt) ||
	       share_internal_prefix(source, destination) || is_nd_of_host(pkt);
}

static __always_inline enum step parse_icmp(struct pkt *pkt,
					    struct headers *headers)
{
	struct icmp_header *icmp;
	bool request;

	icmp = header_at(headers, pkt->full.offset, sizeof(*icmp),
			 pkt->full.packet_end);
	if (!icmp)
		return drop_truncated(pkt, sizeof(*icmp));
	pkt->in.may_create_flow = 1;
	if (is_icmp_error_type(pkt->in.kind, icmp->type)) {
		pkt->full.offset += sizeof(*icmp);
		return parse_icmp_error(pkt, headers);
	}
	if (read_icmp_echo(pkt->in.kind, icmp->type, &request)) {
		pkt->in.source_port = request ? bpf_ntohs(icmp->id_be) : 0;
		pkt->in.destination_port = request ? 0 : bpf_ntohs(icmp->id_be);
		pkt->in.may_create_flow = request;
		return STEP_CONTINUE;
	}
	if (pkt->in.kind == KIND_IPV4)
		return STEP_CONTINUE;
	if (icmp->type >= ND_SOLICITATION && icmp->type <= ND_REDIRECT) {
		/* RFC 4861: a packet with a lower hop limit was forwarded by a
		 * router. */
		if (pkt->full.hop_limit != ND_HOP_LIMIT)
			return drop(pkt, REASON_DROP_ND_HOP_LIMIT);
		if (pkt->full.fragment)
			return drop(pkt, REASON_DROP_FRAGMENT);
		return is_nd_on_link(pkt, icmp->type) ?
			       pass(pkt, REASON_PASS_ND) :
			       drop(pkt, REASON_DROP_ND_SCOPE);
	}
	if (is_link_mld(pkt, icmp->type))
		return pass(pkt, REASON_PASS_MULTICAST_CONTROL);
	return STEP_CONTINUE;
}

static __always_inline bool is_link_igmp(const struct pkt *pkt)
{
	return pkt->in.protocol == IPPROTO_IGMP && pkt->in.kind == KIND_IPV4 &&
	       pkt->full.hop_limit == LINK_ONLY && !pkt->full.fragment &&
	       (pkt->addr.destination_be[1] >> 32 & 0xf0) == 224;
}

__noinline int parse_layer4(struct pkt *pkt, struct headers *headers)
{
	if (!pkt || !headers)
		return STEP_DONE;
	if (pkt->in.protocol == IPPROTO_TCP)
		return parse_tcp(pkt, headers);
	if (pkt->in.protocol == IPPROTO_UDP)
		return parse_udp(pkt, headers);
	if (pkt->in.protocol == IPPROTO_SCTP)
		return parse_sctp(pkt, headers);
	if (pkt->in.protocol == icmp_protocol(pkt->in.kind))
		return parse_icmp(pkt, headers);
	if (is_link_igmp(pkt))
		return pass(pkt, REASON_PASS_MULTICAST_CONTROL);
	/* Other protocols: one flow per pair of addresses. */
	pkt->in.may_create_flow = 1;
	return STEP_CONTINUE;
}

#endif
