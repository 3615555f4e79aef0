/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Moves the counters of a flow into those of its rules, when the flow ends or
 * other rules decide it; see struct rule_counter.
 */
#ifndef BAILEY_FLOW_FOLD_H
#define BAILEY_FLOW_FOLD_H

#include "flow/account.h"

#define FOLD_OLD 1   /* add to the rules that the entry has */
#define FOLD_NEW 2   /* add to the moved_* counters of the rules of pkt->out */
#define FOLD_RESET 4 /* set the counters to 0 */

/* The low bits of a sender's packets, and the bytes with the bits above. If a
 * counter wraps meanwhile, both are read again. */
static __always_inline __u32 sum_packets(const struct flow_ipv4 *ipv4,
					 __u32 sender, __u64 *bytes)
{
	__u64 before = READ_ONCE(ipv4->bytes[sender]);
	__u32 packets = READ_ONCE(ipv4->packets[sender]);

	*bytes = READ_ONCE(ipv4->bytes[sender]);
	if ((before ^ *bytes) >> COUNT_CARRY_SHIFT)
		packets = READ_ONCE(ipv4->packets[sender]);
	return packets;
}

/* The counters of an IPv4 entry. Two reads would differ if a packet came
 * between them, so a reset is an exchange. */
static __always_inline void sum_ipv4(struct flow_ipv4 *ipv4, bool reset,
				     struct flow_sum *sum)
{
	__u64 first, second;

	if (reset) {
		sum->packets = __sync_lock_test_and_set(&ipv4->packets[0], 0);
		sum->packets += __sync_lock_test_and_set(&ipv4->packets[1], 0);
		first = __sync_lock_test_and_set(&ipv4->bytes[0], 0);
		second = __sync_lock_test_and_set(&ipv4->bytes[1], 0);
	} else {
		sum->packets = sum_packets(ipv4, 0, &first);
		sum->packets += sum_packets(ipv4, 1, &second);
	}
	sum->packets +=
		((first >> COUNT_CARRY_SHIFT) + (second >> COUNT_CARRY_SHIFT))
		<< 32;
	sum->bytes = (first & COUNT_BYTES_MASK) + (second & COUNT_BYTES_MASK);
}

static __always_inline void sum_ipv6(__u64 index, bool reset,
				     struct flow_sum *sum)
{
	struct flow_count *low = flow_count6_of(0, index);
	struct flow_count *high = flow_count6_of(1, index);

	if (!low || !high)
		return;
	if (reset) {
		sum->packets = __sync_lock_test_and_set(&low->packets, 0);
		sum->packets += __sync_lock_test_and_set(&high->packets, 0);
		sum->bytes = __sync_lock_test_and_set(&low->bytes, 0);
		sum->bytes += __sync_lock_test_and_set(&high->bytes, 0);
	} else {
		sum->packets = READ_ONCE(low->packets);
		sum->packets += READ_ONCE(high->packets);
		sum->bytes = READ_ONCE(low->bytes);
		sum->bytes += READ_ONCE(high->bytes);
	}
}

/* Folds the flow at pkt->flow, whose metadata word was meta. This CPU holds the
 * entry (BUSY or LOCKED). A global function, so that the verifier checks it
 * once. */
__noinline int flow_fold(struct pkt *pkt, __u64 meta, int how)
{
	struct flow_sum sum = { .seen = meta_seen(meta) };
	struct flow_entry *entry;
	__u64 index, rules;

	if (!pkt)
		return 0;
	index = flow_index(pkt->flow.bucket, pkt->flow.slot);
	entry = flow_entry_of(index);
	if (!entry)
		return 0;
	if (meta & META_IPV6)
		sum_ipv6(index, how & FOLD_RESET, &sum);
	else
		sum_ipv4((void *)entry->body, how & FOLD_RESET, &sum);
	rules = READ_ONCE(entry->rules);
	if (how & FOLD_OLD)
		fold_into_rules(rules >> RULES_EGRESS_SHIFT & RULES_MASK,
				rules >> RULES_INGRESS_SHIFT & RULES_MASK, &sum,
				false);
	if (how & FOLD_NEW)
		fold_into_rules(pkt->out.egress_cell & CELL_RULE_MASK,
				pkt->out.ingress_cell & CELL_RULE_MASK, &sum,
				true);
	return 0;
}

/* The FOLD_* flags of a change of the metadata word. A tombstone contributes
 * nothing to its rules. */
static __always_inline int fold_of_change(__u64 before, __u64 after,
					  bool same_rules)
{
	bool was = meta_state(before) != STATE_DENIED;
	bool is = meta_state(after) != STATE_DENIED;

	if (was && is && same_rules)
		return 0;
	return (was ? FOLD_OLD : 0) | (is ? FOLD_NEW : 0);
}

#endif
