/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Access to u32 tables that are stored in chunks. */
#ifndef BAILEY_POLICY_CHUNKS_H
#define BAILEY_POLICY_CHUNKS_H

#include "core/maps.h"

static __always_inline bool u32_at(void *map, __u32 index, __u32 *value)
{
	__u32 chunk = index / U32_CHUNK;
	struct u32_chunk *values = bpf_map_lookup_elem(map, &chunk);

	if (!values)
		return false;
	*value = values->v[index & (U32_CHUNK - 1)];
	return true;
}

#endif
