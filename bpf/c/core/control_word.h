/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Fields of the control word; see abi.h. */
#ifndef BAILEY_CORE_CONTROL_WORD_H
#define BAILEY_CORE_CONTROL_WORD_H

#include "core/abi.h"

static __always_inline __u32 control_slot(__u64 control)
{
	return (control >> CONTROL_SLOT_SHIFT) & CONTROL_SLOT_MASK;
}

static __always_inline __u32 control_generation(__u64 control)
{
	return (control >> CONTROL_GENERATION_SHIFT) & CONTROL_GENERATION_MASK;
}

static __always_inline __u32 control_epoch(__u64 control)
{
	return (control >> CONTROL_EPOCH_SHIFT) & CONTROL_EPOCH_MASK;
}

#endif
