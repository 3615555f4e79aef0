/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The LRU-hash/LPM baseline: a stateful firewall for the same policies, with the
 * kernel's own map types. Conntrack is an LRU hash, prefixes are an LPM trie, and
 * verdicts are a hash of (identity, protocol, port).
 *
 * The baseline is as fast as this design allows: preallocated maps, LRU lists and
 * counters per CPU, no events, keys of one family only, no repeated lookup. It
 * omits work that Bailey does: sequence checks, fragments, extension headers, VLAN
 * tags, ICMP errors, flood defence, per-rule counters.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#define memcpy __builtin_memcpy

#define FLOWS 1048576    /* the loader sets each of these sizes */
#define PREFIXES 1048576
#define POLICIES 131072
#define ENDPOINTS 65536

#define TCP_FLAGS_AT 13
#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

/* Both directions of a flow share one entry, see ipv4(). */
struct flow4 {
	__be32 ours, theirs;
	__be16 our_port, their_port;
	__u8 protocol, pad[3];
};

struct flow6 {
	__be32 ours[4], theirs[4];
	__be16 our_port, their_port;
	__u8 protocol, pad[3];
};

struct flow {
	__u64 packets, bytes;
	__u32 seen; /* seconds */
	__u8 flags, closing, pad[2];
};

struct prefix4 {
	__u32 bits;
	__be32 address;
};

struct prefix6 {
	__u32 bits;
	__be32 address[4];
};

struct rule {
	__u32 subject, peer;
	__be16 port;
	__u8 protocol, pad;
};

#define MAP(kind, entries, flags, key_type, value_type, name) \
	struct {                                              \
		__uint(type, kind);                           \
		__uint(max_entries, entries);                 \
		__uint(map_flags, flags);                     \
		__type(key, key_type);                        \
		__type(value, value_type);                    \
	} name SEC(".maps")

MAP(BPF_MAP_TYPE_LRU_HASH, FLOWS, BPF_F_NO_COMMON_LRU, struct flow4, struct flow, flows4);
MAP(BPF_MAP_TYPE_LRU_HASH, FLOWS, BPF_F_NO_COMMON_LRU, struct flow6, struct flow, flows6);
MAP(BPF_MAP_TYPE_LPM_TRIE, PREFIXES, BPF_F_NO_PREALLOC, struct prefix4, __u32, prefixes4);
MAP(BPF_MAP_TYPE_LPM_TRIE, PREFIXES, BPF_F_NO_PREALLOC, struct prefix6, __u32, prefixes6);
MAP(BPF_MAP_TYPE_HASH, ENDPOINTS, 0, __be32, __u32, endpoints4);
MAP(BPF_MAP_TYPE_HASH, ENDPOINTS, 0, struct in6_addr, __u32, endpoints6);
MAP(BPF_MAP_TYPE_HASH, POLICIES, 0, struct rule, __u8, policies);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 0, __u32, __u64, verdicts);

enum verdict { PASS_FLOW, PASS_NEW, DROP_POLICY, DROP_OTHER };

static __always_inline int leave(__u32 verdict)
{
	__u64 *count = bpf_map_lookup_elem(&verdicts, &verdict);

	if (count)
		*count += 1;
	return verdict <= PASS_NEW ? XDP_PASS : XDP_DROP;
}

static __always_inline void account(struct flow *flow, __u32 bytes, __u8 tcp)
{
	__u32 now = bpf_ktime_get_coarse_ns() >> 30;

	flow->packets += 1;
	flow->bytes += bytes;
	if (flow->seen != now)
		flow->seen = now;
	if (tcp & (TCP_FIN | TCP_RST))
		flow->closing = 1;
}

/* Looks up the most specific entry first. */
static __always_inline bool allowed(__u32 subject, __u32 peer, __be16 port,
				    __u8 protocol)
{
	struct rule rule = { subject, peer, port, protocol, 0 };

	if (bpf_map_lookup_elem(&policies, &rule))
		return true;
	rule.port = 0;
	rule.protocol = 0;
	if (bpf_map_lookup_elem(&policies, &rule))
		return true;
	rule.peer = 0;
	rule.port = port;
	rule.protocol = protocol;
	return bpf_map_lookup_elem(&policies, &rule);
}

struct l4 {
	__be16 source, destination;
};

/* Reads the ports, and the TCP flags. */
static __always_inline bool ports(void *at, void *end, __u8 protocol,
				  struct l4 *l4, __u8 *tcp)
{
	__u8 *bytes = at;

	if (protocol == IPPROTO_TCP) {
		if (at + 20 > end)
			return false;
		*tcp = bytes[TCP_FLAGS_AT];
	} else if (protocol != IPPROTO_UDP || at + 8 > end) {
		return false;
	}
	memcpy(l4, at, sizeof(*l4));
	return true;
}

static __always_inline int new_flow(void *flows, const void *key, __u32 subject,
				    __u32 peer, const struct l4 *l4,
				    __u8 protocol, __u8 tcp, __u32 bytes)
{
	struct flow flow = { .packets = 1, .bytes = bytes };

	if (protocol == IPPROTO_TCP && (tcp & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return leave(DROP_OTHER);
	if (!allowed(subject, peer, l4->destination, protocol))
		return leave(DROP_POLICY);
	flow.seen = bpf_ktime_get_coarse_ns() >> 30;
	bpf_map_update_elem(flows, key, &flow, BPF_ANY);
	return leave(PASS_NEW);
}

static __always_inline int ipv4(void *data, void *end, __u32 bytes)
{
	struct iphdr *ip = data + ETH_HLEN;
	__u32 *subject, *peer, from, to;
	struct flow4 key = {};
	struct prefix4 prefix = { .bits = 32 };
	struct flow *flow;
	struct l4 l4;
	__u8 tcp = 0;

	if ((void *)(ip + 1) > end || ip->ihl != 5 ||
	    ip->frag_off & bpf_htons(0x3fff) ||
	    !ports(ip + 1, end, ip->protocol, &l4, &tcp))
		return leave(DROP_OTHER);
	from = bpf_ntohl(ip->saddr);
	to = bpf_ntohl(ip->daddr);
	/* Normalize the direction: the lower address is "ours". */
	if (from < to) {
		key.ours = ip->saddr;
		key.theirs = ip->daddr;
		key.our_port = l4.source;
		key.their_port = l4.destination;
	} else {
		key.ours = ip->daddr;
		key.theirs = ip->saddr;
		key.our_port = l4.destination;
		key.their_port = l4.source;
	}
	key.protocol = ip->protocol;
	flow = bpf_map_lookup_elem(&flows4, &key);
	if (flow) {
		account(flow, bytes, tcp);
		return leave(PASS_FLOW);
	}
	subject = bpf_map_lookup_elem(&endpoints4, &ip->daddr);
	if (!subject)
		return leave(PASS_NEW);
	prefix.address = ip->saddr;
	peer = bpf_map_lookup_elem(&prefixes4, &prefix);
	return new_flow(&flows4, &key, *subject, peer ? *peer : 0, &l4,
			ip->protocol, tcp, bytes);
}

static __always_inline int ipv6(void *data, void *end, __u32 bytes)
{
	struct ipv6hdr *ip = data + ETH_HLEN;
	struct prefix6 prefix = { .bits = 128 };
	struct flow6 key = {};
	struct in6_addr address;
	__u32 *subject, *peer;
	struct flow *flow;
	struct l4 l4;
	__u8 tcp = 0;
	__u64 from, to;

	if ((void *)(ip + 1) > end ||
	    !ports(ip + 1, end, ip->nexthdr, &l4, &tcp))
		return leave(DROP_OTHER);
	memcpy(&from, &ip->saddr, 8);
	memcpy(&to, &ip->daddr, 8);
	if (from == to) {
		memcpy(&from, (void *)&ip->saddr + 8, 8);
		memcpy(&to, (void *)&ip->daddr + 8, 8);
	}
	if (from < to) {
		memcpy(key.ours, &ip->saddr, 16);
		memcpy(key.theirs, &ip->daddr, 16);
		key.our_port = l4.source;
		key.their_port = l4.destination;
	} else {
		memcpy(key.ours, &ip->daddr, 16);
		memcpy(key.theirs, &ip->saddr, 16);
		key.our_port = l4.destination;
		key.their_port = l4.source;
	}
	key.protocol = ip->nexthdr;
	flow = bpf_map_lookup_elem(&flows6, &key);
	if (flow) {
		account(flow, bytes, tcp);
		return leave(PASS_FLOW);
	}
	memcpy(&address, &ip->daddr, 16);
	subject = bpf_map_lookup_elem(&endpoints6, &address);
	if (!subject)
		return leave(PASS_NEW);
	memcpy(prefix.address, &ip->saddr, 16);
	peer = bpf_map_lookup_elem(&prefixes6, &prefix);
	return new_flow(&flows6, &key, *subject, peer ? *peer : 0, &l4,
			ip->nexthdr, tcp, bytes);
}

SEC("xdp")
int reference(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u32 bytes = end - data;

	if ((void *)(eth + 1) > end)
		return leave(DROP_OTHER);
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return ipv4(data, end, bytes);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return ipv6(data, end, bytes);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
