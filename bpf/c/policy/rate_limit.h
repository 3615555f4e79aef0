/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Rate limits of rules: new flows per time, in total and per source. */
#ifndef BAILEY_POLICY_RATE_LIMIT_H
#define BAILEY_POLICY_RATE_LIMIT_H

#include "core/step.h"
#include "core/token_bucket.h"
#include "policy/chunks.h"

ARRAY(rule_limits, struct u32_chunk, 1); /* rule -> limit, 0: none */
ARRAY(limits, struct rule_limit, 1);

volatile const __u32 LIMITS = 0; /* 0: no rule of this generation has a limit */

/* Does the limit of the cell's rule admit one more flow? */
static __always_inline bool may_rule_admit(struct pkt *pkt, __u32 cell,
					   __u64 now)
{
	__u32 rule = cell & CELL_RULE_MASK, index = 0;
	bool low = pkt->in.sender_is_lower != pkt->out.is_reversed;
	struct limit_state *state;
	struct rule_limit *limit;

	if (!u32_at(&rule_limits, rule, &index) || !index)
		return true;
	limit = bpf_map_lookup_elem(&limits, &index);
	state = bpf_map_lookup_elem(&limit_states, &rule);
	if (!limit || !state)
		return true;
	if (source_bucket_take(&limit_sources, &pkt->key, low, rule, now,
			       limit->source_interval, limit->source_burst) &&
	    (!limit->interval ||
	     token_bucket_take(&state->bucket, now, limit->interval,
			       limit->burst)))
		return true;
	__sync_fetch_and_add(&state->limited, pkt->env.packets);
	return false;
}

/* Checks both rules of a packet that policy allows and that creates a flow. */
__noinline int rate_limit_step(struct pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!pkt || pkt->env.is_warm_up)
		return STEP_CONTINUE;
	if (may_rule_admit(pkt, pkt->out.egress_cell, now) &&
	    may_rule_admit(pkt, pkt->out.ingress_cell, now))
		return STEP_CONTINUE;
	return drop(pkt, REASON_DROP_RATE_LIMIT);
}

#endif
