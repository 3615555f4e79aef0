/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Token buckets that several CPUs share; see BUCKET_DRY in abi.h. */
#ifndef BAILEY_CORE_TOKEN_BUCKET_H
#define BAILEY_CORE_TOKEN_BUCKET_H

#include "core/count_min.h"

/* Takes one token. interval: nanoseconds per token; burst: nanoseconds until an
 * empty bucket is full; both even. A global function, so that the verifier
 * checks it once. */
__noinline int token_bucket_take(__u64 *word, __u64 now, __u64 interval,
				 __u64 burst)
{
	__u64 before, room = burst;

	if (!word)
		return 0;
	now &= ~BUCKET_DRY;
	before = READ_ONCE(*word);
	/* Room for one token at least; otherwise a small bucket stays dry. */
	if (before & BUCKET_DRY)
		room = burst / 2 < interval ? interval : burst / 2;
	/* Full: restart the bucket at the current time. */
	if ((__s64)(before - now) < 0)
		__sync_val_compare_and_swap(word, before,
					    now | (before & BUCKET_DRY));
	before = __sync_fetch_and_add(word, interval);
	if ((__s64)((before & ~BUCKET_DRY) + interval - now) > (__s64)room) {
		__sync_fetch_and_sub(word, interval);
		if (!(before & BUCKET_DRY))
			__sync_fetch_and_or(word, BUCKET_DRY);
		return 0;
	}
	if (before & BUCKET_DRY)
		__sync_fetch_and_and(word, ~BUCKET_DRY);
	return 1;
}

/* Takes a token from the two cells of a source; see source_cells(). An interval
 * of 0 means no limit. One token in either cell suffices, because the other
 * cell may be shared with another source. */
static __always_inline bool source_bucket_take(void *map,
					       const struct flow_key *key,
					       bool low, __u32 more, __u64 now,
					       __u64 interval, __u64 burst)
{
	struct source_cells cells;
	int first, second;

	if (!interval || !source_cells(map, key_prefix(key, low), more, &cells))
		return true;
	first = token_bucket_take(cells.first, now, interval, burst);
	second = token_bucket_take(cells.second, now, interval, burst);
	return first || second;
}

#endif
