/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* . */
#ifndef BAILEY_FLOW_ACCOUNT_H
#define BAILEY_FLOW_ACCOUNT_H

#include "core/maps.h"

/* What the packet's sender has sent. */
static __always_inline struct flow_count *
flow_count_at(const struct pkt *pkt, struct flow_bucket *line, __u32 lane)
{
	return &line->count[!pkt->from_low][lane & (FLOW_LANES - 1)];
}

static __always_inline void flow_count(struct pkt *pkt, __u32 bucket,
				       __u32 lane)
{
	struct flow_bucket *line;
	struct flow_count *count;

	if (!FLOW_COUNTERS || pkt->related || pkt->judged)
		return;
	line = bpf_map_lookup_elem(&flows, &bucket);
	if (!line)
		return;
	count = flow_count_at(pkt, line, lane);
	count->packets += pkt->packets;
	count->bytes += pkt->bytes;
}

static __always_inline void flow_rules(struct pkt *pkt, __u64 rules)
{
	pkt->egress = rules >> RULES_EGRESS_SHIFT & RULES_MASK;
	pkt->ingress = rules >> RULES_INGRESS_SHIFT & RULES_MASK;
	if (rules & RULES_DENY_EGRESS)
		pkt->egress |= CELL_DENY;
	if (rules & RULES_DENY_INGRESS)
		pkt->ingress |= CELL_DENY;
}

#endif
