/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Fast parser: TCP and UDP over IP without options, extension headers or
 * fragments, behind at most two VLAN tags. Reads the frame in place.
 *
 * Returns false for any other frame and for every malformed header. The full
 * parser (full.h) then starts over and finds the drop reason.
 */
#ifndef BAILEY_PARSE_FAST_H
#define BAILEY_PARSE_FAST_H

#include "core/flow_key.h"
#include "parse/frame.h"

static __always_inline bool fast_layer4(struct pkt *pkt, void *data,
					void *data_end, __u32 len)
{
	if (pkt->in.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = data;
		__u32 header;

		if (len < sizeof(*tcp) || (void *)(tcp + 1) > data_end)
			return false;
		header = tcp->doff * 4;
		if (header < sizeof(*tcp) || header > len)
			return false;
		read_tcp(pkt, tcp);
		return is_valid_tcp_flags(pkt->in.tcp_flags);
	}
	if (pkt->in.protocol == IPPROTO_UDP) {
		struct udphdr *udp = data;
		__u32 stated;

		if (len < sizeof(*udp) || (void *)(udp + 1) > data_end)
			return false;
		stated = bpf_ntohs(udp->len);
		if (!pkt->in.is_gso && (stated < sizeof(*udp) || stated > len))
			return false;
		pkt->in.source_port = bpf_ntohs(udp->source);
		pkt->in.destination_port = bpf_ntohs(udp->dest);
		pkt->in.may_create_flow = 1;
		return !tunnel_of_port(pkt->in.destination_port) &&
		       !has_dhcp_ports(pkt->in.source_port,
				       pkt->in.destination_port, pkt->in.kind);
	}
	return false;
}

/* By first byte: addresses that may be martian or multicast. */
static __always_inline bool needs_full_parse_v4(__be32 source,
						__be32 destination)
{
	__u32 s = source & 0xff, d = destination & 0xff;

	return !s || s == 127 || s >= 224 || !d || d == 127 || d >= 224 ||
	       source == destination;
}

static __always_inline bool fast_ipv4(struct pkt *pkt, void *data,
				      void *data_end, __u32 len)
{
	struct iphdr *ip = data;
	__u32 total;

	if ((void *)(ip + 1) > data_end)
		return false;
	total = bpf_ntohs(ip->tot_len);
	if (*(__u8 *)ip != 0x45 || total < sizeof(*ip) || total > len ||
	    ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET) ||
	    needs_full_parse_v4(ip->saddr, ip->daddr))
		return false;
	pkt->in.kind = KIND_IPV4;
	pkt->in.protocol = ip->protocol;
	pkt->addr.source_be[0] = 0;
	pkt->addr.source_be[1] = v4_mapped_address(ip->saddr);
	pkt->addr.destination_be[0] = 0;
	pkt->addr.destination_be[1] = v4_mapped_address(ip->daddr);
	return fast_layer4(pkt, ip + 1, data_end, total - sizeof(*ip));
}

static __always_inline bool fast_ipv6(struct pkt *pkt, void *data,
				      void *data_end, __u32 len)
{
	struct ipv6hdr *ip = data;
	__u32 payload;

	if ((void *)(ip + 1) > data_end || len < sizeof(*ip))
		return false;
	payload = bpf_ntohs(ip->payload_len);
	if (ip->version != 6 || payload > len - sizeof(*ip))
		return false;
	pkt->in.kind = KIND_IPV6;
	pkt->in.protocol = ip->nexthdr;
	read_addresses_v6(pkt, ip);
	/* ::, ::1 and IPv4-mapped addresses begin with zeros, multicast with
	 * ff. */
	if (!pkt->addr.source_be[0] || !pkt->addr.destination_be[0] ||
	    (pkt->addr.source_be[0] & 0xff) == 0xff ||
	    (pkt->addr.destination_be[0] & 0xff) == 0xff ||
	    !((pkt->addr.source_be[0] ^ pkt->addr.destination_be[0]) |
	      (pkt->addr.source_be[1] ^ pkt->addr.destination_be[1])))
		return false;
	return fast_layer4(pkt, ip + 1, data_end, payload);
}

struct vlan_tag {
	__be16 tci;
	__be16 next;
};

/* len: bytes of the frame, of which [data, data_end) is readable here. */
static __always_inline bool fast_frame(struct pkt *pkt, void *data,
				       void *data_end, __u32 len)
{
	struct ethhdr *eth = data;
	void *next = eth + 1;
	__u32 type, i;

	/* Group frames need the full parser. */
	if (next > data_end || eth->h_dest[0] & 1)
		return false;
	pkt->in.link_target = LINK_STATION;
	type = bpf_ntohs(eth->h_proto);
#pragma unroll
	for (i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_tag *tag = next;

		if (!is_vlan_type(type))
			break;
		if (pkt->in.vlan_tags == VLAN_TAGS_MAX ||
		    (void *)(tag + 1) > data_end)
			return false;
		vlan_enter(pkt, bpf_ntohs(tag->tci));
		type = bpf_ntohs(tag->next);
		next = tag + 1;
	}
	len -= next - data;
	if (type == ETH_P_IP)
		return fast_ipv4(pkt, next, data_end, len);
	if (type == ETH_P_IPV6)
		return fast_ipv6(pkt, next, data_end, len);
	return false;
}

/* Fills pkt->in, the addresses, the flow key and its hash. */
static __always_inline bool parse_fast(struct pkt *pkt, void *data,
				       void *data_end, __u32 len)
{
	pkt->in.bytes = len;
	if (!fast_frame(pkt, data, data_end, len))
		return false;
	key_set(pkt);
	return flow_hash(pkt);
}

static __always_inline bool parse_fast_xdp(struct pkt *pkt, struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;

	return parse_fast(pkt, data, data_end, data_end - data);
}

static __always_inline bool has_eth_header(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data + ETH_HLEN <=
	       (void *)(long)ctx->data_end;
}

#endif
