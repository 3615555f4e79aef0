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

/* len: bytes of the packet from this header on. */
static __always_inline bool fast_tcp_header(const struct tcphdr *tcp,
					    void *data_end, __u32 len)
{
	__u32 header;

	if (len < sizeof(*tcp) || (void *)(tcp + 1) > data_end)
		return false;
	header = tcp->doff * 4;
	return header >= sizeof(*tcp) && header <= len;
}

/* Neither of a tunnel nor DHCP. len: as for fast_tcp_header(). */
static __always_inline bool fast_udp_header(const struct udphdr *udp,
					    void *data_end, __u32 len,
					    bool is_gso, __u32 kind)
{
	__u32 stated;

	if (len < sizeof(*udp) || (void *)(udp + 1) > data_end)
		return false;
	stated = bpf_ntohs(udp->len);
	return (is_gso || (stated >= sizeof(*udp) && stated <= len)) &&
	       !tunnel_of_port(bpf_ntohs(udp->dest)) &&
	       !has_dhcp_ports(bpf_ntohs(udp->source), bpf_ntohs(udp->dest),
			       kind);
}

static __always_inline bool fast_layer4(struct parsed *in, void *data,
					void *data_end, __u32 len)
{
	struct tcphdr *tcp = data;
	struct udphdr *udp = data;

	if (in->protocol == IPPROTO_TCP) {
		if (!fast_tcp_header(tcp, data_end, len))
			return false;
		read_tcp(in, tcp);
		return is_valid_tcp_flags(in->tcp_flags);
	}
	if (in->protocol == IPPROTO_UDP) {
		if (!fast_udp_header(udp, data_end, len, in->is_gso, in->kind))
			return false;
		in->source_port = bpf_ntohs(udp->source);
		in->destination_port = bpf_ntohs(udp->dest);
		in->may_create_flow = 1;
		return true;
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

/* Without options, not a fragment. total: length of the packet. */
static __always_inline bool fast_ipv4_header(const struct iphdr *ip,
					     void *data_end, __u32 len,
					     __u32 *total)
{
	if ((void *)(ip + 1) > data_end)
		return false;
	*total = bpf_ntohs(ip->tot_len);
	return *(const __u8 *)ip == 0x45 && *total >= sizeof(*ip) &&
	       *total <= len &&
	       !(ip->frag_off &
		 bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET)) &&
	       !needs_full_parse_v4(ip->saddr, ip->daddr);
}

static __always_inline bool fast_ipv4(struct parsed *in, struct addresses *addr,
				      void *data, void *data_end, __u32 len)
{
	struct iphdr *ip = data;
	__u32 total;

	if (!fast_ipv4_header(ip, data_end, len, &total))
		return false;
	in->kind = KIND_IPV4;
	in->protocol = ip->protocol;
	addr->source_be[0] = 0;
	addr->source_be[1] = v4_mapped_address(ip->saddr);
	addr->destination_be[0] = 0;
	addr->destination_be[1] = v4_mapped_address(ip->daddr);
	return fast_layer4(in, ip + 1, data_end, total - sizeof(*ip));
}

/* payload: length of the packet behind the header. */
static __always_inline bool fast_ipv6_header(const struct ipv6hdr *ip,
					     void *data_end, __u32 len,
					     __u32 *payload,
					     struct addresses *addr)
{
	const __u64 *source = addr->source_be,
		    *destination = addr->destination_be;

	if ((void *)(ip + 1) > data_end || len < sizeof(*ip))
		return false;
	*payload = bpf_ntohs(ip->payload_len);
	if (ip->version != 6 || *payload > len - sizeof(*ip))
		return false;
	read_addresses_v6(addr, ip);
	/* ::, ::1 and IPv4-mapped addresses begin with zeros, multicast with
	 * ff. */
	return source[0] && destination[0] && (source[0] & 0xff) != 0xff &&
	       (destination[0] & 0xff) != 0xff &&
	       (source[0] ^ destination[0]) | (source[1] ^ destination[1]);
}

static __always_inline bool fast_ipv6(struct parsed *in, struct addresses *addr,
				      void *data, void *data_end, __u32 len)
{
	struct ipv6hdr *ip = data;
	__u32 payload;

	in->kind = KIND_IPV6;
	if (!fast_ipv6_header(ip, data_end, len, &payload, addr))
		return false;
	in->protocol = ip->nexthdr;
	return fast_layer4(in, ip + 1, data_end, payload);
}

struct vlan_tag {
	__be16 tci;
	__be16 next;
};

/* Reads the Ethernet header and VLAN tags; next is behind them. */
static __always_inline bool fast_link(struct parsed *in, void *data,
				      void *data_end, void **next,
				      __u32 *ethertype)
{
	struct ethhdr *eth = data;
	__u32 type, i;

	*next = eth + 1;
	/* Group frames need the full parser. */
	if (*next > data_end || eth->h_dest[0] & 1)
		return false;
	type = bpf_ntohs(eth->h_proto);
#pragma unroll
	for (i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_tag *tag = *next;

		if (!is_vlan_type(type))
			break;
		if (in->vlan_tags == VLAN_TAGS_MAX ||
		    (void *)(tag + 1) > data_end)
			return false;
		vlan_enter(in, bpf_ntohs(tag->tci));
		type = bpf_ntohs(tag->next);
		*next = tag + 1;
	}
	*ethertype = type;
	return true;
}

/* len: bytes of the frame, of which [data, data_end) is readable here. */
static __always_inline bool parse_fast_frame(struct parsed *in,
					     struct addresses *addr, void *data,
					     void *data_end, __u32 len)
{
	__u32 type;
	void *next;

	if (!fast_link(in, data, data_end, &next, &type))
		return false;
	in->link_target = LINK_STATION;
	len -= next - data;
	if (type == ETH_P_IP)
		return fast_ipv4(in, addr, next, data_end, len);
	if (type == ETH_P_IPV6)
		return fast_ipv6(in, addr, next, data_end, len);
	return false;
}

/* Fills pkt->in, the addresses, the flow key and its hash. */
static __always_inline bool parse_fast(struct pkt *pkt, void *data,
				       void *data_end, __u32 len)
{
	pkt->in.bytes = len;
	if (!parse_fast_frame(&pkt->in, &pkt->addr, data, data_end, len))
		return false;
	key_set(pkt);
	flow_hash(pkt);
	return true;
}

static __always_inline bool parse_fast_xdp(struct pkt *pkt, struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;

	return parse_fast(pkt, data, data_end, data_end - data);
}

static __always_inline void set_link_target(struct pkt *pkt,
					    const struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;

	if (data + ETH_HLEN <= data_end)
		pkt->in.link_target = link_target_of(data, pkt->env.mac);
}

#endif
