/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Count-min sketch per source prefix: two cells per source in one array. */
#ifndef BAILEY_CORE_COUNT_MIN_H
#define BAILEY_CORE_COUNT_MIN_H

#include "core/ip_address.h"
#include "core/maps.h"

struct source_cells {
	__u64 *first;
	__u64 *second;
};

/* The prefix that counts as one source: an IPv4 address, or an IPv6 /64. */
static __always_inline __u64 source_prefix(const __u64 address_be[2])
{
	return is_v4_mapped(address_be[0], address_be[1]) ? address_be[1] :
							    address_be[0];
}

/* The prefix of one end of a flow: the lower address, or the higher. */
static __always_inline __u64 key_prefix(const struct flow_key *key, bool low)
{
	return source_prefix(low ? key->addr_lo_be : key->addr_hi_be);
}

/* Two cells for a source prefix, or for the pair of the prefix and more, in a map
 * of 2^SOURCE_BITS words. */
static __always_inline bool source_cells(void *map, __u64 prefix, __u32 more,
					 struct source_cells *cells)
{
	const struct flow_keys *keys = &flow_keys;
	__u64 first, second;
	__u32 at;

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

static __always_inline void source_cells_add(const struct source_cells *cells,
					     __u64 amount)
{
	__sync_fetch_and_add(cells->first, amount);
	__sync_fetch_and_add(cells->second, amount);
}

#endif
