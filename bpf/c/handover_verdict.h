/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The exit of a packet of the handover line that needs no struct pkt: counts and
 * records the packet as verdict.h does. */
#ifndef BAILEY_HANDOVER_VERDICT_H
#define BAILEY_HANDOVER_VERDICT_H

#include "core/handover.h"
#include "policy/match.h"
#include "verdict.h"

static __always_inline void record_handover(const struct handover *from,
					    const struct cells *cells,
					    __u32 cpu, enum reason reason)
{
	struct recording new;

	if (!record_begin(&new, cpu, record_class(reason)))
		return;
	record_set_origin(new.record, from->origin);
	new.record->time = record_time(from->now >> TICK_FRACTION_SHIFT, reason,
				       from->bytes);
	new.record->tuple = from->tuple;
	new.record->egress = cells->egress;
	new.record->ingress = cells->ingress;
	new.record->source_be[0] = from->source_be[0];
	new.record->source_be[1] = from->source_be[1];
	new.record->destination_be[0] = from->destination_be[0];
	new.record->destination_be[1] = from->destination_be[1];
	record_end(&new);
}

/* Counts and records a packet of the handover line as count_packet() does. A
 * flow that was created counts the packet itself. */
static __always_inline void count_handover(const struct handover *from,
					   const struct cells *cells,
					   enum reason reason)
{
	bool denied = reason == REASON_DROP_POLICY;
	struct rule_amounts by = { .cpu = bpf_get_smp_processor_id(),
				   .hits = 1,
				   .packets = denied,
				   .bytes = denied ? from->bytes : 0,
				   .now = clock_tick(from->now) };

	count_reason_at(by.cpu, from->interface & (INTERFACE_SLOTS - 1),
			HOOK_XDP, reason, 1, from->bytes);
	count_cells(cells->egress, cells->ingress, denied, &by);
	record_handover(from, cells, by.cpu, reason);
}

#endif
