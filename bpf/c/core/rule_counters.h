/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Counters of rules, in the region of this CPU; see struct rule_counter. */
#ifndef BAILEY_CORE_RULE_COUNTERS_H
#define BAILEY_CORE_RULE_COUNTERS_H

#include "core/maps.h"
#include "core/ticks.h"

static __always_inline struct rule_counter *rule_counter_at(__u32 cpu,
							    __u32 rule)
{
	__u32 index = cpu * RULE_STRIDE + rule;

	if (rule == RULE_NONE || rule >= RULE_STRIDE)
		return NULL;
	return bpf_map_lookup_elem(&rule_counters, &index);
}

/* The amounts by which one packet raises the counters of its rules. */
struct rule_amounts {
	__u32 cpu;
	__u32 hits;
	__u32 packets;
	__u32 bytes;
	__u32 now; /* ticks */
};

static __always_inline void count_cell(__u32 cell,
				       const struct rule_amounts *by)
{
	struct rule_counter *counter =
		rule_counter_at(by->cpu, cell & CELL_RULE_MASK);

	if (!counter)
		return;
	counter->hits += by->hits;
	counter->packets += by->packets;
	counter->bytes += by->bytes;
	counter->seen = by->now;
}

/* A denied packet counts only for the side that denies. */
static __always_inline void count_cells(__u32 egress, __u32 ingress,
					bool denied,
					const struct rule_amounts *by)
{
	if (!denied || egress & CELL_DENY)
		count_cell(egress, by);
	/* Fixed rules have one id for both sides; count such a rule once. */
	if (denied ? ingress & CELL_DENY : ingress != egress)
		count_cell(ingress, by);
}

/* The counters of a flow, both senders together. */
struct flow_sum {
	__u64 packets;
	__u64 bytes;
	__u32 seen; /* ticks */
};

static __always_inline void fold_into(__u32 cpu, __u32 rule,
				      const struct flow_sum *sum, bool moved)
{
	struct rule_counter *counter = rule_counter_at(cpu, rule);

	if (!counter)
		return;
	if (moved) {
		counter->moved_packets += sum->packets;
		counter->moved_bytes += sum->bytes;
		return;
	}
	if (!(counter->hits | counter->packets) ||
	    ((sum->seen - (__u32)counter->seen) & TICK_MASK) < TICK_MASK / 2)
		counter->seen = sum->seen;
	counter->packets += sum->packets;
	counter->bytes += sum->bytes;
}

/* Adds the counters of a flow to those of two rules. */
static __always_inline void fold_into_rules(__u32 egress, __u32 ingress,
					    const struct flow_sum *sum,
					    bool moved)
{
	__u32 cpu = bpf_get_smp_processor_id();

	fold_into(cpu, egress, sum, moved);
	if (ingress != egress)
		fold_into(cpu, ingress, sum, moved);
}

#endif
