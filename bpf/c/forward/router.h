/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Router: forwards a passed packet to another attached NIC if a route and a
 * resolved neighbour suffice. The kernel network stack handles everything else:
 * it resolves, replies, fragments, and forwards to interfaces without XDP.
 */
#ifndef BAILEY_FORWARD_ROUTER_H
#define BAILEY_FORWARD_ROUTER_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "core/maps.h"
#include "core/meta_word.h"

#define IP_FRAGMENTED 0x3fff /* MF flag or a fragment offset */
#define AF_INET 2
#define AF_INET6 10

/* Decrements the TTL and updates the checksum (RFC 1141): the TTL is the upper
 * byte of its 16-bit word. */
static __always_inline void decrement_ttl(struct iphdr *ip)
{
	__u32 sum = ip->check;

	sum += bpf_htons(0x0100);
	ip->check = sum + (sum >= 0xffff);
	ip->ttl--;
}

static __always_inline bool fill_fib_v4(struct iphdr *ip, void *data_end,
					struct bpf_fib_lookup *fib)
{
	if ((void *)(ip + 1) > data_end || ip->ttl <= 1)
		return false;
	fib->family = AF_INET;
	fib->tos = ip->tos;
	fib->l4_protocol = ip->protocol;
	fib->tot_len = bpf_ntohs(ip->tot_len);
	if (ip->frag_off & bpf_htons(IP_FRAGMENTED))
		return false;
	fib->ipv4_src = ip->saddr;
	fib->ipv4_dst = ip->daddr;
	return true;
}

/* The kernel handles extension headers, including fragments. */
static __always_inline bool fill_fib_v6(struct ipv6hdr *ip, void *data_end,
					struct bpf_fib_lookup *fib,
					__u8 protocol)
{
	if ((void *)(ip + 1) > data_end || ip->hop_limit <= 1 ||
	    ip->nexthdr != protocol)
		return false;
	fib->family = AF_INET6;
	fib->flowinfo = *(__be32 *)ip & bpf_htonl(0x0fffffff);
	fib->l4_protocol = ip->nexthdr;
	fib->tot_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	__builtin_memcpy(fib->ipv6_src, &ip->saddr, sizeof(fib->ipv6_src));
	__builtin_memcpy(fib->ipv6_dst, &ip->daddr, sizeof(fib->ipv6_dst));
	return true;
}

/* Strict reverse path (RFC 3704): the route to the source leaves through the
 * ingress interface. Otherwise the kernel decides, which implements loose mode
 * and its exceptions. */
static __always_inline bool
is_reverse_path_valid(struct xdp_md *ctx, const struct bpf_fib_lookup *there,
		      __u32 ifindex)
{
	struct bpf_fib_lookup back = {};
	int result;

	back.family = AF_INET;
	back.tos = there->tos;
	back.tot_len = 0;
	back.l4_protocol = there->l4_protocol;
	back.sport = there->dport;
	back.dport = there->sport;
	back.ipv4_src = there->ipv4_dst;
	back.ipv4_dst = there->ipv4_src;
	back.ifindex = ifindex;
	result = bpf_fib_lookup(ctx, &back, sizeof(back), 0);
	return (result == BPF_FIB_LKUP_RET_SUCCESS ||
		result == BPF_FIB_LKUP_RET_NO_NEIGH) &&
	       back.ifindex == ifindex;
}

/* Returns the action for a passed packet: a redirect, or XDP_PASS to the
 * kernel. A global function: its lookups take 128 bytes of the stack, which
 * other calls of the same program need. */
__noinline int forward_routed(struct xdp_md *ctx, struct pkt *pkt)
{
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct bpf_fib_lookup fib = {};
	__u64 to = 0;
	__u32 out;
	bool v4;

	if (!pkt)
		return XDP_PASS;
	/* The kernel forwards packets that passed without policy, ICMP errors
	 * (their route depends on the quoted packet) and VLAN-tagged packets
	 * (they belong to another interface). */
	if (!pkt->in.kind || pkt->in.vlan_tags || pkt->full.tunnel ||
	    pkt->env.fib_flags & FIB_STACK ||
	    (pkt->out.reason != REASON_PASS_FLOW &&
	     pkt->out.reason != REASON_PASS_NEW &&
	     pkt->out.reason != REASON_PASS_FAILSAFE &&
	     pkt->out.reason != REASON_PASS_WARM_UP))
		return XDP_PASS;
	/* The kernel may have translated (NAT) a flow that was created through
	 * tc, and translates its replies back. It also routes protocols whose
	 * routing rules may match ports that are not parsed here. */
	if ((pkt->flow.meta && !(meta_flags(pkt->flow.meta) & FLOW_FROM_NIC)) ||
	    pkt->in.protocol == IPPROTO_DCCP ||
	    pkt->in.protocol == IPPROTO_UDPLITE)
		return XDP_PASS;
	if ((void *)(eth + 1) > data_end)
		return XDP_PASS;
	/* Only frames addressed to this NIC, which may be promiscuous. */
	__builtin_memcpy(&to, eth->h_dest, ETH_ALEN);
	if (!to || to != pkt->env.mac)
		return XDP_PASS;
	v4 = eth->h_proto == bpf_htons(ETH_P_IP);
	if (!v4 && pkt->env.fib_flags & FIB_STACK6)
		return XDP_PASS;
	/* The kernel handles IP options. */
	if (v4 &&
	    ((void *)(eth + 1) + 1 > data_end || *(__u8 *)(eth + 1) != 0x45))
		return XDP_PASS;
	fib.ifindex = pkt->env.ifindex;
	/* Routing rules and multipath hashing may use ports. */
	if (pkt->in.protocol == IPPROTO_TCP ||
	    pkt->in.protocol == IPPROTO_UDP ||
	    pkt->in.protocol == IPPROTO_SCTP) {
		fib.sport = bpf_htons(pkt->in.source_port);
		fib.dport = bpf_htons(pkt->in.destination_port);
	}
	if (!(v4 ? fill_fib_v4((void *)(eth + 1), data_end, &fib) :
		   fill_fib_v6((void *)(eth + 1), data_end, &fib,
			       pkt->in.protocol)) ||
	    (v4 && pkt->env.fib_flags & FIB_RP_FILTER &&
	     !is_reverse_path_valid(ctx, &fib, pkt->env.ifindex)) ||
	    bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) !=
		    BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_PASS;
	out = fib.ifindex;
	/* Same interface: the kernel may want to send an ICMP redirect. */
	if (out == pkt->env.ifindex ||
	    !bpf_map_lookup_elem(&bridge_ports, &out))
		return XDP_PASS;
	if (v4)
		decrement_ttl((void *)(eth + 1));
	else
		((struct ipv6hdr *)(eth + 1))->hop_limit--;
	__builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
	return bpf_redirect_map(&bridge_ports, out, XDP_DROP);
}

#endif
