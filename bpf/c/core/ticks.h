/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* . */
#ifndef BAILEY_CORE_TICKS_H
#define BAILEY_CORE_TICKS_H

#include "core/abi.h"
#include "core/bits.h"

#define TICKS_AHEAD 256 /* far more than two CPUs can differ */

/* Another CPU that began after the edge of a tick may have stamped something
 * ahead of this packet's clock: that is an age of 0, not of nearly 2^24. */
static __always_inline __u64 ticks_since(__u32 then, __u32 now)
{
	__u64 age = (now - then) & TICK_MASK;

	return age & mask_below(age, TICK_MASK + 1 - TICKS_AHEAD);
}

#endif
