/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Tag words, entries and counters of the flow table: where they are, and which
 * key an entry has. */
#ifndef BAILEY_FLOW_ENTRY_H
#define BAILEY_FLOW_ENTRY_H

#include "core/flow_key.h"
#include "core/meta_word.h"

static __always_inline __u64 *flow_tag_word(__u32 bucket)
{
	return table_at(flow_tags, (__u64)bucket * sizeof(__u64),
			FLOW_TAGS_MASK);
}

static __always_inline struct flow_bucket *flow_bucket_at(__u32 bucket)
{
	if (!FLOWS_DIRECT)
		return bpf_map_lookup_elem(&flows_large, &bucket);
	return table_at(flows, (__u64)bucket * sizeof(struct flow_bucket),
			FLOWS_MASK & ~(__u64)(sizeof(struct flow_bucket) - 1));
}

/* index: bucket * FLOW_SLOTS + slot */
static __always_inline struct flow_entry *flow_entry_of(__u64 index)
{
	struct flow_bucket *bucket;
	__u32 at = index >> FLOW_SLOTS_SHIFT;

	if (FLOWS_DIRECT)
		return table_at(flows, index * sizeof(struct flow_entry),
				FLOWS_MASK);
	bucket = bpf_map_lookup_elem(&flows_large, &at);
	if (!bucket)
		return NULL;
	/* The verifier wants the check before the addition. */
	asm volatile("" : "+r"(bucket));
	return &bucket->entry[index & (FLOW_SLOTS - 1)];
}

static __always_inline __u64 flow_index(__u32 bucket, __u32 slot)
{
	return (__u64)bucket << FLOW_SLOTS_SHIFT | (slot & (FLOW_SLOTS - 1));
}

static __always_inline struct flow_entry *flow_entry_at(__u32 bucket,
							__u32 slot)
{
	return flow_entry_of(flow_index(bucket, slot));
}

/* Counters of a sender of the IPv6 flow in a slot: the lower address, 0, or the
 * higher, 1. */
static __always_inline struct flow_count *flow_count6_of(__u32 sender,
							 __u64 index)
{
	__u64 at = index << 1 | (sender & 1);
	__u32 cell = at;

	if (!FLOWS_DIRECT)
		return bpf_map_lookup_elem(&flow_counts6_large, &cell);
	return table_at(flow_counts6, at * sizeof(struct flow_count),
			FLOW_COUNTS6_MASK);
}

static __always_inline bool entry_has_key(const struct flow_entry *entry,
					  const struct flow_key *key,
					  __u32 kind)
{
	const struct flow_ipv6 *ipv6 = (const void *)entry->body;
	__u64 difference = entry->tuple ^ key->tuple;

	if (kind != KIND_IPV6)
		return !(difference | (entry->body[0] ^ key_ipv4_pair(key)));
	return !(difference | (ipv6->addr_lo_be[0] ^ key->addr_lo_be[0]) |
		 (ipv6->addr_lo_be[1] ^ key->addr_lo_be[1]) |
		 (ipv6->addr_hi_be[0] ^ key->addr_hi_be[0]) |
		 (ipv6->addr_hi_be[1] ^ key->addr_hi_be[1]));
}

/* meta: metadata word from before the comparison. */
static __always_inline bool is_flow_of(const struct flow_entry *entry,
				       __u64 meta, const struct pkt *pkt)
{
	return meta_state(meta) != STATE_BUSY &&
	       !!(meta & META_IPV6) == (pkt->in.kind == KIND_IPV6) &&
	       entry_has_key(entry, &pkt->key, pkt->in.kind);
}

static __always_inline void
entry_set_key(struct flow_entry *entry, const struct flow_key *key, __u32 kind)
{
	struct flow_ipv6 *ipv6 = (void *)entry->body;

	entry->tuple = key->tuple;
	if (kind != KIND_IPV6) {
		entry->body[0] = key_ipv4_pair(key);
		return;
	}
	ipv6->addr_lo_be[0] = key->addr_lo_be[0];
	ipv6->addr_lo_be[1] = key->addr_lo_be[1];
	ipv6->addr_hi_be[0] = key->addr_hi_be[0];
	ipv6->addr_hi_be[1] = key->addr_hi_be[1];
}

/* The source prefix of the flow's opener; see source_prefix(). */
static __always_inline __u64 entry_source_prefix(const struct flow_entry *entry,
						 __u64 meta)
{
	bool low = meta_flags(meta) & FLOW_ORIG_LOW;
	const struct flow_ipv4 *ipv4 = (const void *)entry->body;
	const struct flow_ipv6 *ipv6 = (const void *)entry->body;

	if (meta & META_IPV6)
		return low ? ipv6->addr_lo_be[0] : ipv6->addr_hi_be[0];
	return v4_mapped_address(low ? ipv4->addr_lo_be : ipv4->addr_hi_be);
}

#endif
