/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Flood defence: limits new flows that arrive on a NIC while more arrive than
 * the flow table can take.
 *
 * Below FLOOD_LIMIT every new flow is admitted. Above it, TCP clients must pass
 * a challenge, all other new flows share one rate, and each source has a rate
 * of its own. Flows created from inside are never limited.
 *
 * normal -share of FLOOD_LIMIT per window exceeded-> flood
 * flood -FLOOD_CALM_WINDOWS windows below half of it-> normal
 */
#ifndef BAILEY_GUARD_FLOOD_H
#define BAILEY_GUARD_FLOOD_H

#include "core/events.h"
#include "core/step.h"
#include "core/token_bucket.h"
#include "guard/challenge.h"

/* New flows per window, of all CPUs; 0: unlimited. */
volatile const __u32 FLOOD_LIMIT = 0;
#define FLOOD_LIMIT_MIN 2 /* per CPU; half of it ends a flood */
/* Nanoseconds per flow and per full bucket; even. */
volatile const __u64 UNPROVEN_INTERVAL = 0;
volatile const __u64 UNPROVEN_BURST = 0;
volatile const __u64 SOURCE_INTERVAL = 0; /* 0: unlimited */
volatile const __u64 SOURCE_BURST = 0;

/* Has any CPU seen a flood within the last ticks? */
static __always_inline bool is_flood_within(struct pkt *pkt, __u32 ticks)
{
	__u64 flooded = READ_ONCE(control.flooded);

	return flooded && ticks_since(flooded, pkt->env.now) < ticks;
}

static __always_inline void flood_record(struct pkt *pkt)
{
	__u64 stamp = pkt->env.now ?: 1;

	if (READ_ONCE(control.flooded) != stamp)
		WRITE_ONCE(control.flooded, stamp);
}

/* New flows per window that this CPU admits before it sees a flood. */
static __always_inline __u32 flood_share(void)
{
	__u32 receivers = (__u32)READ_ONCE(control.receivers) ?: 1;
	__u32 limit = FLOOD_LIMIT / receivers;

	return limit < FLOOD_LIMIT_MIN ? FLOOD_LIMIT_MIN : limit;
}

/* The counters of this CPU, if flows of this side of the NIC count. */
static __always_inline struct flood_cpu *flood_counters(bool from_external)
{
	__u32 at = bpf_get_smp_processor_id();

	if (!FLOOD_LIMIT || (INTERNAL_COUNT && !from_external))
		return NULL;
	return bpf_map_lookup_elem(&flood_cpus, &at);
}

/* Is one more new flow one of many in its window: no flood, no new window, no
 * excess? Else flood_step() must decide. now: nanoseconds */
static __always_inline bool flood_is_calm(__u64 now, bool from_external)
{
	struct flood_cpu *cpu = flood_counters(from_external);

	return !cpu ||
	       (!cpu->flood && cpu->window == now >> FLOOD_WINDOW_SHIFT &&
		cpu->opened < flood_share());
}

static __always_inline void flood_count_calm(bool from_external)
{
	struct flood_cpu *cpu = flood_counters(from_external);

	if (cpu)
		cpu->opened += 1;
}

/* Counts a new flow and returns whether this CPU sees a flood. Only this CPU
 * writes to cpu. */
static __always_inline bool flood_update(struct pkt *pkt, struct flood_cpu *cpu,
					 __u64 now)
{
	__u32 limit = flood_share();
	__u64 window = now >> FLOOD_WINDOW_SHIFT;

	if (window != cpu->window) {
		if (cpu->opened > limit / 2)
			cpu->calm = cpu->window + 1;
		cpu->window = window;
		cpu->opened = 0;
		if (cpu->flood && window - cpu->calm >= FLOOD_CALM_WINDOWS) {
			cpu->flood = 0;
			flow_event(FLOW_FLOOD_ENDED);
		}
	}
	cpu->opened += 1;
	if (!cpu->flood && cpu->opened > limit) {
		cpu->flood = (__u64)pkt->env.now + 1;
		cpu->calm = window;
		flow_event(FLOW_FLOOD_BEGAN);
	}
	if (cpu->flood)
		flood_record(pkt);
	return cpu->flood;
}

/* Only a plain TCP SYN can be challenged. */
static __always_inline bool may_be_challenged(const struct pkt *pkt)
{
	return pkt->in.protocol == IPPROTO_TCP && pkt->in.may_create_flow &&
	       !pkt->full.tunnel && !pkt->full.fragment &&
	       pkt->env.is_fast_parsed;
}

/* Admits, challenges or drops a new flow that policy allows. */
__noinline int flood_step(struct pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__u32 at = bpf_get_smp_processor_id();
	__u64 interval, burst, *bucket;
	struct flood_cpu *cpu;
	__u32 receivers;
	bool is_proven;

	cpu = bpf_map_lookup_elem(&flood_cpus, &at);
	if (!pkt || !cpu)
		return STEP_CONTINUE;
	/* Exempt: flows of the internal side, and midstream pickup in warm-up
	 * mode. */
	if ((INTERNAL_COUNT && !pkt->env.from_external) ||
	    (pkt->env.is_warm_up && !pkt->in.may_create_flow))
		return STEP_CONTINUE;
	receivers = (__u32)READ_ONCE(control.receivers) ?: 1;
	if (!flood_update(pkt, cpu, now) || pkt->out.has_syn_cookie)
		return STEP_CONTINUE;
	/* A flood: spend a passed challenge, or send a challenge. */
	interval = UNPROVEN_INTERVAL * receivers;
	burst = interval > UNPROVEN_BURST ? interval : UNPROVEN_BURST;
	is_proven = pkt->in.protocol == IPPROTO_TCP &&
		    pkt->in.may_create_flow && client_take_credit(pkt);
	bucket = &cpu->unproven;
	if (!is_proven && may_be_challenged(pkt)) {
		if (!is_syn_retransmission(pkt, now))
			return reply(pkt, REASON_CHALLENGED);
		bucket = &cpu->retried;
	}
	/* Separate shares per source for proven and unproven flows: spoofed
	 * packets must not use up the rate of the real owner of the address. */
	if (!source_bucket_take(&source_rates, &pkt->key,
				pkt->in.sender_is_lower, is_proven, now,
				SOURCE_INTERVAL, SOURCE_BURST))
		return drop(pkt, REASON_DROP_FLOOD_SOURCE);
	if (!is_proven && !token_bucket_take(bucket, now, interval, burst))
		return drop(pkt, REASON_DROP_FLOOD);
	if (bucket == &cpu->retried)
		flow_event(FLOW_SYN_RETRANSMITTED);
	return STEP_CONTINUE;
}

#endif
