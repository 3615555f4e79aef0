/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Maps of one value that programs address directly, without a lookup.
 *
 * User space creates such a map, sets its contents and pins it; the object
 * only names it. Before an object is loaded, fw/datapath/src/program/direct.rs
 * puts the map's descriptor into every instruction that takes the address of
 * the variable. A load never writes to the map.
 */
#ifndef BAILEY_CORE_SHARED_VALUE_H
#define BAILEY_CORE_SHARED_VALUE_H

#include "core/abi.h"

/* Not static: the compiler would take the zeros of the object for the value of
 * a variable that no program writes. */
#define SHARED_VALUE(value_type, name) value_type name SEC(".shared." #name)

/* An array whose size user space chooses. The object only has the beginning. */
#define SHARED_TABLE(value_type, name) value_type name[2] SEC(".shared." #name)

/* The address at a byte offset in a table. mask: a load-time constant, with
 * which the verifier bounds the offset. The barriers hide the size that the
 * table has in the object, and keep the compiler from changing the offset after
 * the mask. */
static __always_inline void *table_at(void *table, __u64 offset, __u64 mask)
{
	asm volatile("" : "+r"(table));
	offset &= mask;
	asm volatile("" : "+r"(offset));
	return table + offset;
}

#endif
