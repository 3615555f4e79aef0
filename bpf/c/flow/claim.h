/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Claims a slot of the flow table for a new flow; steps 2 and 3 of insert.h. */
#ifndef BAILEY_FLOW_CLAIM_H
#define BAILEY_FLOW_CLAIM_H

#include "core/events.h"
#include "flow/evict.h"
#include "flow/fold.h"
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

	__sync_fetch_and_and(word, ~(0xffULL << (slot & (FLOW_SLOTS - 1)) * 8));
}

/* Sets the tag of a slot. Fails if the tag word of the bucket is no longer
 * word. */
static __always_inline bool take_slot(__u32 bucket, __u32 slot, __u64 word,
				      __u32 tag)
{
	return __sync_val_compare_and_swap(flow_tag_word(bucket), word,
					   tag_word_with(word, slot, tag)) ==
	       word;
}

/*
 * A serial for a free slot, whose entry is not read: the number of flows that
 * this CPU has inserted. A CPU that still holds the word of the flow before
 * cannot take the next one for that flow: the sweeper freed the slot at least
 * two ticks after the last packet, so the words differ in seen.
 */
static __always_inline __u32 free_serial(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct flow_events *events = bpf_map_lookup_elem(&flow_events, &cpu);

	return events ? events->count[FLOW_INSERTED] : 0;
}

/* Number of free slots in a bucket with this tag word. */
static __always_inline __u32 free_slots(__u64 word)
{
	return count_slots(slots_matching(word, 0));
}

/* Prefer the first bucket until it is fairly full, then the emptier one. Most
 * lookups then end in the first bucket, and the table is full no sooner. */
static __always_inline bool is_second_bucket(__u32 free0, __u32 free1)
{
	return free1 > free0 && free0 <= FLOW_SLOTS - FLOW_HALF_OPEN_SLOTS;
}

/* With more free slots, the half-open limit cannot be exceeded. */
static __always_inline bool are_plenty(__u32 spare)
{
	return spare > FLOW_SLOTS - FLOW_HALF_OPEN_SLOTS;
}

/* The slot of a bucket that a new flow takes. */
static __always_inline __u32 free_slot(__u64 word, __u32 home_slot)
{
	return word >> home_slot * 8 & 0xff ?
		       lowest_slot(slots_matching(word, 0)) :
		       home_slot;
}

static __always_inline enum claim claim_free(struct pkt *pkt, __u64 word)
{
	pkt->flow.slot = free_slot(word, pkt->hash.home_slot);
	/* A free entry is BUSY, so no CPU reads it when its tag appears. */
	if (!take_slot(pkt->flow.bucket, pkt->flow.slot, word, pkt->hash.tag))
		return CLAIM_RETRY;
	pkt->flow.victim_meta = 0;
	pkt->flow.identity = meta_identity(pkt->in.kind, free_serial());
	return CLAIM_DONE;
}

/* Takes the slot in pkt->flow from the flow whose metadata word was victim. */
static __always_inline enum claim claim_victim(struct pkt *pkt, __u64 word,
					       __u64 victim)
{
	__u32 bucket = pkt->flow.bucket, slot = pkt->flow.slot;
	struct flow_entry *entry = flow_entry_at(bucket, slot);
	__u64 busy = meta_make(victim, STATE_BUSY, 0, 0, 0);

	if (!entry)
		return CLAIM_FULL;
	if (__sync_val_compare_and_swap(&entry->meta, victim, busy) != victim)
		return CLAIM_RETRY;
	if (!take_slot(bucket, slot, word, pkt->hash.tag)) {
		/* The entry still holds the victim, which lives on. */
		__sync_lock_test_and_set(&entry->meta, victim);
		return CLAIM_RETRY;
	}
	account_ended(entry, victim);
	if (meta_state(victim) != STATE_DENIED)
		flow_fold(pkt, victim, FOLD_OLD);
	pkt->flow.victim_meta = victim;
	pkt->flow.identity =
		meta_identity(pkt->in.kind, meta_serial(victim) + 1);
	return CLAIM_DONE;
}

/*
 * Gives up a claimed slot. A slot that was free is free again. One that was
 * taken from a flow gets a dead entry, which no packet matches and the sweeper
 * removes: if the slot were free, its next flow could get the very word of the
 * evicted one, which another CPU may still hold.
 */
static __always_inline void give_up(struct pkt *pkt, struct flow_entry *entry)
{
	if (!pkt->flow.victim_meta) {
		release_slot(pkt->flow.bucket, pkt->flow.slot);
		return;
	}
	/* All but the metadata word. */
	__builtin_memset(&entry->tuple, 0,
			 sizeof(*entry) - sizeof(entry->meta));
	meta_publish(&entry->meta, meta_make(pkt->flow.identity & ~META_IPV6,
					     STATE_CLOSED, 0, 0, pkt->env.now));
}

/* Takes a slot for pkt->key; CLAIM_DONE: pkt->flow has bucket and slot. */
static __always_inline enum claim claim_slot(struct pkt *pkt, __u64 words[2])
{
	__u32 free0 = free_slots(words[0]), free1 = free_slots(words[1]);
	bool second = is_second_bucket(free0, free1);
	__u32 spare = second ? free1 : free0;
	__u64 scan0, scan1, victim0, victim1;
	enum claim claim;

	pkt->flow.bucket = second ? pkt->hash.bucket[1] : pkt->hash.bucket[0];
	if (are_plenty(spare))
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

	find = flow_find_in_bucket(pkt, other, READ_ONCE(*there));
	if (find == FIND_MISS)
		find = flow_find_in_bucket(
			pkt, mine, tag_word_with(READ_ONCE(*here), slot, 0));
	pkt->flow.bucket = mine;
	pkt->flow.slot = slot;
	return find != FIND_MISS;
}

#endif
