/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Bounds-checked access to the copy of the headers. */
#ifndef BAILEY_PARSE_HEADER_COPY_H
#define BAILEY_PARSE_HEADER_COPY_H

#include "core/step.h"

/* size bytes at an offset of the frame; NULL if they reach beyond end or beyond
 * the copy. The verifier needs the mask. The compiler knows that the mask
 * changes nothing and would remove it, hence the assembly. */
static __always_inline void *header_at(struct headers *headers, __u32 at,
				       __u32 size, __u32 end)
{
	if (at > HEADERS_MAX - size || at + size > end)
		return NULL;
	asm volatile("%0 &= %1" : "+r"(at) : "i"(HEADERS_MAX - 1));
	return headers->bytes + at;
}

/* Number of bytes to copy, in a form that the verifier can bound. */
static __always_inline __u32 copy_length(__u32 len)
{
	asm volatile("" : "+r"(len));
	return len > HEADERS_MAX ? HEADERS_MAX : len;
}

#endif
