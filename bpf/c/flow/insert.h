/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Creates and rewrites entries of the flow table.
 *
 * Insert:
 *  1. Look up the flow. The two tag words that were read are the expected
 *     values of every exchange below, so no later insert goes unnoticed.
 *  2. Claim a slot. Free slot: exchange the tag word. Victim: exchange its
 *     metadata word to BUSY first, then the tag word.
 *  3. Look up the flow again. If two CPUs claimed slots for one flow in
 *     different buckets, at least one of them sees the tag of the other (both
 *     exchanges are full barriers) and gives up its own slot.
 *  4. Write the entry, then publish its metadata word. A CPU that sees the word
 *     sees the entry: stores stay in order.
 * All free entries are BUSY. No program is killed or preempted between claim and
 * publication, so an entry that a program has claimed needs no time.
 *
 * A packet whose CPU loses a race keeps its own verdict and writes nothing.
 */
#ifndef BAILEY_FLOW_INSERT_H
#define BAILEY_FLOW_INSERT_H

#include "core/step.h"
#include "flow/account.h"
#include "flow/claim.h"

static __always_inline __u32 initial_state(struct pkt *pkt)
{
	switch (pkt->in.protocol) {
	case IPPROTO_TCP:
		/* A midstream segment still needs a reply. */
		return pkt->in.may_create_flow ? STATE_TCP_SYN_SENT :
		       pkt->out.has_syn_cookie ? STATE_TCP_ESTABLISHED :
						 STATE_TCP_SYN_RECV;
	case IPPROTO_UDP:
		return STATE_UDP_NEW;
	case IPPROTO_SCTP:
		return STATE_SCTP_NEW;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return STATE_ICMP_NEW;
	}
	return STATE_OTHER_NEW;
}

/* identity: see meta_word.h */
static __always_inline __u64 initial_meta(struct pkt *pkt, __u64 identity)
{
	__u32 flags = pkt->in.sender_is_lower != pkt->out.is_reversed ?
			      FLOW_ORIG_LOW :
			      0;

	if ((pkt->env.hook == HOOK_XDP) != pkt->out.is_reversed)
		flags |= FLOW_FROM_NIC;
	if (pkt->out.is_reversed || pkt->out.has_syn_cookie)
		flags |= FLOW_REPLIED;
	/* In warm-up mode the policy was evaluated in the direction of the real
	 * opener. */
	if (!pkt->in.may_create_flow && !pkt->env.is_warm_up &&
	    !pkt->out.has_syn_cookie)
		flags |= FLOW_MIDSTREAM;
	return meta_make(identity, initial_state(pkt), flags,
			 control_epoch(pkt->env.control), pkt->env.now);
}

#define RULES_IDS \
	(RULES_MASK << RULES_EGRESS_SHIFT | RULES_MASK << RULES_INGRESS_SHIFT)

static __always_inline __u64 rules_of_cells(__u32 egress, __u32 ingress,
					    __u32 tick_fraction)
{
	__u64 rules = (__u64)(egress & CELL_RULE_MASK) << RULES_EGRESS_SHIFT |
		      (__u64)(ingress & CELL_RULE_MASK) << RULES_INGRESS_SHIFT |
		      (__u64)tick_fraction << RULES_OPENED_SHIFT;

	if (egress & CELL_DENY)
		rules |= RULES_DENY_EGRESS;
	if (ingress & CELL_DENY)
		rules |= RULES_DENY_INGRESS;
	return rules;
}

static __always_inline __u64 pack_rules(struct pkt *pkt)
{
	return rules_of_cells(pkt->out.egress_cell, pkt->out.ingress_cell,
			      pkt->env.tick_fraction);
}

/* Records the sequence numbers or the tag of the first packet. */
static __always_inline void reset_flow_acks(struct pkt *pkt,
					    struct flow_entry *entry)
{
	__u32 own = pkt->in.sender_is_lower ? 0 : 1;
	bool tcp = pkt->in.protocol == IPPROTO_TCP;

	entry->ack[own] = pkt->in.may_create_flow && tcp ? 0 : pkt->in.ack;
	entry->ack[!own] = tcp ? pkt->in.sequence + pkt->in.may_create_flow : 0;
}

/* One attempt. A global function, so that the verifier checks it once. */
__noinline int flow_try_insert(struct pkt *pkt)
{
	struct flow_entry *entry;
	__u64 words[2] = {};
	enum claim claim;
	enum find_result find;
	__u64 meta;

	if (!pkt)
		return CLAIM_FULL;
	/* Step 1. */
	find = flow_find(pkt, words);
	if (find == FIND_HIT && meta_state(pkt->flow.meta) == STATE_DENIED)
		return CLAIM_DENIED;
	if (find != FIND_MISS)
		return CLAIM_OTHER;
	/* Step 2. */
	claim = claim_slot(pkt, words);
	if (claim != CLAIM_DONE)
		return claim;
	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!entry)
		return CLAIM_FULL;
	/* Step 3. */
	if (is_claimed_elsewhere(pkt)) {
		give_up(pkt, entry);
		return CLAIM_OTHER;
	}
	/* Step 4. */
	entry_set_key(entry, &pkt->key, pkt->in.kind);
	entry->rules = pack_rules(pkt);
	reset_flow_acks(pkt, entry);
	/* The ingress hook has counted an evaluated packet. */
	begin_flow_counters(entry, flow_index(pkt->flow.bucket, pkt->flow.slot),
			    pkt->in.kind, !pkt->in.sender_is_lower,
			    pkt->env.is_evaluated ? 0 : pkt->env.packets,
			    pkt->env.is_evaluated ? 0 : pkt->in.bytes);
	pkt->out.is_counted = 1;
	meta = initial_meta(pkt, pkt->flow.identity);
	if (pkt->out.has_syn_cookie && is_source_exhausted(&pkt->key, meta))
		meta ^= STATE_TCP_ESTABLISHED ^ STATE_TCP_SYN_RECV;
	meta_publish(&entry->meta, meta);
	account_source(&pkt->key, 0, meta);
	return CLAIM_DONE;
}

static __always_inline enum step flow_insert(struct pkt *pkt)
{
	int i, claim = CLAIM_RETRY;

	for (i = 0; i < FLOW_TRIES && claim == CLAIM_RETRY; i++)
		claim = flow_try_insert(pkt);
	if (claim == CLAIM_DENIED)
		return drop(pkt, REASON_DROP_FLOW_DENIED);
	if (claim == CLAIM_FULL) {
		flow_event(FLOW_REFUSED_FULL);
		return drop(pkt, REASON_DROP_FLOW_TABLE_FULL);
	}
	if (claim == CLAIM_RETRY) {
		flow_event(FLOW_REFUSED_CONTENTION);
		return drop(pkt, REASON_DROP_FLOW_CONTENTION);
	}
	if (claim == CLAIM_DONE) {
		pkt->out.is_new_flow = 1;
		flow_event(FLOW_INSERTED);
		if (pkt->out.has_syn_cookie)
			flow_event(FLOW_COOKIE);
	}
	return pass(pkt, REASON_PASS_NEW);
}

/* Can another CPU count a packet of the flow without a lock? */
static __always_inline bool is_on_fast_path(struct pkt *pkt, __u64 meta)
{
	__u32 state = meta_state(meta);

	return (state == STATE_TCP_ESTABLISHED || state == STATE_UDP_REPLIED) &&
	       !flow_expired(pkt, meta);
}

/*
 * Writes a new metadata word and the rules of this verdict to the matching
 * flow. Returns 0 if another CPU changed the flow meanwhile; the word of that
 * CPU stays. That word may carry a newer epoch; if not, the next packet
 * revalidates the flow.
 */
__noinline int flow_update(struct pkt *pkt, __u64 next, int restart)
{
	struct flow_entry *entry;
	__u64 rules;
	int fold;

	if (!pkt || pkt->flow.meta & META_LOCKED)
		return 0;
	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!entry)
		return 0;
	/* Lock the entry, then write it. The entry leaves its rules before the new
	 * word is visible: a reader of the counters never counts a packet
	 * twice. */
	if (__sync_val_compare_and_swap(&entry->meta, pkt->flow.meta,
					pkt->flow.meta | META_LOCKED) !=
	    pkt->flow.meta)
		return 0;
	if (!is_flow_of(entry, pkt->flow.meta, pkt)) {
		/* A flow with an equal metadata word reused the entry. */
		__sync_lock_test_and_set(&entry->meta, pkt->flow.meta);
		return 0;
	}
	rules = pack_rules(pkt);
	fold = fold_of_change(pkt->flow.meta, next,
			      !((entry->rules ^ rules) & RULES_IDS));
	/* A flow of the fast path keeps its counters: a plain addition on another
	 * CPU would store the former numbers again. */
	if (restart && !is_on_fast_path(pkt, pkt->flow.meta))
		fold = FOLD_RESET |
		       (meta_state(pkt->flow.meta) != STATE_DENIED ? FOLD_OLD :
								     0);
	if (fold)
		flow_fold(pkt, pkt->flow.meta, fold);
	entry->rules = rules;
	pkt->out.is_new_flow = !!restart;
	if (restart)
		reset_flow_acks(pkt, entry);
	__sync_lock_test_and_set(&entry->meta, next);
	account_source(&pkt->key, pkt->flow.meta, next);
	if (meta_state(next) != STATE_DENIED)
		count_flow(pkt, next);
	return 1;
}

#endif
