/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The flow table, writing side: claim a lane, publish a flow, judge one anew.
 *
 * Insert:
 *  1. find; the two tag words it read are the expectation of every exchange
 *     below, so nothing that came into those buckets since goes unseen;
 *  2. take a lane: of a free one by exchanging the tag word, of a victim by
 *     exchanging its meta word to BUSY first, then the tag word;
 *  3. look at the other bucket once more. Of two CPUs that claimed a lane for
 *     one flow in different buckets at least one sees the other's tag here
 *     (both exchanges are full barriers), and who sees it gives up its lane;
 *  4. write the line, then exchange meta from BUSY to the new state.
 * Give up: clear the tag; the line stays BUSY, which is what a free line is.
 * A packet whose CPU lost a race keeps its own verdict and writes nothing.
 */
#ifndef BAILEY_FLOW_INSERT_H
#define BAILEY_FLOW_INSERT_H

#include "core/step.h"
#include "flow/account.h"
#include "flow/claim.h"

static __always_inline __u32 state_opened(struct pkt *pkt)
{
	switch (pkt->protocol) {
	case IPPROTO_TCP:
		/* A segment from the middle of a connection has yet to be
		 * answered from the other side. */
		return pkt->opens  ? STATE_TCP_SYN_SENT :
		       pkt->cookie ? STATE_TCP_ESTABLISHED :
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

static __always_inline __u64 meta_opened(struct pkt *pkt, __u32 serial)
{
	__u32 flags = pkt->from_low != pkt->reversed ? FLOW_ORIG_LOW : 0;

	if ((pkt->hook == HOOK_XDP) != pkt->reversed)
		flags |= FLOW_FROM_OUTSIDE;
	if (pkt->reversed || pkt->cookie)
		flags |= FLOW_REPLIED;
	/* During the warm-up policy was asked about the one who did open it. */
	if (!pkt->opens && !pkt->warm && !pkt->cookie)
		flags |= FLOW_MIDSTREAM;
	return meta_make(serial, state_opened(pkt), flags,
			 control_epoch(pkt->control), pkt->now);
}

static __always_inline __u64 rules_word(struct pkt *pkt)
{
	__u64 rules = (__u64)(pkt->egress & CELL_RULE_MASK)
			      << RULES_EGRESS_SHIFT |
		      (__u64)(pkt->ingress & CELL_RULE_MASK)
			      << RULES_INGRESS_SHIFT |
		      (__u64)pkt->part << RULES_OPENED_SHIFT;

	if (pkt->egress & CELL_DENY)
		rules |= RULES_DENY_EGRESS;
	if (pkt->ingress & CELL_DENY)
		rules |= RULES_DENY_INGRESS;
	return rules;
}

/* Both directions' counters start again with this packet. */
static __always_inline void counts_restart(struct pkt *pkt)
{
	__u32 lane = pkt->found_lane & (FLOW_LANES - 1);
	__u32 bucket = pkt->found_bucket; /* on the stack: 6.1 takes keys from there */
	struct flow_bucket *line;
	__u32 own = !pkt->from_low;

	if (!FLOW_COUNTERS)
		return;
	line = bpf_map_lookup_elem(&flows, &bucket);
	if (!line)
		return;
	line->count[own][lane].packets = pkt->packets;
	line->count[own][lane].bytes = pkt->bytes;
	line->count[!own][lane].packets = 0;
	line->count[!own][lane].bytes = 0;
}

/* What the sender's first packet says of the sequence numbers, or tags. */
static __always_inline void acks_restart(struct pkt *pkt,
					 struct flow_entry *entry)
{
	__u32 own = pkt->from_low ? 0 : 1;
	bool tcp = pkt->protocol == IPPROTO_TCP;

	entry->ack[own] = pkt->opens && tcp ? 0 : pkt->ack;
	entry->ack[!own] = tcp ? pkt->sequence + pkt->opens : 0;
}

/* One try. A global function: the verifier walks it once, not once per try. */
__noinline int flow_insert_once(struct pkt *pkt)
{
	struct flow_entry *entry;
	__u64 words[2] = {};
	enum claim claim;
	__u32 serial;
	enum find find;
	__u64 meta;

	if (!pkt)
		return CLAIM_FULL;
	find = flow_find(pkt, words);
	if (find == FIND_HIT && meta_state(pkt->found) == STATE_DENIED)
		return CLAIM_DENIED;
	if (find != FIND_MISS)
		return CLAIM_OTHER;
	claim = claim_lane(pkt, words);
	if (claim != CLAIM_DONE)
		return claim;
	entry = flow_entry_at(pkt->found_bucket, pkt->found_lane);
	if (!entry)
		return CLAIM_FULL;
	if (claimed_elsewhere(pkt)) {
		lane_release(pkt->found_bucket, pkt->found_lane);
		return CLAIM_OTHER;
	}
	entry->key = pkt->key;
	entry->rules = rules_word(pkt);
	acks_restart(pkt, entry);
	counts_restart(pkt);
	serial = meta_serial(READ_ONCE(entry->meta)) + 1;
	meta = meta_opened(pkt, serial);
	if (pkt->cookie && source_exhausted(&pkt->key, meta))
		meta ^= STATE_TCP_ESTABLISHED ^ STATE_TCP_SYN_RECV;
	__sync_lock_test_and_set(&entry->meta, meta);
	source_account(&pkt->key, 0, meta);
	return CLAIM_DONE;
}

static __always_inline enum step flow_insert(struct pkt *pkt)
{
	int i, claim = CLAIM_RETRY;

	for (i = 0; i < FLOW_TRIES && claim == CLAIM_RETRY; i++)
		claim = flow_insert_once(pkt);
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
		pkt->new_flow = 1;
		flow_event(FLOW_INSERTED);
		if (pkt->cookie)
			flow_event(FLOW_COOKIE);
	}
	return pass(pkt, REASON_PASS_NEW);
}

/*
 * Gives the flow that was found a new meta word and the rules of this verdict.
 * 0 if another CPU changed it meanwhile: that one's word stays. It may carry
 * a newer epoch, and a flow that is still stale is judged at its next packet.
 */
__noinline int flow_rewrite(struct pkt *pkt, __u64 next, int restart)
{
	struct flow_entry *entry;

	if (!pkt || pkt->found & META_LOCKED)
		return 0;
	entry = flow_entry_at(pkt->found_bucket, pkt->found_lane);
	if (!entry)
		return 0;
	if (__sync_val_compare_and_swap(&entry->meta, pkt->found,
					pkt->found | META_LOCKED) != pkt->found)
		return 0;
	if (!key_equal(&entry->key, &pkt->key)) {
		/* Another flow came here with an equal meta word. */
		__sync_lock_test_and_set(&entry->meta, pkt->found);
		return 0;
	}
	entry->rules = rules_word(pkt);
	pkt->new_flow = !!restart;
	if (restart) {
		acks_restart(pkt, entry);
		counts_restart(pkt);
	}
	__sync_lock_test_and_set(&entry->meta, next);
	source_account(&pkt->key, pkt->found, next);
	if (!restart)
		flow_count(pkt, pkt->found_bucket, pkt->found_lane);
	return 1;
}

#endif
