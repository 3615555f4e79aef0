/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Router: what passes and is for somebody else goes straight out of another
 * attached NIC. Whatever needs more than a route and a known neighbour is the
 * stack's: it resolves, answers, fragments, or forwards to where XDP does not go.
 */
#ifndef BAILEY_ROUTE_H
#define BAILEY_ROUTE_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "maps.h"

#define AF_INET 2
#define AF_INET6 10

volatile const __u32 ROUTER = 0;

/* The sum of a header of which the byte before the protocol, the TTL, was lowered
 * by one (RFC 1141). */
static __always_inline void ttl_lower(struct iphdr *ip)
{
	__u32 sum = ip->check;

	sum += bpf_htons(0x0100);
	ip->check = sum + (sum >= 0xffff);
	ip->ttl--;
}

static __always_inline bool routed_v4(struct iphdr *ip, void *data_end,
				      struct bpf_fib_lookup *fib)
{
	if ((void *)(ip + 1) > data_end || ip->ttl <= 1)
		return false;
	fib->family = AF_INET;
	fib->tos = ip->tos;
	fib->l4_protocol = ip->protocol;
	fib->tot_len = bpf_ntohs(ip->tot_len);
	fib->ipv4_src = ip->saddr;
	fib->ipv4_dst = ip->daddr;
	return true;
}

static __always_inline bool routed_v6(struct ipv6hdr *ip, void *data_end,
				      struct bpf_fib_lookup *fib)
{
	if ((void *)(ip + 1) > data_end || ip->hop_limit <= 1)
		return false;
	fib->family = AF_INET6;
	fib->flowinfo = *(__be32 *)ip & bpf_htonl(0x0fffffff);
	fib->l4_protocol = ip->nexthdr;
	fib->tot_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	__builtin_memcpy(fib->ipv6_src, &ip->saddr, sizeof(fib->ipv6_src));
	__builtin_memcpy(fib->ipv6_dst, &ip->daddr, sizeof(fib->ipv6_dst));
	return true;
}

/* The action for a packet that passes. */
static __always_inline int route(struct xdp_md *ctx, struct pkt *pkt)
{
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct bpf_fib_lookup fib = {};
	__u64 to = 0;
	__u32 out;
	bool v4;

	/* Judged as a packet, not let through for the link's sake; no tag, whose
	 * interface would be another one. */
	if (!pkt->kind || pkt->tags || pkt->tunnel ||
	    (pkt->reason != REASON_PASS_FLOW && pkt->reason != REASON_PASS_NEW &&
	     pkt->reason != REASON_PASS_RELATED &&
	     pkt->reason != REASON_PASS_FAILSAFE &&
	     pkt->reason != REASON_PASS_WARM_UP))
		return XDP_PASS;
	if ((void *)(eth + 1) > data_end)
		return XDP_PASS;
	/* Only what is addressed to this NIC: it may be promiscuous. */
	__builtin_memcpy(&to, eth->h_dest, ETH_ALEN);
	if (!to || to != pkt->mac)
		return XDP_PASS;
	v4 = eth->h_proto == bpf_htons(ETH_P_IP);
	/* IP options are the stack's. */
	if (v4 && ((void *)(eth + 1) + 1 > data_end || *(__u8 *)(eth + 1) != 0x45))
		return XDP_PASS;
	fib.ifindex = pkt->ifindex;
	if (!(v4 ? routed_v4((void *)(eth + 1), data_end, &fib)
		 : routed_v6((void *)(eth + 1), data_end, &fib)) ||
	    bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_PASS;
	out = fib.ifindex;
	/* Back where it came from: the stack may want to send a redirect. */
	if (out == pkt->ifindex || !bpf_map_lookup_elem(&bridge_ports, &out))
		return XDP_PASS;
	if (v4)
		ttl_lower((void *)(eth + 1));
	else
		((struct ipv6hdr *)(eth + 1))->hop_limit--;
	__builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
	return bpf_redirect_map(&bridge_ports, out, XDP_DROP);
}

#endif
