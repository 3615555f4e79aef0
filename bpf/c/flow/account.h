/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Counters and rules of a flow-table entry. */
#ifndef BAILEY_FLOW_ACCOUNT_H
#define BAILEY_FLOW_ACCOUNT_H

#include "core/maps.h"

/* Counters of the direction in which this packet travels. */
static __always_inline struct flow_count *
flow_count_at(bool sender_is_lower, struct flow_bucket *bucket_data, __u32 slot)
{
	return &bucket_data->count[!sender_is_lower][slot & (FLOW_SLOTS - 1)];
}

static __always_inline void count_flow(struct pkt *pkt, __u32 bucket,
				       __u32 slot)
{
	struct flow_bucket *bucket_data;
	struct flow_count *count;

	if (!FLOW_COUNTERS || pkt->full.icmp_error || pkt->env.is_evaluated)
		return;
	bucket_data = bpf_map_lookup_elem(&flows, &bucket);
	if (!bucket_data)
		return;
	count = flow_count_at(pkt->in.sender_is_lower, bucket_data, slot);
	count->packets += pkt->env.packets;
	count->bytes += pkt->in.bytes;
}

static __always_inline void read_flow_rules(struct pkt *pkt, __u64 rules)
{
	pkt->out.egress_cell = rules >> RULES_EGRESS_SHIFT & RULES_MASK;
	pkt->out.ingress_cell = rules >> RULES_INGRESS_SHIFT & RULES_MASK;
	if (rules & RULES_DENY_EGRESS)
		pkt->out.egress_cell |= CELL_DENY;
	if (rules & RULES_DENY_INGRESS)
		pkt->out.ingress_cell |= CELL_DENY;
}

#endif
