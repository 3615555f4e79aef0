/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * How many live, replied flows one source (/32, /64) has opened, on either side of the NIC.
 * Completed handshakes cost an attacker little and are never evicted, so a
 * source that has enough of them gets no more that are protected: its next flows
 * work, and stay evictable.
 *
 * Counted in two cells by two hashes (a count-min sketch): two sources that
 * share one cell are told apart by the other.
 */
#ifndef BAILEY_FLOW_SOURCE_LIMIT_H
#define BAILEY_FLOW_SOURCE_LIMIT_H

#include "core/count_min.h"
#include "flow/state.h"

/* Is a flow with this meta word counted for its source? Whatever the limit is: it
 * may be another one when the flow ends. */
static __always_inline bool is_counted(__u64 meta)
{
	return is_live(meta_state(meta));
}

static __always_inline bool flow_source_cells(const struct flow_key *key,
					      __u64 meta,
					      struct source_cells *cells)
{
	return source_cells(&source_flows, key,
			    meta_flags(meta) & FLOW_ORIG_LOW, 0, cells);
}

/* Has the source of this flow as many as it may? */
static __always_inline bool is_source_exhausted(const struct flow_key *key,
						__u64 meta)
{
	struct source_cells cells;

	if (!SOURCE_LIMIT || !flow_source_cells(key, meta, &cells))
		return false;
	return (__s64)READ_ONCE(*cells.first) >= SOURCE_LIMIT &&
	       (__s64)READ_ONCE(*cells.second) >= SOURCE_LIMIT;
}

/* Who exchanged one meta word of a flow for another accounts for it. */
static __always_inline void account_source(const struct flow_key *key,
					   __u64 before, __u64 after)
{
	bool was = is_counted(before), is = is_counted(after);
	struct source_cells cells;
	__u64 one = is ? 1 : -1;

	if (was == is || !flow_source_cells(key, is ? after : before, &cells))
		return;
	__sync_fetch_and_add(cells.first, one);
	__sync_fetch_and_add(cells.second, one);
}

#endif
