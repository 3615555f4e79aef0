/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The ABI of ../../abi.h with the sizes that the programs rely on. */
#ifndef BAILEY_CORE_ABI_H
#define BAILEY_CORE_ABI_H

#include "core/kernel.h"

#include "../../abi.h"

#define FLOW_SLOTS_SHIFT 3
_Static_assert(FLOW_SLOTS == 1 << FLOW_SLOTS_SHIFT, "FLOW_SLOTS_SHIFT");

_Static_assert(sizeof(struct control) == 64, "control: one cache line");
_Static_assert(sizeof(struct flow_entry) == 64, "flow_entry: one cache line");
_Static_assert(sizeof(struct flow_bucket) == 512, "flow_bucket: no padding");
_Static_assert(sizeof(struct flow_ipv4) == 32, "flow_ipv4: no padding");
_Static_assert(sizeof(struct flow_ipv6) == 32, "flow_ipv6: no padding");
_Static_assert(sizeof(struct flow_key) == 40, "flow_key: no padding");
_Static_assert(sizeof(struct flow_keys) == 128, "flow_keys: two cache lines");
_Static_assert(sizeof(struct flood_cpu) == 64, "flood_cpu: one cache line");
_Static_assert(sizeof(struct host_entry) == 24, "host_entry");
_Static_assert(sizeof(struct lpm_node) == 24, "lpm_node");
_Static_assert(sizeof(struct lpm_pair) == 8, "lpm_pair");
_Static_assert(ONE_BITS_MASK == (1 << RANGES4_BITS) - 1,
	       "one prefix, as ranges");
_Static_assert(sizeof(struct lpm_ranges4) == 64, "lpm_ranges4: one cache line");
_Static_assert(sizeof(struct lpm_ranges6) == 64, "lpm_ranges6: one cache line");
_Static_assert(sizeof(struct class_record) == 24, "class_record");
_Static_assert(sizeof(struct rule_counter) == 64, "rule_counter");
_Static_assert(FLOW_EVENTS <= FLOW_EVENT_LINE,
	       "flow_events: fits the entry of a CPU");
_Static_assert(sizeof(struct failsafe_entry) == 40, "failsafe_entry");
_Static_assert(sizeof(struct block) == 64, "block: one cache line");
_Static_assert(sizeof(struct fragment_key) == 48, "fragment_key: no padding");
_Static_assert(sizeof(struct fragment_record) == 16,
	       "fragment_record: no padding");
_Static_assert(sizeof(struct probe_answer) == 80, "probe_answer: no padding");

#endif
