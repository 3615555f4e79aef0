/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * What may open a flow while more want to than the table can take. Below the limit
 * nobody is asked for anything. Above it TCP clients prove their address, what has
 * none to prove shares a rate, and no source gets more than its own. What this side
 * opens is never held up.
 */
#ifndef BAILEY_GUARD_FLOOD_H
#define BAILEY_GUARD_FLOOD_H

#include "core/events.h"
#include "core/step.h"
#include "core/token_bucket.h"
#include "guard/challenge.h"

volatile const __u32 FLOOD_LIMIT =
	0;                /* new flows per window, of all CPUs; 0 = any */
#define FLOOD_LIMIT_MIN 2 /* of a CPU: half of it is its end */
/* Nanoseconds per flow, and for a whole bucket; even. */
volatile const __u64 UNPROVEN_INTERVAL = 0;
volatile const __u64 UNPROVEN_BURST = 0;
volatile const __u64 SOURCE_INTERVAL = 0; /* 0 = no limit */
volatile const __u64 SOURCE_BURST = 0;

/* Has any CPU seen a flood so lately? */
static __always_inline bool is_flood_within(struct pkt *pkt, __u32 ticks)
{
	struct control *in_force = active_control();
	__u64 flooded = in_force ? READ_ONCE(in_force->flooded) : 0;

	return flooded && ticks_since(flooded, pkt->env.now) < ticks;
}

static __always_inline void flood_record(struct pkt *pkt,
					 struct control *in_force)
{
	__u64 stamp = pkt->env.now ?: 1;

	if (READ_ONCE(in_force->flooded) != stamp)
		WRITE_ONCE(in_force->flooded, stamp);
}

/* Counts one more and tells whether there is a flood. Only this CPU writes here. */
static __always_inline bool flood_update(struct pkt *pkt, struct flood_cpu *cpu,
					 struct control *in_force,
					 __u32 receivers, __u64 now)
{
	__u32 limit = FLOOD_LIMIT / receivers;
	__u64 window = now >> FLOOD_WINDOW_SHIFT;

	if (limit < FLOOD_LIMIT_MIN)
		limit = FLOOD_LIMIT_MIN;
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
		flood_record(pkt, in_force);
	return cpu->flood;
}

/* Can this frame be answered? Else its sender can prove nothing. */
static __always_inline bool may_be_challenged(const struct pkt *pkt)
{
	return pkt->in.protocol == IPPROTO_TCP && pkt->in.may_create_flow &&
	       !pkt->full.tunnel && !pkt->full.fragment &&
	       pkt->env.is_fast_parsed;
}

/* A packet that policy allows and that would open a flow. */
__noinline int flood_step(struct pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__u32 at = bpf_get_smp_processor_id();
	struct control *in_force = active_control();
	__u64 interval, burst, *bucket;
	struct flood_cpu *cpu;
	__u32 receivers;
	bool proven;

	cpu = bpf_map_lookup_elem(&flood_cpus, &at);
	if (!pkt || !cpu || !in_force)
		return STEP_CONTINUE;
	/* What this side opens; and what the warm-up takes up where it is. */
	if ((INTERNAL_COUNT && !pkt->env.from_external) ||
	    (pkt->env.is_warm_up && !pkt->in.may_create_flow))
		return STEP_CONTINUE;
	receivers = (__u32)READ_ONCE(in_force->receivers) ?: 1;
	if (!flood_update(pkt, cpu, in_force, receivers, now) ||
	    pkt->out.has_syn_cookie)
		return STEP_CONTINUE;
	interval = UNPROVEN_INTERVAL * receivers;
	burst = interval > UNPROVEN_BURST ? interval : UNPROVEN_BURST;
	proven = pkt->in.protocol == IPPROTO_TCP && pkt->in.may_create_flow &&
		 client_take_credit(pkt);
	bucket = &cpu->unproven;
	if (!proven && may_be_challenged(pkt)) {
		if (!is_syn_retransmission(pkt, now))
			return reply(pkt, REASON_CHALLENGED);
		bucket = &cpu->retried;
	}
	/* What is forged must not use up what the one has whose name it bears:
	 * sources have a share for what is proven and another one for the rest. */
	if (!source_bucket_take(&source_rates, &pkt->key,
				pkt->in.sender_is_lower, proven, now,
				SOURCE_INTERVAL, SOURCE_BURST))
		return drop(pkt, REASON_DROP_FLOOD_SOURCE);
	if (!proven && !token_bucket_take(bucket, now, interval, burst))
		return drop(pkt, REASON_DROP_FLOOD);
	if (bucket == &cpu->retried)
		flow_event(FLOW_SYN_RETRANSMITTED);
	return STEP_CONTINUE;
}

#endif
