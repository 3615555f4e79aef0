/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The policy tables of one generation and their lookups:
 *   address -> class record, (protocol, port) -> port class,
 *   (subject, peer, port class) -> cell.
 * fw/compile/src/lookup.rs is the same in Rust, over the same bytes.
 */
#ifndef BAILEY_POLICY_CLASSIFY_H
#define BAILEY_POLICY_CLASSIFY_H

#include "flow/advance.h" /* lanes_matching */

ARRAY(host_tags, __u64, 1);
ARRAY(host_buckets, struct host_bucket, 1);
ARRAY(lpm4_direct, struct u32_chunk, 1);
ARRAY(lpm4_nodes, struct lpm_node, 1);
ARRAY(lpm4_leaves, struct u32_chunk, 1);
ARRAY(lpm4_ranges, struct lpm_ranges4, 1);
ARRAY(lpm4_pairs, struct lpm_pair, 1);
ARRAY(lpm6_direct, struct u32_chunk, 1);
ARRAY(lpm6_nodes, struct lpm_node, 1);
ARRAY(lpm6_leaves, struct u32_chunk, 1);
ARRAY(lpm6_ranges, struct lpm_ranges6, 1);
ARRAY(classes, struct class_record, 1);
ARRAY(port_classes, struct port_chunk, 1);
ARRAY(subject_pages, struct u32_chunk, 1);
ARRAY(row_pages, struct page, 1);
ARRAY(row_index, struct u32_chunk, 1);
ARRAY(cell_pages, struct page, 1);
ARRAY(cells, struct u32_chunk, 1);

/* Set when the generation is loaded. */
volatile const __u32 HOST_BUCKET_BITS = 1;
volatile const __u32 HOST_KEYS[HOST_NH_WORDS] = {};
volatile const __u32 LPM4 = 0; /* has the family any prefix? */
volatile const __u32 LPM6 = 0;
volatile const __u32 DEFAULT_CLASS4 = 0; /* where it has none */
volatile const __u32 DEFAULT_CLASS6 = 0;
volatile const __u32 PEER_PAGES = 1; /* pages per subject */
volatile const __u32 ROW_CELLS = 0;  /* cells per row, if rows are whole */
volatile const __u32 PORT_PAGES = 1; /* pages per row, if they are not */

static __always_inline bool u32_at(void *map, __u32 index, __u32 *value)
{
	__u32 chunk = index / U32_CHUNK;
	struct u32_chunk *values = bpf_map_lookup_elem(map, &chunk);

	if (!values)
		return false;
	*value = values->v[index & (U32_CHUNK - 1)];
	return true;
}

/* One bucket of the exact table. A global function, as flow_find_in is. */
__noinline int host_find(__u32 bucket, __u32 tag, __u64 first, __u64 second)
{
	__u64 *word = bpf_map_lookup_elem(&host_tags, &bucket);
	struct host_bucket *line;
	__u64 lanes;
	int i;

	if (!word)
		return -1;
	lanes = lanes_matching(*word, tag);
	if (!lanes)
		return -1;
	line = bpf_map_lookup_elem(&host_buckets, &bucket);
	if (!line)
		return -1;
	for (i = 0; i < HOST_LANES && lanes; i++) {
		struct host_entry *entry = &line->lane[lane_lowest(lanes)];

		if (entry->addr_be[0] == first && entry->addr_be[1] == second)
			return entry->class_id;
		lanes &= lanes - 1;
	}
	return -1;
}

#define HOST_MUL 0x9e3779b97f4a7c15ULL

static __always_inline int host_class(const __u64 address_be[2])
{
	__u32 w0 = address_be[0], w1 = address_be[0] >> 32;
	__u32 w2 = address_be[1], w3 = address_be[1] >> 32;
	__u32 first, second, tag;
	__u64 hash, more;
	int class_id;

	hash = (__u64)(w0 + HOST_KEYS[0]) * (__u32)(w1 + HOST_KEYS[1]) +
	       (__u64)(w2 + HOST_KEYS[2]) * (__u32)(w3 + HOST_KEYS[3]);
	hash = (hash ^ hash >> 32) * HOST_MUL;
	more = (hash ^ hash >> 32) * HOST_MUL;
	first = hash >> (64 - HOST_BUCKET_BITS);
	second = more >> (64 - HOST_BUCKET_BITS);
	if (first == second)
		second ^= 1;
	tag = (more >> 8 & 0xff) ?: 1;
	class_id = host_find(first, tag, address_be[0], address_be[1]);
	if (class_id < 0)
		class_id = host_find(second, tag, address_be[0], address_be[1]);
	return class_id;
}

static __always_inline __u32 popcount64(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return x * BYTES_01 >> 56;
}

#define LANES_01 0x0001000100010001ULL

/* rest: the bits of the address after the slot. */
static __always_inline int one_class(__u32 word, __u64 rest)
{
	__u32 host = word >> ONE_HOST_SHIFT & ONE_HOST_MASK;
	__u32 index = word >> ONE_PAIR_SHIFT & (ONE_PAIRS - 1);
	struct lpm_pair *pair = bpf_map_lookup_elem(&lpm4_pairs, &index);

	if (!pair)
		return -1;
	return ((word ^ rest) & ONE_BITS_MASK) >> host ? pair->outside : pair->inside;
}

/* The class of the range that rest lies in. Counted without a branch: which range
 * it is nobody could predict. A global function, verified once. */
__noinline int ranges4_class(__u32 index, __u64 rest)
{
	struct lpm_ranges4 *ranges = bpf_map_lookup_elem(&lpm4_ranges, &index);
	__u64 from_here = 0;
	__u32 i, range;

	if (!ranges)
		return -1;
	rest = (rest & ((1 << RANGES4_BITS) - 1)) * LANES_01;
#pragma unroll
	for (i = 0; i < RANGES4_WORDS; i++)
		/* The highest bits are there for what is to be borrowed. */
		from_here += (ranges->last[i] - rest) >> 15 & LANES_01;
	range = RANGES4_LAST - (from_here * LANES_01 >> 48);
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
	/* 6.1 does not learn from a comparison with 3 alone. */
	asm volatile("" : "+r"(range));
	return ranges->classes[range < RANGES6_CLASSES ? range : 0];
}

/* Poptrie: hi and lo are the address from its most significant bit on. */
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
			at = node->child_base + popcount64(node->children & upto) - 1;
		} else {
			at = node->leaf_base + popcount64(node->leaves & upto) - 1;
			if (!u32_at(leaves, at, &at))
				return -1;
			break;
		}
	}
	if (!(at & LPM_LEAF))
		return -1;
	if (at & LPM_RANGES)
		return kind == KIND_IPV4
			       ? ranges4_class(at & LPM_INDEX,
					       hi >> (64 - RANGES4_BITS))
			       : ranges6_class(at & LPM_INDEX,
					       hi >> (64 - RANGES6_BITS));
	if (kind == KIND_IPV4 && at & LPM_ONE)
		return one_class(at, hi >> (64 - RANGES4_BITS));
	return at & LPM_INDEX;
}

/* -1 if a table is damaged. */
static __always_inline int prefix_class(const __u64 address_be[2], __u8 kind)
{
	if (kind == KIND_IPV4)
		return !LPM4 ? DEFAULT_CLASS4 :
			lpm_class(KIND_IPV4, &lpm4_direct, &lpm4_nodes,
				  &lpm4_leaves,
				  (__u64)bpf_ntohl(address_be[1] >> 32) << 32, 0,
				  LPM_LEVELS_V4);
	return !LPM6 ? DEFAULT_CLASS6 :
		lpm_class(KIND_IPV6, &lpm6_direct, &lpm6_nodes, &lpm6_leaves,
			  bpf_be64_to_cpu(address_be[0]),
			  bpf_be64_to_cpu(address_be[1]), LPM_LEVELS_V6);
}

static __always_inline int address_class(const __u64 address_be[2], __u8 kind)
{
	int class_id = host_class(address_be);

	if (class_id < 0)
		class_id = prefix_class(address_be, kind);
	return class_id;
}

static __always_inline __u32 port_class(__u8 protocol, __u16 port)
{
	struct port_chunk *chunk;
	__u32 which;

	if (protocol == IPPROTO_TCP)
		which = PORT_TCP;
	else if (protocol == IPPROTO_UDP)
		which = PORT_UDP;
	else if (protocol == IPPROTO_SCTP)
		which = PORT_SCTP;
	else
		return 0;
	chunk = bpf_map_lookup_elem(&port_classes, &which);
	return chunk ? chunk->v[port] : 0;
}

/* What the subject's policies say of this peer and port; false if a table is
 * damaged. */
static __always_inline bool cell_at(__u32 subject, __u32 peer, __u32 port,
				    __u32 *cell)
{
	struct page *rows, *page;
	__u32 at, row;

	if (!u32_at(&subject_pages, subject * PEER_PAGES + peer / PAGE_CELLS,
		    &at))
		return false;
	rows = bpf_map_lookup_elem(&row_pages, &at);
	if (!rows)
		return false;
	row = rows->v[peer & (PAGE_CELLS - 1)];
	if (ROW_CELLS)
		return u32_at(&cells, row * ROW_CELLS + port, cell);
	if (!u32_at(&row_index, row * PORT_PAGES + port / PAGE_CELLS, &at))
		return false;
	page = bpf_map_lookup_elem(&cell_pages, &at);
	if (!page)
		return false;
	*cell = page->v[port & (PAGE_CELLS - 1)];
	return true;
}

#endif
