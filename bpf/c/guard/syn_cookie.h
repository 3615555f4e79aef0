/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * SYN cookies for listeners of this machine. The kernel creates and checks the
 * cookies (net.ipv4.tcp_syncookies must be 2), so its sockets accept the
 * resulting connections. The challenge serves all other destinations, and hosts
 * without SYN cookies.
 */
#ifndef BAILEY_GUARD_SYN_COOKIE_H
#define BAILEY_GUARD_SYN_COOKIE_H

#include "guard/syn_ack.h"
#include "guard/flood.h"
#include "forward/router.h"

#define TCP_LISTEN 10
#define TCP_HEADER_MAX 60
#define COOKIE_TICKS 112 /* 2 min: lifetime of a SYN cookie in the kernel */
#define CHALLENGE_MSS 536

/* IP and TCP headers in memory that helpers can read. */
struct socket_headers {
	void *ip;
	struct tcphdr *tcp;
	__u32 ip_size;
	__u32 tcp_size;
};

static __always_inline bool load_socket_headers(struct xdp_md *ctx,
						struct pkt *pkt,
						struct socket_headers *at)
{
	__u32 hook = HOOK_XDP, before = layer2_size(pkt), size;
	struct headers *copy = bpf_map_lookup_elem(&headers, &hook);

	if (!copy)
		return false;
	at->ip_size = pkt->in.kind == KIND_IPV4 ? sizeof(struct iphdr) :
						  sizeof(struct ipv6hdr);
	at->ip = copy->bytes;
	at->tcp = (void *)copy->bytes + at->ip_size;
	if (bpf_xdp_load_bytes(ctx, before, copy->bytes,
			       at->ip_size + sizeof(struct tcphdr)))
		return false;
	size = at->tcp->doff * 4;
	if (size < sizeof(struct tcphdr) || size > TCP_HEADER_MAX)
		return false;
	at->tcp_size = size;
	return !bpf_xdp_load_bytes(ctx, before + at->ip_size,
				   copy->bytes + at->ip_size, size);
}

/*
 * Is this machine the destination? A wildcard listener would otherwise match
 * packets to other hosts. Without forwarding, bpf_fib_lookup() does not return
 * the route; then the destination MAC address decides for untagged frames. A
 * VLAN interface may forward.
 */
static __always_inline bool is_for_this_host(struct xdp_md *ctx,
					     struct pkt *pkt,
					     const struct socket_headers *at)
{
	struct bpf_fib_lookup fib = { .ifindex = pkt->env.ifindex };
	__u64 to = 0;
	int found;

	if (bpf_xdp_load_bytes(ctx, 0, &to, ETH_ALEN) || !to ||
	    to != pkt->env.mac)
		return false;
	fib.l4_protocol = IPPROTO_TCP;
	if (pkt->in.kind == KIND_IPV4) {
		struct iphdr *ip = at->ip;

		fib.family = AF_INET;
		fib.ipv4_src = ip->saddr;
		fib.ipv4_dst = ip->daddr;
	} else {
		struct ipv6hdr *ip = at->ip;

		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, &ip->saddr,
				 sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, &ip->daddr,
				 sizeof(fib.ipv6_dst));
	}
	found = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	return found == BPF_FIB_LKUP_RET_NOT_FWDED ||
	       (found == BPF_FIB_LKUP_RET_FWD_DISABLED && !pkt->in.vlan_tags);
}

/* The listener that the packet is for, or NULL. The caller must release it. */
static __always_inline struct bpf_sock *
find_listener(struct xdp_md *ctx, struct pkt *pkt,
	      const struct socket_headers *at)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	__u32 size;

	if (pkt->in.kind == KIND_IPV4) {
		struct iphdr *ip = at->ip;

		tuple.ipv4.saddr = ip->saddr;
		tuple.ipv4.daddr = ip->daddr;
		tuple.ipv4.sport = at->tcp->source;
		tuple.ipv4.dport = at->tcp->dest;
		size = sizeof(tuple.ipv4);
	} else {
		struct ipv6hdr *ip = at->ip;

		__builtin_memcpy(tuple.ipv6.saddr, &ip->saddr,
				 sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, &ip->daddr,
				 sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = at->tcp->source;
		tuple.ipv6.dport = at->tcp->dest;
		size = sizeof(tuple.ipv6);
	}
	socket = size == sizeof(tuple.ipv4) ?
			 bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4),
					    BPF_F_CURRENT_NETNS, 0) :
			 bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6),
					    BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return NULL;
	if (socket->state == TCP_LISTEN)
		return socket;
	bpf_sk_release(socket);
	return NULL;
}

/* Asks the kernel for a SYN cookie, if a local listener is the destination. */
static __always_inline bool make_syn_cookie(struct xdp_md *ctx, struct pkt *pkt,
					    struct syn_ack *syn_ack)
{
	__u32 headers = sizeof(struct tcphdr), mtu = 0;
	struct socket_headers at;
	struct bpf_sock *socket;
	__s64 cookie;

	if (BRIDGE || !load_socket_headers(ctx, pkt, &at) ||
	    !is_for_this_host(ctx, pkt, &at))
		return false;
	socket = find_listener(ctx, pkt, &at);
	if (!socket)
		return false;
	headers += at.ip_size;
	cookie = bpf_tcp_gen_syncookie(socket, at.ip, at.ip_size, at.tcp,
				       at.tcp_size);
	bpf_sk_release(socket);
	if (cookie < 0)
		return false;
	syn_ack->sequence = cookie;
	syn_ack->ack = pkt->in.sequence + 1;
	syn_ack->mss = cookie >> 32;
	/* That is the client's MSS; the egress interface may allow less. */
	if (!bpf_check_mtu(ctx, 0, &mtu, 0, 0) && mtu > headers &&
	    mtu - headers < syn_ack->mss)
		syn_ack->mss = mtu - headers;
	return true;
}

/* No reply to group frames. */
static __always_inline bool is_group_frame(struct xdp_md *ctx)
{
	__u8 first = 1;

	return bpf_xdp_load_bytes(ctx, 0, &first, sizeof(first)) || first & 1;
}

/* Sends the SYN back as a SYN ACK. A global function, so that the verifier
 * checks it apart from the main path. */
__noinline int syn_reply(struct xdp_md *ctx)
{
	__u32 hook = HOOK_XDP;
	struct pkt *pkt = bpf_map_lookup_elem(&scratch, &hook);
	struct syn_ack syn_ack = { .mss = CHALLENGE_MSS };

	if (!pkt)
		return STEP_DONE;
	if (is_group_frame(ctx))
		return drop(pkt, REASON_DROP_FLOOD);
	if (make_syn_cookie(ctx, pkt, &syn_ack))
		reply(pkt, REASON_SYN_COOKIE);
	else
		syn_ack.ack = make_challenge(pkt);
	return write_syn_ack(ctx, pkt, &syn_ack) ? STEP_DONE :
						   drop(pkt, REASON_DROP_FLOOD);
}

/* Does an ACK without a flow return a valid SYN cookie? */
__noinline int check_syn_cookie(struct xdp_md *ctx)
{
	__u32 hook = HOOK_XDP;
	struct pkt *pkt = bpf_map_lookup_elem(&scratch, &hook);
	struct socket_headers at;
	struct bpf_sock *socket;
	int valid;

	if (!pkt || !is_flood_within(pkt, COOKIE_TICKS) ||
	    !load_socket_headers(ctx, pkt, &at) ||
	    !is_for_this_host(ctx, pkt, &at))
		return 0;
	socket = find_listener(ctx, pkt, &at);
	if (!socket)
		return 0;
	valid = bpf_tcp_check_syncookie(socket, at.ip, at.ip_size, at.tcp,
					at.tcp_size);
	bpf_sk_release(socket);
	if (valid)
		return 0;
	client_add_credit(pkt, PROVEN_BY_COOKIE);
	return 1;
}

/* The ACK that completes a handshake without a flow. */
static __always_inline bool may_carry_syn_cookie(const struct pkt *pkt)
{
	return FLOOD_LIMIT && !BRIDGE && pkt->in.protocol == IPPROTO_TCP &&
	       !pkt->flow.meta && pkt->env.is_fast_parsed &&
	       !pkt->full.tunnel &&
	       (pkt->in.tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) ==
		       TCP_ACK;
}

#endif
