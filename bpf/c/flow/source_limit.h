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

#include "core/maps.h"

static __always_inline bool state_live(__u32 state)
{
	const __u32 set = 1 << STATE_TCP_ESTABLISHED | 1 << STATE_TCP_FIN_WAIT |
			  1 << STATE_UDP_REPLIED | 1 << STATE_ICMP_REPLIED |
			  1 << STATE_SCTP_REPLIED | 1 << STATE_OTHER_REPLIED;

	return set >> state & 1;
}

/* Is a flow with this meta word counted for its source? Whatever the limit is: it
 * may be another one when the flow ends. */
static __always_inline bool source_counts(__u64 meta)
{
	return state_live(meta_state(meta));
}

struct source_cells {
	__u64 *first;
	__u64 *second;
};

/* Two cells for the source prefix (/32, /64) of a flow, or for what else is added
 * to it, in a map of 2^SOURCE_BITS words. */
static __always_inline bool source_cells(void *map, const struct flow_key *key,
					 bool low, __u32 more,
					 struct source_cells *cells)
{
	const __u64 *addr = low ? key->addr_lo_be : key->addr_hi_be;
	__u64 prefix, first, second;
	struct flow_keys *keys;
	__u32 zero = 0, at;

	keys = bpf_map_lookup_elem(&flow_keys, &zero);
	if (!keys)
		return false;
	prefix = v4_mapped(addr[0], addr[1]) ? addr[1] : addr[0];
	first = (__u64)(__u32)(prefix + keys->nh[0]) *
			(__u32)((prefix >> 32) + keys->nh[1]) +
		more * (keys->nh[2] | (__u64)keys->nh[3] << 32);
	first = (first ^ first >> 32) * keys->mul[0];
	second = (first ^ first >> 32) * keys->mul[1];
	at = first >> (64 - SOURCE_BITS);
	cells->first = bpf_map_lookup_elem(map, &at);
	at = second >> (64 - SOURCE_BITS);
	cells->second = bpf_map_lookup_elem(map, &at);
	return cells->first && cells->second;
}

static __always_inline bool source_find(const struct flow_key *key, __u64 meta,
					struct source_cells *cells)
{
	return source_cells(&source_flows, key,
			    meta_flags(meta) & FLOW_ORIG_LOW, 0, cells);
}

/* Has the source of this flow as many as it may? */
static __always_inline bool source_exhausted(const struct flow_key *key,
					     __u64 meta)
{
	struct source_cells cells;

	if (!SOURCE_LIMIT || !source_find(key, meta, &cells))
		return false;
	return (__s64)READ_ONCE(*cells.first) >= SOURCE_LIMIT &&
	       (__s64)READ_ONCE(*cells.second) >= SOURCE_LIMIT;
}

/* Who exchanged one meta word of a flow for another accounts for it. */
static __always_inline void source_account(const struct flow_key *key,
					   __u64 before, __u64 after)
{
	bool was = source_counts(before), is = source_counts(after);
	struct source_cells cells;
	__u64 one = is ? 1 : -1;

	if (was == is || !source_find(key, is ? after : before, &cells))
		return;
	__sync_fetch_and_add(cells.first, one);
	__sync_fetch_and_add(cells.second, one);
}

static __always_inline void flow_event(enum flow_event event)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct flow_events *events = bpf_map_lookup_elem(&flow_events, &cpu);

	if (events)
		events->count[event]++;
}

#endif
