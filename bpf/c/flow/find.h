/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Lookup in the flow table: two candidate buckets, one tag word each. */
#ifndef BAILEY_FLOW_FIND_H
#define BAILEY_FLOW_FIND_H

#include "core/tag_word.h"
#include "flow/entry.h"
#include "flow/state.h"

#define FLOW_TRIES 4

enum find_result {
	FIND_MISS,
	FIND_HIT,  /* meta, bucket and slot in pkt->flow are set */
	FIND_BUSY, /* another CPU is writing an entry that may be this flow */
};

/* Searches one bucket for pkt->key among the slots whose tag matches in the
 * given tag word. A global function, so that the verifier walks its loop once
 * for all callers. */
__noinline int flow_find_in_bucket(struct pkt *pkt, __u32 bucket, __u64 word)
{
	struct flow_bucket *bucket_data;
	__u64 slots, busy = 0;
	int i;

	if (!pkt)
		return FIND_MISS;
	slots = slots_matching(word, pkt->hash.tag);
	if (!slots)
		return FIND_MISS;
	bucket_data = flow_bucket_at(bucket);
	if (!bucket_data)
		return FIND_MISS;
	for (i = 0; i < FLOW_SLOTS && slots; i++) {
		__u32 slot = lowest_slot(slots);
		struct flow_entry *entry = &bucket_data->entry[slot];
		__u64 meta = READ_ONCE(entry->meta);

		/* A BUSY entry that a process has held for long was left by one
		 * that was killed. */
		asm volatile("" ::: "memory");
		if (meta_state(meta) == STATE_BUSY) {
			busy |= !(meta & META_LOCKED) |
				mask_below(flow_age(meta, pkt->env.now),
					   FLOW_BUSY_TICKS);
		} else if (is_flow_of(entry, meta, pkt)) {
			asm volatile("" ::: "memory");
			/* Changed or reused meanwhile: the word may not belong
			 * to the key. */
			if (READ_ONCE(*(__u32 *)&entry->meta) !=
			    meta_lower(meta))
				return FIND_BUSY;
			pkt->flow.meta = meta;
			pkt->flow.bucket = bucket;
			pkt->flow.slot = slot;
			return FIND_HIT;
		}
		slots &= slots - 1;
	}
	return busy ? FIND_BUSY : FIND_MISS;
}

/* Searches both buckets. Leaves the two tag words it has read in words, for a
 * claim that must notice later inserts. */
static __always_inline enum find_result flow_find(struct pkt *pkt,
						  __u64 words[2])
{
	__u64 *first = flow_tag_word(pkt->hash.bucket[0]);
	__u64 *second = flow_tag_word(pkt->hash.bucket[1]);
	int a = FIND_MISS, b = FIND_MISS;

	if (!first || !second)
		return FIND_MISS;
	words[0] = READ_ONCE(*first);
	words[1] = READ_ONCE(*second);
	if (slots_matching(words[0], pkt->hash.tag)) {
		a = flow_find_in_bucket(pkt, pkt->hash.bucket[0], words[0]);
		if (a == FIND_HIT)
			return FIND_HIT;
	}
	if (slots_matching(words[1], pkt->hash.tag)) {
		b = flow_find_in_bucket(pkt, pkt->hash.bucket[1], words[1]);
		if (b == FIND_HIT)
			return FIND_HIT;
	}
	return a == FIND_BUSY || b == FIND_BUSY ? FIND_BUSY : FIND_MISS;
}

#endif
