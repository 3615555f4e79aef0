/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Maps that all programs of all generations share, by pin. User space sets the
 * sizes when it creates them; the ones given here are the smallest that load.
 * The program arrays and the scratch belong to one build of the programs: a
 * packet in the making has no layout that another build must know. */
#ifndef BAILEY_MAPS_H
#define BAILEY_MAPS_H

#include "base.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

/* The generation that the probe is to use: a control word. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} probe_control SEC(".maps");

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

/* Each hook has a packet of its own: a probe never disturbs live traffic. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOKS);
	__type(key, __u32);
	__type(value, struct pkt);
} scratch SEC(".maps");

/* The first bytes of a frame, likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOKS);
	__type(key, __u32);
	__type(value, struct headers);
} headers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} flow_tags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct flow_bucket);
} flows SEC(".maps");

/* Packets and bytes, a map per direction: the CPUs of the two directions share
 * no line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct flow_counts);
} flow_counts_low SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct flow_counts);
} flow_counts_high SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_keys);
} flow_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HOOKS);
	__type(key, __u32);
	__type(value, struct reason_counters);
} reason_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RULE_FIRST);
	__type(key, __u32);
	__type(value, struct rule_counter);
} rule_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, IFINDEX_MAX);
	__type(key, __u32);
	__type(value, __u64);
} interfaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, INTERFACE_SLOTS);
	__type(key, __u32);
	__type(value, struct interface_name);
} interface_names SEC(".maps");

/* Bridge: the other side, by the ifindex that a frame came in through. Router: the
 * interfaces that are attached to, by their own. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, INTERFACE_SLOTS);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} bridge_ports SEC(".maps");

/* Frames that were handed to the other side and not sent, by the slot of the
 * interface that they came in through. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, INTERFACE_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} bridge_lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << SOURCE_BITS);
	__type(key, __u32);
	__type(value, __u64);
} source_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_events);
} flow_events SEC(".maps");

/* Floods and limits of rules, see flood.h, proof.h and rate_limit.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flood_cpu);
} flood_cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << SOURCE_BITS);
	__type(key, __u32);
	__type(value, __u64);
} source_rates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROVEN_CLIENTS);
	__type(key, struct client);
	__type(value, struct proof);
} proven SEC(".maps");

/* Two records a word: {hash:16, time:16}. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << SYN_RECORD_BITS);
	__type(key, __u32);
	__type(value, __u64);
} syn_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RULE_FIRST);
	__type(key, __u32);
	__type(value, struct limit_state);
} limit_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << SOURCE_BITS);
	__type(key, __u32);
	__type(value, __u64);
} limit_sources SEC(".maps");

/* Set by the loader, the same in every program that shares the maps above. */
volatile const __u32 FLOW_BUCKET_BITS = 1; /* log2 of the number of buckets */
volatile const __u32 RULE_STRIDE = RULE_FIRST;
volatile const __u32 FLOW_COUNTERS = 1;    /* count packets and bytes per flow */
volatile const __u32 SOURCE_LIMIT = 0;     /* flows per source, 0 = no limit */
volatile const __u32 LAST_RESORT = ~0U;    /* ticks of idleness, see flow_scan */
volatile const __u32 INSIDE_COUNT = 0;     /* 0: no interface is known to be outside */
volatile const __u32 BRIDGE = 0;           /* what passes XDP goes to the other side */
volatile const __u32 TIMEOUTS[STATE_COUNT] = {}; /* ticks, by enum flow_state */

#endif
