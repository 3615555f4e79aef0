/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Limit of live, replied flows per source (/32, /64), on either side of the
 * NIC.
 *
 * Completed handshakes cost an attacker little and are never evicted. Flows of
 * a source beyond the limit still work, but stay evictable like half-open ones.
 * The counters form a count-min sketch of two cells per source: if two sources
 * share one cell, the other cell tells them apart.
 */
#ifndef BAILEY_FLOW_SOURCE_LIMIT_H
#define BAILEY_FLOW_SOURCE_LIMIT_H

#include "core/count_min.h"
#include "flow/entry.h"
#include "flow/state.h"

/* Is a flow with this metadata word counted for its source? Independent of the
 * limit, which may change before the flow ends. */
static __always_inline bool is_counted(__u64 meta)
{
	return is_live(meta_state(meta));
}

static __always_inline bool flow_source_cells(const struct flow_key *key,
					      __u64 meta,
					      struct source_cells *cells)
{
	return source_cells(&source_flows,
			    key_prefix(key, meta_flags(meta) & FLOW_ORIG_LOW),
			    0, cells);
}

/* Does the source of this flow have its maximum number of flows? */
static __always_inline bool is_source_exhausted(const struct flow_key *key,
						__u64 meta)
{
	struct source_cells cells;

	if (!SOURCE_LIMIT || !flow_source_cells(key, meta, &cells))
		return false;
	return (__s64)READ_ONCE(*cells.first) >= SOURCE_LIMIT &&
	       (__s64)READ_ONCE(*cells.second) >= SOURCE_LIMIT;
}

/* Called by the CPU that exchanged the metadata word before for after. */
static __always_inline void account_source(const struct flow_key *key,
					   __u64 before, __u64 after)
{
	bool was = is_counted(before), is = is_counted(after);
	struct source_cells cells;
	__u64 one = is ? 1 : -1;

	if (was != is && flow_source_cells(key, is ? after : before, &cells))
		source_cells_add(&cells, one);
}

/* Called by the CPU that took the entry of a flow from the table. */
static __always_inline void account_ended(const struct flow_entry *entry,
					  __u64 meta)
{
	struct source_cells cells;

	if (is_counted(meta) &&
	    source_cells(&source_flows, entry_source_prefix(entry, meta), 0,
			 &cells))
		source_cells_add(&cells, -1);
}

#endif
