/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Fields of the flow metadata word; see abi.h. */
#ifndef BAILEY_CORE_META_WORD_H
#define BAILEY_CORE_META_WORD_H

#include "core/abi.h"

/* A program sees the stores of another CPU in the order in which that CPU made
 * them (x86). Elsewhere the programs use exchanges in place of plain stores. */
volatile const __u32 STORES_IN_ORDER = 0;

static __always_inline __u32 meta_state(__u64 meta)
{
	return (meta >> META_STATE_SHIFT) & META_STATE_MASK;
}

static __always_inline __u32 meta_flags(__u64 meta)
{
	return (meta >> META_FLAGS_SHIFT) & META_FLAGS_MASK;
}

static __always_inline __u32 meta_epoch(__u64 meta)
{
	return (meta >> META_EPOCH_SHIFT) & META_EPOCH_MASK;
}

static __always_inline __u32 meta_seen(__u64 meta)
{
	return (meta >> META_SEEN_SHIFT) & META_SEEN_MASK;
}

/* Family and serial, which all words of one flow share. */
#define META_IDENTITY (META_IPV6 | META_SERIAL_MASK << META_SERIAL_SHIFT)

static __always_inline __u64 meta_identity(__u32 kind, __u32 serial)
{
	return (kind == KIND_IPV6 ? META_IPV6 : 0) |
	       (serial & META_SERIAL_MASK) << META_SERIAL_SHIFT;
}

static __always_inline __u32 meta_serial(__u64 meta)
{
	return (meta >> META_SERIAL_SHIFT) & META_SERIAL_MASK;
}

/* identity: any word of the flow. epoch: the low bits count. */
static __always_inline __u64 meta_make(__u64 identity, __u32 state, __u32 flags,
				       __u32 epoch, __u32 seen)
{
	return (identity & META_IDENTITY) | (__u64)state << META_STATE_SHIFT |
	       (__u64)flags << META_FLAGS_SHIFT |
	       (epoch & META_EPOCH_MASK) << META_EPOCH_SHIFT |
	       (__u64)(seen & META_SEEN_MASK) << META_SEEN_SHIFT;
}

/* Without the time of the last packet. */
static __always_inline __u32 meta_lower(__u64 meta)
{
	return meta;
}

/* Publishes an entry that this CPU has written under BUSY. */
static __always_inline void meta_publish(__u64 *word, __u64 meta)
{
	if (STORES_IN_ORDER) {
		asm volatile("" ::: "memory");
		WRITE_ONCE(*word, meta);
	} else {
		__sync_lock_test_and_set(word, meta);
	}
}

#endif
