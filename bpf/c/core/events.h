/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Counters of flow-table events, per CPU. */
#ifndef BAILEY_CORE_EVENTS_H
#define BAILEY_CORE_EVENTS_H

#include "core/maps.h"

static __always_inline void flow_event(enum flow_event event)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct flow_events *events = bpf_map_lookup_elem(&flow_events, &cpu);

	if (events)
		events->count[event]++;
}

#endif
