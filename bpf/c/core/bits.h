/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Branch-free arithmetic on 64-bit words. */
#ifndef BAILEY_CORE_BITS_H
#define BAILEY_CORE_BITS_H

#include "core/kernel.h"

#define BYTES_01 0x0101010101010101ULL
#define BYTES_7F 0x7f7f7f7f7f7f7f7fULL
#define BYTES_80 0x8080808080808080ULL

/* All ones if a < b, for a and b below 2^63. The barrier keeps the compiler
 * from turning the mask into a branch. With one branch per slot of a bucket the
 * verifier would walk 2^8 paths instead of one. */
static __always_inline __u64 mask_below(__u64 a, __u64 b)
{
	__s64 difference = a - b;

	asm volatile("" : "+r"(difference));
	return difference >> 63;
}

static __always_inline __u32 popcount64(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return x * BYTES_01 >> 56;
}

#endif
