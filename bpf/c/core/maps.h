/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Maps and load-time constants that all programs of all generations share.
 *
 * User space creates the maps, sets their sizes and pins them; the sizes given
 * here are the smallest that load. The program arrays and the scratch maps
 * belong to one build of the programs, because the layout of struct pkt is
 * private to a build.
 */
#ifndef BAILEY_CORE_MAPS_H
#define BAILEY_CORE_MAPS_H

#include "core/pkt.h"
#include "core/shared_value.h"

/* An array that user space maps into its memory. */
#define ARRAY(name, value_type, entries)           \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, entries);      \
		__type(key, __u32);                \
		__type(value, value_type);         \
	} name SEC(".maps")

SHARED_VALUE(struct control, control);

/* The control word that names the generation for the probe. */
SHARED_VALUE(struct control, probe_control);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} policies_xdp SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} policies_tc SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} policies_probe SEC(".maps");

/* One packet per CPU and hook: a probe never overwrites a live packet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOKS);
	__type(key, __u32);
	__type(value, struct pkt);
} scratch SEC(".maps");

/* Copy of the first bytes of a frame, per CPU and hook. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOKS);
	__type(key, __u32);
	__type(value, struct headers);
} headers SEC(".maps");

/* The flow table. Of a table that is too large for direct addresses, the two
 * maps *_large have the entries and the counters, as arrays. */
SHARED_TABLE(struct flow_entry, flows);
SHARED_TABLE(__u64, flow_tags);
SHARED_TABLE(struct flow_count, flow_counts6);
SHARED_VALUE(struct flow_keys, flow_keys);
SHARED_TABLE(struct record, records);
SHARED_VALUE(struct capture, capture);
ARRAY(flows_large, struct flow_bucket, 1);
ARRAY(flow_counts6_large, struct flow_count, 1);
ARRAY(reason_counters, struct reason_counters, HOOKS);
ARRAY(rule_counters, struct rule_counter, RULE_FIRST);
ARRAY(interfaces, __u64, IFINDEX_MAX);
ARRAY(interface_names, struct interface_name, INTERFACE_SLOTS);

/* Bridge: the peer port, by the ifindex of the ingress interface. Router: the
 * attached interfaces, by their own ifindex. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, INTERFACE_SLOTS);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} bridge_ports SEC(".maps");

/* Frames redirected to the peer port but not sent, by the slot of the ingress
 * interface. */
ARRAY(bridge_lost, __u64, INTERFACE_SLOTS);
ARRAY(source_flows, __u64, 1 << SOURCE_BITS);
ARRAY(flow_events, struct flow_events, 1);

/* Floods and rate limits: see flood.h, challenge.h and rate_limit.h. */
ARRAY(flood_cpus, struct flood_cpu, 1);
ARRAY(source_rates, __u64, 1 << SOURCE_BITS);

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROVEN_CLIENTS);
	__type(key, struct client);
	__type(value, struct proof);
} proven SEC(".maps");

/* Two records per word: {hash:16, time:16}. */
ARRAY(syn_records, __u64, 1 << SYN_RECORD_BITS);
ARRAY(limit_states, struct limit_state, RULE_FIRST);
ARRAY(limit_sources, __u64, 1 << SOURCE_BITS);

/* Perf rings of a process that captures frames, by CPU; see core/capture.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, CAPTURE_CPUS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} capture_rings SEC(".maps");

/* Load-time constants, equal in all programs that share the maps above. */
volatile const __u32 FLOW_BUCKET_BITS = 1; /* log2 of the number of buckets */
volatile const __u32 RULE_STRIDE = RULE_FIRST;
volatile const __u32 FLOWS_DIRECT = 1; /* 0: the maps *_large are used */
/* Offsets of the last entry, tag word and counter, in bytes. */
volatile const __u64 FLOWS_MASK = sizeof(struct flow_entry);
volatile const __u64 FLOW_TAGS_MASK = sizeof(__u64);
volatile const __u64 FLOW_COUNTS6_MASK = sizeof(struct flow_count);
volatile const __u32 SOURCE_LIMIT = 0; /* flows per source, 0: unlimited */
volatile const __u32 EVICT_LIVE_AFTER = ~0U; /* idle ticks, see find_victim */
/* Internal prefixes; 0: no interface is external. */
volatile const __u32 INTERNAL_COUNT = 0;
/* The kernel routes of this machine forward what passes XDP. */
volatile const __u32 ROUTER = 0;
volatile const __u32 BRIDGE = 0; /* what passes XDP goes to the peer port */
/* In ticks, by enum flow_state. */
volatile const __u32 TIMEOUTS[STATE_COUNT] = {};

static __always_inline __u64 *interface_word(__u32 ifindex)
{
	__u32 low = ifindex & (IFINDEX_MAX - 1);

	return bpf_map_lookup_elem(&interfaces, &low);
}

#endif
