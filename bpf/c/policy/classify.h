/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Address to class record: the exact table for full-length addresses, if its
 * filter says that it may have the address, then the longest-prefix match of
 * lpm.h. fw/compile/src/lookup.rs does the same in Rust, over the same bytes;
 * so do lpm.h, ports.h and matrix.h. */
#ifndef BAILEY_POLICY_CLASSIFY_H
#define BAILEY_POLICY_CLASSIFY_H

#include "core/tag_word.h"
#include "policy/lpm.h"

ARRAY(host_filter, __u64, 1);
ARRAY(host_tags, __u64, 1);
ARRAY(host_buckets, struct host_bucket, 1);
ARRAY(classes, struct class_record, 1);

/* Set when a generation is loaded. */
volatile const __u32 HOST_BUCKET_BITS = 1;
volatile const __u32 HOST_KEYS[HOST_NH_WORDS] = {};

#define HOST_MUL 0x9e3779b97f4a7c15ULL

/* Searches one bucket of the exact table. A global function, like
 * flow_find_in_bucket(). */
__noinline int host_find_in_bucket(__u32 bucket, __u32 tag, __u64 first,
				   __u64 second)
{
	__u64 *word = bpf_map_lookup_elem(&host_tags, &bucket);
	struct host_bucket *bucket_data;
	__u64 slots;
	int i;

	if (!word)
		return -1;
	slots = slots_matching(*word, tag);
	if (!slots)
		return -1;
	bucket_data = bpf_map_lookup_elem(&host_buckets, &bucket);
	if (!bucket_data)
		return -1;
	for (i = 0; i < HOST_SLOTS && slots; i++) {
		struct host_entry *entry =
			&bucket_data->entry[lowest_slot(slots)];

		if (entry->addr_be[0] == first && entry->addr_be[1] == second)
			return entry->class_id;
		slots &= slots - 1;
	}
	return -1;
}

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
	class_id =
		host_find_in_bucket(first, tag, address_be[0], address_be[1]);
	if (class_id < 0)
		class_id = host_find_in_bucket(second, tag, address_be[0],
					       address_be[1]);
	return class_id;
}

/* May the exact table have this address? kind: the family of the address. */
static __always_inline bool may_be_host(const __u64 address_be[2], __u8 kind)
{
	__u32 slot, index;
	__u64 *word;

	if (kind == KIND_IPV4) {
		slot = bpf_ntohl(address_be[1] >> 32) >> (32 - LPM_DIRECT_BITS);
		index = slot / 64;
	} else {
		slot = bpf_be64_to_cpu(address_be[0]) >> (64 - LPM_DIRECT_BITS);
		index = HOST_FILTER_WORDS + slot / 64;
	}
	word = bpf_map_lookup_elem(&host_filter, &index);
	/* Without a word the exact table decides. */
	return !word || *word >> (slot & 63) & 1;
}

static __always_inline int address_class(const __u64 address_be[2], __u8 kind)
{
	int class_id = -1;

	if (may_be_host(address_be, kind))
		class_id = host_class(address_be);
	if (class_id < 0)
		class_id = prefix_class(address_be, kind);
	return class_id;
}

#endif
