/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The floor: the least work of a stateful firewall for a packet of an established
 * TCP connection over IPv4. The program checks the lengths of the headers, hashes
 * the tuple with secret keys, reads one cache line of an array, compares the whole
 * tuple, adds to the flow's counter and to the outcome's counter, and returns.
 *
 * The floor omits all other work of a firewall: policy, TCP state and sequence
 * numbers, time, timeouts, removal of flows, epochs, VLAN tags, IPv6, other
 * protocols, martian addresses. A SYN without a flow always creates one. Other
 * packets without a flow are dropped, and counted as such.
 *
 * Both tables are global variables, so an access needs no map lookup. The program
 * changes the tables without locks: one CPU at a time may run the program.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#define MAX_SLOTS (1 << 21)
/* At half fill the longest run of used slots is far shorter. */
#define MAX_PROBES 128
#define MAX_CPUS 256 /* a power of two */

#define ETHERTYPE_AT 12
#define TCP_BYTES 20
#define TCP_OFFSET_AT 12
#define TCP_FLAGS_AT 13
#define TCP_SYN 2
#define TCP_ACK 16

/* One cache line. Both directions of a connection share one entry. */
struct flow {
	__u64 addresses; /* in network byte order, the lower one first */
	__u64 service; /* both ports in the same order, and the protocol; 0: free */
	__u64 packets, bytes;
	__u64 unused[4];
};

/* The loader sets the size of this array to a power of two. */
struct flow flows[MAX_SLOTS] SEC(".bss.flows");

/* The loader writes these constants. */
const volatile struct {
	__u64 spread; /* odd */
	__u32 keys[4];
	__u32 slot_mask; /* number of slots - 1 */
	__u32 unused;
} config SEC(".rodata.config");

enum outcome { PASS_FLOW, PASS_NEW, DROP_POLICY, DROP_OTHER, OUTCOMES };

struct count {
	__u64 packets, bytes;
};

struct count outcomes[MAX_CPUS][OUTCOMES] SEC(".bss.outcomes");

static __always_inline int leave(enum outcome outcome, __u32 bytes)
{
	__u32 cpu = bpf_get_smp_processor_id() & (MAX_CPUS - 1);

	outcomes[cpu][outcome].packets += 1;
	outcomes[cpu][outcome].bytes += bytes;
	return outcome <= PASS_NEW ? XDP_PASS : XDP_DROP;
}

static __always_inline struct flow *flow_at(__u64 slot)
{
	/* The verifier must see the mask, which the loader limits to the array. */
	return &flows[slot & config.slot_mask];
}

static __always_inline bool is_flow(const struct flow *flow, __u64 addresses,
				    __u64 service)
{
	return !((flow->addresses ^ addresses) | (flow->service ^ service));
}

/* NH: a sum of products of words, each word with a key of its own. */
static __always_inline __u64 hash(__u64 addresses, __u64 service)
{
	__u32 low = addresses, high = addresses >> 32;
	__u32 ports = service, protocol = service >> 32;
	__u64 sum = (__u64)(low + config.keys[0]) * (high + config.keys[1]);

	sum += (__u64)(ports + config.keys[2]) * (protocol + config.keys[3]);
	return (sum ^ sum >> 32) * config.spread >> 40;
}

/*
 * The slot of a flow that is not in its first slot: the next slots hold it, up to
 * the first free one. A new flow gets the free slot. Negative: there is no such
 * flow, and none may be created. A global function, so that the verifier walks
 * the loop once.
 */
__noinline int probe(__u64 addresses, __u64 service, __u32 first,
		     bool may_create)
{
	for (__u32 step = 0; step < MAX_PROBES; step++) {
		__u32 slot = (first + step) & config.slot_mask;
		struct flow *flow = flow_at(slot);

		if (is_flow(flow, addresses, service))
			return slot;
		if (flow->service)
			continue;
		if (!may_create)
			return -1;
		flow->addresses = addresses;
		flow->service = service;
		return slot;
	}
	return -1;
}

SEC("xdp")
int floor_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	__u8 *tcp = (void *)(ip + 1);
	__u32 bytes = end - data, total, header, source, destination, ports;
	enum outcome outcome = PASS_FLOW;
	__u64 addresses, service, slot;
	struct flow *flow;

	/* Read the headers. */
	if ((void *)(tcp + TCP_BYTES) > end ||
	    *(__be16 *)(data + ETHERTYPE_AT) != bpf_htons(ETH_P_IP))
		return leave(DROP_OTHER, bytes);
	total = bpf_ntohs(ip->tot_len);
	header = tcp[TCP_OFFSET_AT] >> 4 << 2;
	if (*(__u8 *)ip != 0x45 || ip->protocol != IPPROTO_TCP ||
	    ip->frag_off & bpf_htons(0x3fff) || total > bytes - ETH_HLEN ||
	    header < TCP_BYTES || sizeof(*ip) + header > total)
		return leave(DROP_OTHER, bytes);

	/* Make one tuple of both directions. */
	source = ip->saddr;
	destination = ip->daddr;
	ports = *(__u32 *)tcp;
	if (source < destination) {
		addresses = (__u64)destination << 32 | source;
	} else {
		addresses = (__u64)source << 32 | destination;
		ports = ports >> 16 | ports << 16;
	}
	service = (__u64)IPPROTO_TCP << 32 | ports;

	/* Find the flow, and count. */
	slot = hash(addresses, service);
	flow = flow_at(slot);
	if (!is_flow(flow, addresses, service)) {
		__u8 flags = tcp[TCP_FLAGS_AT] & (TCP_SYN | TCP_ACK);
		int found = probe(addresses, service, slot, flags == TCP_SYN);

		if (found < 0)
			return leave(DROP_OTHER, bytes);
		flow = flow_at(found);
		if (!flow->packets)
			outcome = PASS_NEW;
	}
	flow->packets += 1;
	flow->bytes += bytes;
	return leave(outcome, bytes);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
