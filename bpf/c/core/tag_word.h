/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Tag words: one fingerprint byte per slot of a bucket, 0: free slot. */
#ifndef BAILEY_CORE_TAG_WORD_H
#define BAILEY_CORE_TAG_WORD_H

#include "core/abi.h"
#include "core/bits.h"

/* 0x80 in every byte of word that equals tag; no false matches. */
static __always_inline __u64 slots_matching(__u64 word, __u32 tag)
{
	__u64 x = word ^ BYTES_01 * tag;

	return ~(((x & BYTES_7F) + BYTES_7F) | x | BYTES_7F);
}

/* Lowest slot in a result of slots_matching(). */
static __always_inline __u32 lowest_slot(__u64 slots)
{
	__u64 below = ((slots & -slots) >> 7) - 1;

	return ((below & BYTES_01) * BYTES_01 >> 56) & (FLOW_SLOTS - 1);
}

static __always_inline __u32 count_slots(__u64 slots)
{
	return (slots >> 7) * BYTES_01 >> 56;
}

static __always_inline __u64 tag_word_with(__u64 word, __u32 slot, __u32 tag)
{
	__u32 shift = (slot & (FLOW_SLOTS - 1)) * 8;

	return (word & ~(0xffULL << shift)) | (__u64)tag << shift;
}

#endif
