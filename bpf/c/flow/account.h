/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Counters and rules of a flow-table entry. */
#ifndef BAILEY_FLOW_ACCOUNT_H
#define BAILEY_FLOW_ACCOUNT_H

#include "core/rule_counters.h"
#include "flow/entry.h"

/* Added to the bytes of an IPv4 flow when its 32-bit packet counter wraps. */
#define COUNT_CARRY (1ULL << COUNT_CARRY_SHIFT)

/* Does the slot still hold the flow that has this metadata word? */
static __always_inline bool is_still(const struct flow_entry *entry, __u64 meta)
{
	__u64 now = READ_ONCE(entry->meta);

	return !((now ^ meta) & META_IDENTITY) && meta_state(now) != STATE_BUSY;
}

/*
 * Counts a packet of the flow in pkt->flow, whose metadata word is meta, for the
 * direction in which the packet travels. Flows that may end while packets come
 * are counted here, so the additions are atomic. The fast path adds without
 * locks.
 *
 * The look at the entry keeps a packet from counting in a flow that has taken
 * the slot since; between that look and the addition this may still happen, for
 * one packet. A packet that its flow does not count counts for its rules.
 */
static __always_inline void count_flow(struct pkt *pkt, __u64 meta)
{
	__u64 index = flow_index(pkt->flow.bucket, pkt->flow.slot);
	struct flow_entry *entry = flow_entry_of(index);
	__u32 sender = !pkt->in.sender_is_lower;
	struct flow_count *count;
	struct flow_ipv4 *ipv4;
	__u64 bytes = pkt->in.bytes;
	__u32 before;

	/* The ingress hook has counted an evaluated packet; see count_rules(). */
	if (!entry || pkt->full.icmp_error || pkt->env.is_evaluated)
		return;
	if (meta & META_IPV6) {
		count = flow_count6_of(sender, index);
		if (!count || !is_still(entry, meta))
			return;
		__sync_fetch_and_add(&count->packets, pkt->env.packets);
		__sync_fetch_and_add(&count->bytes, bytes);
		pkt->out.is_counted = 1;
		return;
	}
	ipv4 = (void *)entry->body;
	if (!is_still(entry, meta))
		return;
	before = __sync_fetch_and_add(&ipv4->packets[sender & 1],
				      pkt->env.packets);
	if (before + pkt->env.packets < before)
		bytes += COUNT_CARRY;
	__sync_fetch_and_add(&ipv4->bytes[sender & 1], bytes);
	pkt->out.is_counted = 1;
}

/* Sets the counters of a new flow to those of its first packet. sender: as in
 * flow_count6_of(). Under BUSY only. */
static __always_inline bool begin_flow_counters(struct flow_entry *entry,
						__u64 index, __u32 kind,
						__u32 sender, __u32 packets,
						__u32 bytes)
{
	struct flow_ipv4 *ipv4 = (void *)entry->body;
	struct flow_count *own, *other;

	if (kind != KIND_IPV6) {
		ipv4->packets[sender & 1] = packets;
		ipv4->packets[!sender] = 0;
		ipv4->bytes[sender & 1] = bytes;
		ipv4->bytes[!sender] = 0;
		return true;
	}
	own = flow_count6_of(sender, index);
	other = flow_count6_of(!sender, index);
	if (!own || !other)
		return false;
	own->packets = packets;
	own->bytes = bytes;
	other->packets = 0;
	other->bytes = 0;
	return true;
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
