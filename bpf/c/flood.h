/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * What may open a flow while more want to than the table can take. Below the limit
 * nobody is asked for anything. Above it TCP clients prove their address, what has
 * none to prove shares a rate, and no source gets more than its own. What this side
 * opens is never held up.
 */
#ifndef BAILEY_FLOOD_H
#define BAILEY_FLOOD_H

#include "bucket.h"
#include "proof.h"

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

volatile const __u32 FLOOD_LIMIT = 0; /* new flows per window and CPU; 0 = any */
/* Nanoseconds per flow, and for a whole bucket; even. */
volatile const __u64 UNPROVEN_INTERVAL = 0;
volatile const __u64 UNPROVEN_BURST = 0;
volatile const __u64 SOURCE_INTERVAL = 0; /* 0 = no limit */
volatile const __u64 SOURCE_BURST = 0;

/* For other CPUs, and the first packets after it is over. */
static __always_inline void flood_note(struct pkt *pkt)
{
	__u32 zero = 0;
	struct control *in_force = bpf_map_lookup_elem(&control, &zero);
	__u64 stamp = pkt->now ?: 1;

	if (in_force && READ_ONCE(in_force->flooded) != stamp)
		WRITE_ONCE(in_force->flooded, stamp);
}

/* Counts one more and tells whether there is a flood. Only this CPU writes here. */
static __always_inline bool flood_now(struct pkt *pkt, struct flood_cpu *cpu,
				      __u64 now)
{
	__u64 window = now >> FLOOD_WINDOW_SHIFT;

	if (window != cpu->window) {
		if (cpu->opened > FLOOD_LIMIT / 2)
			cpu->calm = cpu->window + 1;
		cpu->window = window;
		cpu->opened = 0;
		if (cpu->flood && window - cpu->calm >= FLOOD_CALM_WINDOWS) {
			cpu->flood = 0;
			flow_event(FLOW_FLOOD_ENDED);
		}
	}
	cpu->opened += 1;
	if (!cpu->flood && cpu->opened > FLOOD_LIMIT) {
		cpu->flood = (__u64)pkt->now + 1;
		cpu->calm = window;
		flow_event(FLOW_FLOOD_BEGAN);
	}
	if (cpu->flood)
		flood_note(pkt);
	return cpu->flood;
}

static __always_inline bool source_rate_takes(struct pkt *pkt, __u64 now)
{
	struct source_cells cells;
	int first, second;

	if (!SOURCE_INTERVAL ||
	    !source_cells(&source_rates, &pkt->key, pkt->from_low, 0, &cells))
		return true;
	first = bucket_take(cells.first, now, SOURCE_INTERVAL, SOURCE_BURST);
	second = bucket_take(cells.second, now, SOURCE_INTERVAL, SOURCE_BURST);
	return first || second;
}

/* Can this frame be answered? Else its sender can prove nothing. */
static __always_inline bool answerable(const struct pkt *pkt)
{
	return pkt->protocol == IPPROTO_TCP && pkt->opens && !pkt->tunnel &&
	       !pkt->fragment && pkt->plain;
}

/* A packet that policy allows and that would open a flow. */
__noinline int flood_step(struct pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__u32 at = bpf_get_smp_processor_id();
	struct flood_cpu *cpu;
	__u64 *bucket;
	bool proven;

	cpu = bpf_map_lookup_elem(&flood_cpus, &at);
	if (!pkt || !cpu || !flood_now(pkt, cpu, now))
		return STEP_CONTINUE;
	proven = pkt->cookie || (pkt->protocol == IPPROTO_TCP && pkt->opens &&
				 client_proven(pkt));
	bucket = &cpu->unproven;
	if (!proven && answerable(pkt)) {
		if (!syn_retried(pkt, now))
			return answer(pkt, REASON_CHALLENGED);
		bucket = &cpu->retried;
	}
	if (!source_rate_takes(pkt, now))
		return drop(pkt, REASON_DROP_FLOOD_SOURCE);
	if (!proven &&
	    !bucket_take(bucket, now, UNPROVEN_INTERVAL, UNPROVEN_BURST))
		return drop(pkt, REASON_DROP_FLOOD);
	if (bucket == &cpu->retried)
		flow_event(FLOW_RETRIED);
	return STEP_CONTINUE;
}

#endif
