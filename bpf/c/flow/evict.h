/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Choice of the entry that a new flow may evict from a full bucket. */
#ifndef BAILEY_FLOW_EVICT_H
#define BAILEY_FLOW_EVICT_H

#include "flow/find.h"

/* Eviction order: a rank per state. A half-open flow created from a NIC ranks
 * one higher. An expired flow of any state ranks highest. A live flow has no
 * rank until it has been idle for EVICT_LIVE_AFTER. */
#define RANK_IDLE 1
#define RANK_HALF_OPEN 2
#define RANK_CLOSED 4
#define RANK_EXPIRED 8
#define AGE_SHIFT 10  /* above the fraction of the tick */
#define RANK_SHIFT 34 /* above the age */

static const __u8 RANKS[STATE_COUNT] = {
	[STATE_TCP_SYN_SENT] = RANK_HALF_OPEN,
	[STATE_TCP_SYN_RECV] = RANK_HALF_OPEN,
	[STATE_TCP_TIME_WAIT] = RANK_CLOSED,
	[STATE_CLOSED] = RANK_CLOSED,
	[STATE_UDP_NEW] = RANK_HALF_OPEN,
	[STATE_ICMP_NEW] = RANK_HALF_OPEN,
	[STATE_SCTP_NEW] = RANK_HALF_OPEN,
	[STATE_OTHER_NEW] = RANK_HALF_OPEN,
	[STATE_DENIED] = RANK_CLOSED,
};

static const __u8 HALF_OPEN[STATE_COUNT] = {
	[STATE_TCP_SYN_SENT] = 1, [STATE_TCP_SYN_RECV] = 1,
	[STATE_UDP_NEW] = 1,      [STATE_ICMP_NEW] = 1,
	[STATE_SCTP_NEW] = 1,     [STATE_OTHER_NEW] = 1,
};

/* Result of find_victim(): score:56, half-open slots:4, slot:4. A score of 0:
 * no entry of the bucket may be evicted. */
#define SCAN_SCORE(scan) ((scan) >> 8)
#define SCAN_HALF_OPEN(scan) ((__u32)((scan) >> 4) & 0xf)
#define SCAN_SLOT(scan) ((__u32)(scan) & (FLOW_SLOTS - 1))

/* Finds the entry of a bucket with the highest eviction score and leaves its
 * metadata word in pkt->flow.victim_meta. A global function, so that the
 * verifier checks it once. */
__noinline __u64 find_victim(struct pkt *pkt, __u32 bucket)
{
	__u64 best = 0, victim = 0, half_open_slots = 0;
	struct flow_bucket *bucket_data;
	__u32 slot, scale;

	if (!pkt)
		return 0;
	scale = pkt->env.timeout_scale;
	bucket_data = flow_bucket_at(bucket);
	if (!bucket_data)
		return 0;
#pragma unroll
	for (slot = 0; slot < FLOW_SLOTS; slot++) {
		__u64 meta = READ_ONCE(bucket_data->entry[slot].meta);
		__u32 state = meta_state(meta) & (STATE_COUNT - 1);
		__u64 age = flow_age(meta, pkt->env.now);
		__u64 half_open = HALF_OPEN[state];
		__u64 rank, score, better, later;

		/* Rank: state, then expiry, then the last resort. */
		rank = RANKS[state] +
		       (half_open & meta_flags(meta) / FLOW_FROM_NIC);
		rank |= mask_below(scaled_timeout(TIMEOUTS[state], scale),
				   age) &
			RANK_EXPIRED;
		rank |= mask_below(EVICT_LIVE_AFTER, age) &
			mask_below(rank, 1) & RANK_IDLE;
		/* Within a rank: the oldest, then the first created in its
		 * tick. No rank: no score, at any age. */
		later = READ_ONCE(bucket_data->entry[slot].rules) >>
				RULES_OPENED_SHIFT &
			RULES_OPENED_MASK;
		score = rank << RANK_SHIFT | age << AGE_SHIFT |
			(RULES_OPENED_MASK - later);
		score &= mask_below(0, rank);
		/* Never evict an entry that another CPU is writing (BUSY or
		 * LOCKED). */
		score &= mask_below(0, state) &
			 mask_below(meta & META_LOCKED, 1);
		/* Keep the best entry so far, without a branch. */
		score = score << 8 | slot;
		better = mask_below(best | 0xff, score);
		best ^= (best ^ score) & better;
		victim ^= (victim ^ meta) & better;
		half_open_slots += half_open;
	}
	pkt->flow.victim_meta = victim;
	return best | half_open_slots << 4;
}

static __always_inline enum flow_event eviction_event(__u64 score)
{
	__u32 rank = score >> RANK_SHIFT;

	if (rank >= RANK_EXPIRED)
		return FLOW_EVICTED_EXPIRED;
	if (rank >= RANK_CLOSED)
		return FLOW_EVICTED_CLOSED;
	return rank >= RANK_HALF_OPEN ? FLOW_EVICTED_HALF_OPEN :
					FLOW_EVICTED_IDLE;
}

#endif
