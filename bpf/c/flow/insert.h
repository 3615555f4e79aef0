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

#include "flow/advance.h"

enum claim {
	CLAIM_DONE,
	CLAIM_OTHER, /* another CPU is inserting or changing this flow */
	CLAIM_DENIED, /* it is there, as a tombstone */
	CLAIM_FULL,
	CLAIM_RETRY,
};

/* Eviction order, a rank per state. A half-open flow gains one if it was opened
 * from outside; an expired flow of any state beats them all. A live flow has
 * none until it has been idle for LAST_RESORT. */
#define RANK_IDLE 1
#define RANK_HALF_OPEN 2
#define RANK_OVER 4
#define RANK_EXPIRED 8
#define AGE_SHIFT 10  /* above the part of the tick */
#define RANK_SHIFT 34 /* above the age */

static const __u8 RANKS[STATE_COUNT] = {
	[STATE_TCP_SYN_SENT] = RANK_HALF_OPEN,
	[STATE_TCP_SYN_RECV] = RANK_HALF_OPEN,
	[STATE_TCP_TIME_WAIT] = RANK_OVER,
	[STATE_CLOSED] = RANK_OVER,
	[STATE_UDP_NEW] = RANK_HALF_OPEN,
	[STATE_ICMP_NEW] = RANK_HALF_OPEN,
	[STATE_SCTP_NEW] = RANK_HALF_OPEN,
	[STATE_OTHER_NEW] = RANK_HALF_OPEN,
	[STATE_DENIED] = RANK_OVER,
};

static const __u8 HALF_OPEN[STATE_COUNT] = {
	[STATE_TCP_SYN_SENT] = 1, [STATE_TCP_SYN_RECV] = 1,
	[STATE_UDP_NEW] = 1,	  [STATE_ICMP_NEW] = 1,
	[STATE_SCTP_NEW] = 1,	  [STATE_OTHER_NEW] = 1,
};

/* A scan's answer: score:56, half-open lanes:4, lane:4. A score of 0 means that
 * nothing in the bucket may be evicted. */
#define SCAN_SCORE(scan) ((scan) >> 8)
#define SCAN_HALF_OPEN(scan) ((__u32)((scan) >> 4) & 0xf)
#define SCAN_LANE(scan) ((__u32)(scan) & (FLOW_LANES - 1))

/*
 * Finds the lane of a bucket that may be evicted first and leaves its meta word
 * in pkt->victim. A global function, verified once.
 */
__noinline __u64 flow_scan(struct pkt *pkt, __u32 bucket)
{
	__u64 best = 0, victim = 0, half_open_lanes = 0;
	struct flow_bucket *line;
	__u32 lane, scale;

	if (!pkt)
		return 0;
	scale = pkt->scale;
	line = bpf_map_lookup_elem(&flows, &bucket);
	if (!line)
		return 0;
#pragma unroll
	for (lane = 0; lane < FLOW_LANES; lane++) {
		__u64 meta = READ_ONCE(line->lane[lane].meta);
		__u32 state = meta_state(meta) & (STATE_COUNT - 1);
		__u64 age = flow_age(meta, pkt->now);
		__u64 half_open = HALF_OPEN[state];
		__u64 rank, score, better, later;

		rank = RANKS[state] +
		       (half_open & meta_flags(meta) / FLOW_FROM_OUTSIDE);
		rank |= mask_below(idle_time(TIMEOUTS[state], scale), age) &
			RANK_EXPIRED;
		rank |= mask_below(LAST_RESORT, age) & mask_below(rank, 1) &
			RANK_IDLE;
		/* Without a rank no score, whatever the age. */
		later = READ_ONCE(line->lane[lane].rules) >>
				RULES_OPENED_SHIFT & RULES_OPENED_MASK;
		score = rank << RANK_SHIFT | age << AGE_SHIFT |
			(RULES_OPENED_MASK - later);
		score &= mask_below(0, rank);
		/* A line that somebody writes is nobody's victim. */
		score &= mask_below(0, state) & mask_below(meta & META_LOCKED, 1);
		score = score << 8 | lane;
		better = mask_below(best | 0xff, score);
		best ^= (best ^ score) & better;
		victim ^= (victim ^ meta) & better;
		half_open_lanes += half_open;
	}
	pkt->victim = victim;
	return best | half_open_lanes << 4;
}

static __always_inline __u64 tag_in_lane(__u64 word, __u32 lane, __u32 tag)
{
	__u32 shift = (lane & (FLOW_LANES - 1)) * 8;

	return (word & ~(0xffULL << shift)) | (__u64)tag << shift;
}

static __always_inline void lane_release(__u32 bucket, __u32 lane)
{
	__u64 *word = flow_tag_word(bucket);

	if (word)
		__sync_fetch_and_and(word,
				     ~(0xffULL << (lane & (FLOW_LANES - 1)) * 8));
}

static __always_inline enum claim claim_free(struct pkt *pkt, __u64 word)
{
	__u64 *tags = flow_tag_word(pkt->found_bucket);
	struct flow_entry *entry;
	__u64 meta, busy;

	pkt->found_lane = pkt->lane;
	if (word >> pkt->lane * 8 & 0xff)
		pkt->found_lane = lane_lowest(lanes_matching(word, 0));
	entry = flow_entry_at(pkt->found_bucket, pkt->found_lane);
	if (!tags || !entry)
		return CLAIM_FULL;
	/* BUSY since now, before the tag says so: the stamp of a free line is from
	 * whenever it was freed, and a line that has been BUSY for long is taken
	 * for nobody's. Whoever else stamps it stamps the same. */
	meta = READ_ONCE(entry->meta);
	busy = meta_make(meta_serial(meta), STATE_BUSY, 0, 0, pkt->now);
	if (meta_state(meta) == STATE_BUSY && meta != busy)
		__sync_val_compare_and_swap(&entry->meta, meta, busy);
	if (__sync_val_compare_and_swap(tags, word,
					tag_in_lane(word, pkt->found_lane,
						    pkt->tag)) != word)
		return CLAIM_RETRY;
	return CLAIM_DONE;
}

/* Takes the lane found_bucket, found_lane from the flow whose meta was victim. */
static __always_inline enum claim claim_victim(struct pkt *pkt, __u64 word,
					       __u64 victim)
{
	__u32 bucket = pkt->found_bucket, lane = pkt->found_lane;
	struct flow_entry *entry = flow_entry_at(bucket, lane);
	__u64 *tags = flow_tag_word(bucket);
	__u64 busy = meta_make(meta_serial(victim), STATE_BUSY, 0, 0, pkt->now);

	if (!entry || !tags)
		return CLAIM_FULL;
	if (__sync_val_compare_and_swap(&entry->meta, victim, busy) !=
	    victim)
		return CLAIM_RETRY;
	if (__sync_val_compare_and_swap(tags, word,
					tag_in_lane(word, lane, pkt->tag)) !=
	    word) {
		/* The line is still the victim's, unchanged: it lives on. */
		__sync_lock_test_and_set(&entry->meta, victim);
		return CLAIM_RETRY;
	}
	source_account(&entry->key, victim, busy);
	return CLAIM_DONE;
}

static __always_inline enum flow_event eviction(__u64 score)
{
	__u32 rank = score >> RANK_SHIFT;

	if (rank >= RANK_EXPIRED)
		return FLOW_EVICTED_EXPIRED;
	if (rank >= RANK_OVER)
		return FLOW_EVICTED_OVER;
	return rank >= RANK_HALF_OPEN ? FLOW_EVICTED_HALF_OPEN
				      : FLOW_EVICTED_IDLE;
}

/* Takes a lane for pkt->key: found_bucket and found_lane on CLAIM_DONE. */
static __always_inline enum claim claim_lane(struct pkt *pkt, __u64 words[2])
{
	__u32 free0 = lanes_count(lanes_matching(words[0], 0));
	__u32 free1 = lanes_count(lanes_matching(words[1], 0));
	/* The emptier one, once the first is rather full: most lookups end in the
	 * first then, and what finds no place is as rare. */
	bool second = free1 > free0 &&
		      free0 <= FLOW_LANES - FLOW_HALF_OPEN_LANES;
	__u32 spare = second ? free1 : free0;
	__u64 scan0, scan1, victim0, victim1;
	enum claim claim;

	pkt->found_bucket = second ? pkt->bucket[1] : pkt->bucket[0];
	/* With more lanes free the half-open limit cannot be exceeded. */
	if (spare > FLOW_LANES - FLOW_HALF_OPEN_LANES)
		return claim_free(pkt, second ? words[1] : words[0]);

	scan0 = flow_scan(pkt, pkt->bucket[0]);
	victim0 = pkt->victim;
	scan1 = flow_scan(pkt, pkt->bucket[1]);
	victim1 = pkt->victim;
	if (spare && SCAN_HALF_OPEN(second ? scan1 : scan0) < FLOW_HALF_OPEN_LANES)
		return claim_free(pkt, second ? words[1] : words[0]);
	second = SCAN_SCORE(scan1) > SCAN_SCORE(scan0);
	if (!SCAN_SCORE(second ? scan1 : scan0))
		return CLAIM_FULL;
	pkt->found_bucket = second ? pkt->bucket[1] : pkt->bucket[0];
	pkt->found_lane = SCAN_LANE(second ? scan1 : scan0);
	claim = claim_victim(pkt, second ? words[1] : words[0],
			     second ? victim1 : victim0);
	if (claim == CLAIM_DONE)
		flow_event(eviction(SCAN_SCORE(second ? scan1 : scan0)));
	return claim;
}

/* Step 3: did another CPU claim a lane for this flow too? In the other bucket; or
 * in this one, where evicting a flow of the same tag leaves the tag word as it
 * was, so that the exchange of step 2 could not tell. */
static __always_inline bool claimed_elsewhere(struct pkt *pkt)
{
	__u32 mine = pkt->found_bucket, lane = pkt->found_lane;
	__u32 other = mine == pkt->bucket[0] ? pkt->bucket[1] : pkt->bucket[0];
	__u64 *there = flow_tag_word(other), *here = flow_tag_word(mine);
	int find;

	if (!there || !here)
		return false;
	find = flow_find_in(pkt, other, READ_ONCE(*there));
	if (find == FIND_MISS)
		find = flow_find_in(pkt, mine,
				    tag_in_lane(READ_ONCE(*here), lane, 0));
	pkt->found_bucket = mine;
	pkt->found_lane = lane;
	return find != FIND_MISS;
}

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
