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

#endif
