/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Longest-prefix match: a direct table, a poptrie below it, and ranges where
 * few prefixes are left. See abi.h for the layout. */
#ifndef BAILEY_POLICY_LPM_H
#define BAILEY_POLICY_LPM_H

#include "core/bits.h"
#include "core/ip_address.h"
#include "policy/chunks.h"

ARRAY(lpm4_direct, struct u32_chunk, 1);
ARRAY(lpm4_nodes, struct lpm_node, 1);
ARRAY(lpm4_leaves, struct u32_chunk, 1);
ARRAY(lpm4_ranges, struct lpm_ranges4, 1);
ARRAY(lpm4_pairs, struct lpm_pair, 1);
ARRAY(lpm6_direct, struct u32_chunk, 1);
ARRAY(lpm6_nodes, struct lpm_node, 1);
ARRAY(lpm6_leaves, struct u32_chunk, 1);
ARRAY(lpm6_ranges, struct lpm_ranges6, 1);

/* Set when a generation is loaded. */
volatile const __u32 LPM4 = 0; /* 0: no prefix of this family */
volatile const __u32 LPM6 = 0;
/* Class of the family without prefixes. */
volatile const __u32 DEFAULT_CLASS4 = 0;
volatile const __u32 DEFAULT_CLASS6 = 0;

#define FIELDS_01 0x0001000100010001ULL

/* rest: the bits of the address below the slot. */
static __always_inline int one_prefix_class(__u32 word, __u64 rest)
{
	__u32 host = word >> ONE_HOST_SHIFT & ONE_HOST_MASK;
	__u32 index = word >> ONE_PAIR_SHIFT & (ONE_PAIRS - 1);
	struct lpm_pair *pair = bpf_map_lookup_elem(&lpm4_pairs, &index);

	if (!pair)
		return -1;
	return ((word ^ rest) & ONE_BITS_MASK) >> host ? pair->outside :
							 pair->inside;
}

/* Class of the range that contains rest. Counts without a branch, because no
 * branch predictor could predict the range. A global function, so that the
 * verifier checks it once. */
__noinline int ranges4_class(__u32 index, __u64 rest)
{
	struct lpm_ranges4 *ranges = bpf_map_lookup_elem(&lpm4_ranges, &index);
	__u64 from_here = 0;
	__u32 i, range;

	if (!ranges)
		return -1;
	rest = (rest & ((1 << RANGES4_BITS) - 1)) * FIELDS_01;
#pragma unroll
	for (i = 0; i < RANGES4_WORDS; i++)
		/* The highest bit of each 16-bit field absorbs the borrow. */
		from_here += (ranges->last[i] - rest) >> 15 & FIELDS_01;
	range = RANGES4_LAST - (from_here * FIELDS_01 >> 48);
	return ranges->classes[ranges->which >> (2 * range & 63) & 3];
}

__noinline int ranges6_class(__u32 index, __u64 rest)
{
	struct lpm_ranges6 *ranges = bpf_map_lookup_elem(&lpm6_ranges, &index);
	__u32 i, range = 0;

	if (!ranges)
		return -1;
	rest &= (1ULL << RANGES6_BITS) - 1;
#pragma unroll
	for (i = 0; i < RANGES6_LAST; i++)
		range -= mask_below(ranges->last[i], rest);
	range = ranges->which >> (2 * range & 31) & 3;
	/* Linux 6.1 derives no bound from the comparison with 3 alone. */
	asm volatile("" : "+r"(range));
	return ranges->classes[range < RANGES6_CLASSES ? range : 0];
}

/* Poptrie. hi and lo: the address from its most significant bit on. */
static __always_inline int lpm_class(__u32 kind, void *direct, void *nodes,
				     void *leaves, __u64 hi, __u64 lo,
				     __u32 levels)
{
	__u32 at, i;

	if (!u32_at(direct, hi >> (64 - LPM_DIRECT_BITS), &at))
		return -1;
	hi = hi << LPM_DIRECT_BITS | lo >> (64 - LPM_DIRECT_BITS);
	lo <<= LPM_DIRECT_BITS;
	for (i = 0; i < levels && !(at & LPM_LEAF); i++) {
		__u32 slot = hi >> (64 - LPM_STRIDE);
		struct lpm_node *node = bpf_map_lookup_elem(nodes, &at);
		__u64 upto = ~0ULL >> (63 - slot); /* bits 0..slot */

		if (!node)
			return -1;
		hi = hi << LPM_STRIDE | lo >> (64 - LPM_STRIDE);
		lo <<= LPM_STRIDE;
		if (node->children >> slot & 1) {
			at = node->child_base +
			     popcount64(node->children & upto) - 1;
		} else {
			at = node->leaf_base + popcount64(node->leaves & upto) -
			     1;
			if (!u32_at(leaves, at, &at))
				return -1;
			break;
		}
	}
	if (!(at & LPM_LEAF))
		return -1;
	if (at & LPM_RANGES)
		return kind == KIND_IPV4 ?
			       ranges4_class(at & LPM_INDEX,
					     hi >> (64 - RANGES4_BITS)) :
			       ranges6_class(at & LPM_INDEX,
					     hi >> (64 - RANGES6_BITS));
	if (kind == KIND_IPV4 && at & LPM_ONE)
		return one_prefix_class(at, hi >> (64 - RANGES4_BITS));
	return at & LPM_INDEX;
}

/* -1 if a table is damaged. */
static __always_inline int prefix_class(const __u64 address_be[2], __u8 kind)
{
	if (kind == KIND_IPV4)
		return !LPM4 ? DEFAULT_CLASS4 :
			       lpm_class(KIND_IPV4, &lpm4_direct, &lpm4_nodes,
					 &lpm4_leaves,
					 (__u64)bpf_ntohl(address_be[1] >> 32)
						 << 32,
					 0, LPM_LEVELS_V4);
	return !LPM6 ? DEFAULT_CLASS6 :
		       lpm_class(KIND_IPV6, &lpm6_direct, &lpm6_nodes,
				 &lpm6_leaves, bpf_be64_to_cpu(address_be[0]),
				 bpf_be64_to_cpu(address_be[1]), LPM_LEVELS_V6);
}

#endif
