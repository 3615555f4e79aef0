/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Times and ages in ticks. */
#ifndef BAILEY_CORE_TICKS_H
#define BAILEY_CORE_TICKS_H

#include "core/abi.h"
#include "core/bits.h"

/* Ticks; tests simulate months with it. */
volatile const __u32 CLOCK_OFFSET = 0;

/* nanoseconds: of the coarse monotonic clock. */
static __always_inline __u32 clock_tick(__u64 nanoseconds)
{
	return ((nanoseconds >> TICK_SHIFT) + CLOCK_OFFSET) & TICK_MASK;
}

static __always_inline __u32 clock_part(__u64 nanoseconds)
{
	return nanoseconds >> TICK_FRACTION_SHIFT & RULES_OPENED_MASK;
}

#define TICKS_AHEAD 256 /* far above the clock difference of two CPUs */

/* A CPU that started after a tick edge may have written a stamp ahead of this
 * packet's clock. Its age is then 0, not nearly 2^24. */
static __always_inline __u64 ticks_since(__u32 then, __u32 now)
{
	__u64 age = (now - then) & TICK_MASK;

	return age & mask_below(age, TICK_MASK + 1 - TICKS_AHEAD);
}

#endif
