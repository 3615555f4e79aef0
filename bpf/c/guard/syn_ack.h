/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Rewrites a SYN into its SYN ACK, in place. The frame was read by the fast
 * parser: no IP options, no extension headers, and vlan_tags is exact. */
#ifndef BAILEY_GUARD_SYN_ACK_H
#define BAILEY_GUARD_SYN_ACK_H

#include "parse/frame.h"

#define ANSWER_HOP_LIMIT 64
#define ANSWER_WINDOW 65535
#define IP_DONT_FRAGMENT 0x4000
#define TCP_OPTION_MSS 0x0204 /* kind 2, length 4 */

/* Fields of the SYN ACK, in host byte order. */
struct syn_ack {
	__u32 sequence;
	__u32 ack;
	__u16 mss;
};

/* The headers of the SYN ACK. */
struct syn_ack_tcp {
	struct tcphdr tcp;
	__be16 option;
	__be16 mss;
};

struct syn_ack_v4 {
	struct iphdr ip;
	struct syn_ack_tcp tcp;
} __attribute__((packed, aligned(4)));

struct syn_ack_v6 {
	struct ipv6hdr ip;
	struct syn_ack_tcp tcp;
} __attribute__((packed, aligned(4)));

static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* sum: checksum of the addresses. */
static __always_inline void write_syn_ack_tcp(struct pkt *pkt,
					      struct syn_ack_tcp *header,
					      const struct syn_ack *syn_ack,
					      __u32 sum)
{
	struct tcphdr *tcp = &header->tcp;

	tcp->source = bpf_htons(pkt->in.destination_port);
	tcp->dest = bpf_htons(pkt->in.source_port);
	tcp->seq = bpf_htonl(syn_ack->sequence);
	tcp->ack_seq = bpf_htonl(syn_ack->ack);
	((__u8 *)tcp)[12] = sizeof(*header) / 4 << 4;
	((__u8 *)tcp)[13] = TCP_SYN | TCP_ACK;
	tcp->window = bpf_htons(ANSWER_WINDOW);
	tcp->check = 0;
	tcp->urg_ptr = 0;
	header->option = bpf_htons(TCP_OPTION_MSS);
	header->mss = bpf_htons(syn_ack->mss);
	sum += bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*header));
	tcp->check = checksum_fold(
		bpf_csum_diff(NULL, 0, (__be32 *)header, sizeof(*header), sum));
}

static __always_inline __u32 address_sum(__be32 *addresses, __u32 size)
{
	__u64 sum = bpf_csum_diff(NULL, 0, addresses, size, 0);

	return (sum & 0xffff) + (sum >> 16 & 0xffff);
}

static __always_inline bool write_syn_ack_v4(struct pkt *pkt,
					     struct syn_ack_v4 *head,
					     void *data_end,
					     const struct syn_ack *syn_ack)
{
	struct iphdr *ip = &head->ip;
	__be32 source;

	if ((void *)(head + 1) > data_end)
		return false;
	source = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = source;
	ip->tos = 0;
	ip->tot_len = bpf_htons(sizeof(*head));
	ip->id = 0;
	ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip->ttl = ANSWER_HOP_LIMIT;
	ip->check = 0;
	ip->check = checksum_fold(
		bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
	write_syn_ack_tcp(pkt, &head->tcp, syn_ack, address_sum(&ip->saddr, 8));
	return true;
}

static __always_inline bool write_syn_ack_v6(struct pkt *pkt,
					     struct syn_ack_v6 *head,
					     void *data_end,
					     const struct syn_ack *syn_ack)
{
	struct ipv6hdr *ip = &head->ip;
	struct in6_addr source;

	if ((void *)(head + 1) > data_end)
		return false;
	source = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = source;
	*(__be32 *)ip = bpf_htonl(6 << 28);
	ip->payload_len = bpf_htons(sizeof(head->tcp));
	ip->hop_limit = ANSWER_HOP_LIMIT;
	write_syn_ack_tcp(pkt, &head->tcp, syn_ack,
			  address_sum((__be32 *)&ip->saddr, 32));
	return true;
}

/* Bytes before the IP header. */
static __always_inline __u32 layer2_size(const struct pkt *pkt)
{
	return ETH_HLEN + (pkt->in.vlan_tags & 3) * 4;
}

/* False: the frame is unchanged, or too short to be sent. */
static __always_inline bool write_syn_ack(struct xdp_md *ctx, struct pkt *pkt,
					  const struct syn_ack *syn_ack)
{
	__u32 before = layer2_size(pkt), size;
	__u8 mac[ETH_ALEN];
	struct ethhdr *eth;
	void *data_end;

	size = before + (pkt->in.kind == KIND_IPV4 ? sizeof(struct syn_ack_v4) :
						     sizeof(struct syn_ack_v6));
	if (bpf_xdp_adjust_tail(ctx, size - (__u32)bpf_xdp_get_buff_len(ctx)))
		return false;
	eth = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if ((void *)(eth + 1) > data_end)
		return false;
	if (pkt->in.kind == KIND_IPV4 ?
		    !write_syn_ack_v4(pkt, (void *)eth + before, data_end,
				      syn_ack) :
		    !write_syn_ack_v6(pkt, (void *)eth + before, data_end,
				      syn_ack))
		return false;
	__builtin_memcpy(mac, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
	return true;
}

#endif
