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

/* Two cells for the source prefix (/32, /64) of a flow, or for the pair of the
 * prefix and more, in a map of 2^SOURCE_BITS words. */
static __always_inline bool source_cells(void *map, const struct flow_key *key,
					 bool low, __u32 more,
					 struct source_cells *cells)
{
	const __u64 *addr = low ? key->addr_lo_be : key->addr_hi_be;
	const struct flow_keys *keys = &flow_keys;
	__u64 prefix, first, second;
	__u32 at;

	prefix = is_v4_mapped(addr[0], addr[1]) ? addr[1] : addr[0];
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

#endif
