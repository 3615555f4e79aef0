/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Fields of the flow metadata word; see abi.h. */
#ifndef BAILEY_CORE_META_WORD_H
#define BAILEY_CORE_META_WORD_H

#include "core/abi.h"

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

static __always_inline __u32 meta_serial(__u64 meta)
{
	return (meta >> META_SERIAL_SHIFT) & META_SERIAL_MASK;
}

static __always_inline __u64 meta_make(__u32 serial, __u32 state, __u32 flags,
				       __u32 epoch, __u32 seen)
{
	return (__u64)state << META_STATE_SHIFT |
	       (__u64)(serial & META_SERIAL_MASK) << META_SERIAL_SHIFT |
	       (__u64)flags << META_FLAGS_SHIFT |
	       (__u64)epoch << META_EPOCH_SHIFT |
	       (__u64)(seen & META_SEEN_MASK) << META_SEEN_SHIFT;
}

#endif
