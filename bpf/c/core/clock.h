/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * What time it is, in ticks. Reading the coarse clock is a call that costs as much
 * as the flow table does; jiffies are one load. Both advance in the same place of
 * the kernel, so a constant lies between them, which the loader has measured.
 */
#ifndef BAILEY_CORE_CLOCK_H
#define BAILEY_CORE_CLOCK_H

#include "core/abi.h"

volatile const __u64 JIFFY_NANOSECONDS = 1000000;
volatile const __u64 JIFFIES_BEGIN =
	0; /* the coarse clock at jiffy 0, mod 2^64 */
volatile const __u32 CLOCK_OFFSET =
	0; /* ticks; tests make months pass with it */

static __always_inline __u64 clock_nanoseconds(void)
{
	return bpf_jiffies64() * JIFFY_NANOSECONDS + JIFFIES_BEGIN;
}

static __always_inline __u32 clock_tick(__u64 nanoseconds)
{
	return ((nanoseconds >> TICK_SHIFT) + CLOCK_OFFSET) & TICK_MASK;
}

static __always_inline __u32 clock_part(__u64 nanoseconds)
{
	return nanoseconds >> TICK_FRACTION_SHIFT & RULES_OPENED_MASK;
}

#endif
