/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* . */
#ifndef BAILEY_CORE_TAG_WORD_H
#define BAILEY_CORE_TAG_WORD_H

#include "core/abi.h"
#include "core/bits.h"

/* 0x80 in every byte of word that equals tag; exact. */
static __always_inline __u64 lanes_matching(__u64 word, __u32 tag)
{
	__u64 x = word ^ BYTES_01 * tag;

	return ~(((x & BYTES_7F) + BYTES_7F) | x | BYTES_7F);
}

/* The lowest lane of a result of lanes_matching. */
static __always_inline __u32 lane_lowest(__u64 lanes)
{
	__u64 below = ((lanes & -lanes) >> 7) - 1;

	return ((below & BYTES_01) * BYTES_01 >> 56) & (FLOW_LANES - 1);
}

static __always_inline __u32 lanes_count(__u64 lanes)
{
	return (lanes >> 7) * BYTES_01 >> 56;
}

static __always_inline __u64 tag_in_lane(__u64 word, __u32 lane, __u32 tag)
{
	__u32 shift = (lane & (FLOW_LANES - 1)) * 8;

	return (word & ~(0xffULL << shift)) | (__u64)tag << shift;
}

#endif
