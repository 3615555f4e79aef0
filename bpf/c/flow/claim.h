/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Claims a slot of the flow table for a new flow; steps 2 and 3 of insert.h. */
#ifndef BAILEY_FLOW_CLAIM_H
#define BAILEY_FLOW_CLAIM_H

#include "core/events.h"
#include "flow/evict.h"
#include "flow/source_limit.h"

enum claim {
	CLAIM_DONE,
	CLAIM_OTHER,  /* another CPU inserts or changes this flow */
	CLAIM_DENIED, /* the flow exists as a tombstone */
	CLAIM_FULL,
	CLAIM_RETRY,
};

static __always_inline void release_slot(__u32 bucket, __u32 slot)
{
	__u64 *word = flow_tag_word(bucket);

	if (word)
		__sync_fetch_and_and(word, ~(0xffULL
					     << (slot & (FLOW_SLOTS - 1)) * 8));
}

static __always_inline enum claim claim_free(struct pkt *pkt, __u64 word)
{
	__u64 *tags = flow_tag_word(pkt->flow.bucket);
	struct flow_entry *entry;
	__u64 meta, busy;

	pkt->flow.slot = pkt->hash.home_slot;
	if (word >> pkt->hash.home_slot * 8 & 0xff)
		pkt->flow.slot = lowest_slot(slots_matching(word, 0));
	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!tags || !entry)
		return CLAIM_FULL;
	/* Stamp the free entry BUSY with the current time before its tag
	 * appears: a free entry carries the time at which it was freed, and an
	 * entry that has been BUSY for FLOW_BUSY_TICKS counts as abandoned.
	 * CPUs that race here write the same stamp. */
	meta = READ_ONCE(entry->meta);
	busy = meta_make(meta_serial(meta), STATE_BUSY, 0, 0, pkt->env.now);
	if (meta_state(meta) == STATE_BUSY && meta != busy)
		__sync_val_compare_and_swap(&entry->meta, meta, busy);
	if (__sync_val_compare_and_swap(tags, word,
					tag_word_with(word, pkt->flow.slot,
						      pkt->hash.tag)) != word)
		return CLAIM_RETRY;
	return CLAIM_DONE;
}

/* Takes the slot in pkt->flow from the flow whose metadata word was victim. */
static __always_inline enum claim claim_victim(struct pkt *pkt, __u64 word,
					       __u64 victim)
{
	__u32 bucket = pkt->flow.bucket, slot = pkt->flow.slot;
	struct flow_entry *entry = flow_entry_at(bucket, slot);
	__u64 *tags = flow_tag_word(bucket);
	__u64 busy =
		meta_make(meta_serial(victim), STATE_BUSY, 0, 0, pkt->env.now);

	if (!entry || !tags)
		return CLAIM_FULL;
	if (__sync_val_compare_and_swap(&entry->meta, victim, busy) != victim)
		return CLAIM_RETRY;
	if (__sync_val_compare_and_swap(
		    tags, word, tag_word_with(word, slot, pkt->hash.tag)) !=
	    word) {
		/* The entry still holds the victim, which lives on. */
		__sync_lock_test_and_set(&entry->meta, victim);
		return CLAIM_RETRY;
	}
	account_source(&entry->key, victim, busy);
	return CLAIM_DONE;
}

/* Takes a slot for pkt->key; CLAIM_DONE: pkt->flow has bucket and slot. */
static __always_inline enum claim claim_slot(struct pkt *pkt, __u64 words[2])
{
	__u32 free0 = count_slots(slots_matching(words[0], 0));
	__u32 free1 = count_slots(slots_matching(words[1], 0));
	/* Prefer the first bucket until it is fairly full, then the emptier
	 * one. Most lookups then end in the first bucket, and the table is full
	 * no sooner. */
	bool second = free1 > free0 &&
		      free0 <= FLOW_SLOTS - FLOW_HALF_OPEN_SLOTS;
	__u32 spare = second ? free1 : free0;
	__u64 scan0, scan1, victim0, victim1;
	enum claim claim;

	pkt->flow.bucket = second ? pkt->hash.bucket[1] : pkt->hash.bucket[0];
	/* With more free slots the half-open limit cannot be exceeded. */
	if (spare > FLOW_SLOTS - FLOW_HALF_OPEN_SLOTS)
		return claim_free(pkt, second ? words[1] : words[0]);

	/* Look for a victim in both buckets. */
	scan0 = find_victim(pkt, pkt->hash.bucket[0]);
	victim0 = pkt->flow.victim_meta;
	scan1 = find_victim(pkt, pkt->hash.bucket[1]);
	victim1 = pkt->flow.victim_meta;
	/* A free slot suffices if few flows of the bucket are half-open. */
	if (spare &&
	    SCAN_HALF_OPEN(second ? scan1 : scan0) < FLOW_HALF_OPEN_SLOTS)
		return claim_free(pkt, second ? words[1] : words[0]);
	second = SCAN_SCORE(scan1) > SCAN_SCORE(scan0);
	/* The entry with the higher score is evicted. */
	if (!SCAN_SCORE(second ? scan1 : scan0))
		return CLAIM_FULL;
	pkt->flow.bucket = second ? pkt->hash.bucket[1] : pkt->hash.bucket[0];
	pkt->flow.slot = SCAN_SLOT(second ? scan1 : scan0);
	claim = claim_victim(pkt, second ? words[1] : words[0],
			     second ? victim1 : victim0);
	if (claim == CLAIM_DONE)
		flow_event(eviction_event(SCAN_SCORE(second ? scan1 : scan0)));
	return claim;
}

/* Step 3: did another CPU claim a slot for this flow too? It may be in the
 * other bucket, or in this one: evicting a flow with the same tag leaves the
 * tag word unchanged, so the exchange of step 2 cannot notice. */
static __always_inline bool is_claimed_elsewhere(struct pkt *pkt)
{
	__u32 mine = pkt->flow.bucket, slot = pkt->flow.slot;
	__u32 other = mine == pkt->hash.bucket[0] ? pkt->hash.bucket[1] :
						    pkt->hash.bucket[0];
	__u64 *there = flow_tag_word(other), *here = flow_tag_word(mine);
	int find;

	if (!there || !here)
		return false;
	find = flow_find_in_bucket(pkt, other, READ_ONCE(*there));
	if (find == FIND_MISS)
		find = flow_find_in_bucket(
			pkt, mine, tag_word_with(READ_ONCE(*here), slot, 0));
	pkt->flow.bucket = mine;
	pkt->flow.slot = slot;
	return find != FIND_MISS;
}

#endif
