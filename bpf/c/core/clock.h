/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The current time in nanoseconds of the coarse monotonic clock. A call that
 * reads that clock costs as much as a flow lookup; jiffies are one load. The
 * kernel advances both at the same point, so they differ by a constant, which
 * the loader measures.
 */
#ifndef BAILEY_CORE_CLOCK_H
#define BAILEY_CORE_CLOCK_H

#include "core/abi.h"

volatile const __u64 JIFFY_NANOSECONDS = 1000000;
/* Coarse clock at jiffy 0, modulo 2^64. */
volatile const __u64 JIFFIES_BEGIN = 0;

static __always_inline __u64 clock_nanoseconds(void)
{
	return bpf_jiffies64() * JIFFY_NANOSECONDS + JIFFIES_BEGIN;
}

#endif
