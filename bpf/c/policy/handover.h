/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Evaluates a packet of the handover line, without struct pkt. */
#ifndef BAILEY_POLICY_HANDOVER_H
#define BAILEY_POLICY_HANDOVER_H

#include "core/control_word.h"
#include "core/handover.h"
#include "policy/match.h"
#include "policy/ports.h"
#include "policy/scope.h"

enum evaluated {
	EVALUATED_NOT, /* needs the steps of policy_step() */
	EVALUATED_DENY,
	EVALUATED_ALLOW,
};

/* Link-local addresses, and the broadcast addresses of this machine's subnets.
 * Group addresses are not handed over. */
static __always_inline bool needs_scope_step(const struct handover *from)
{
	if (!ISOLATES)
		return false;
	return is_link_local(from->source_be) ||
	       is_link_local(from->destination_be) ||
	       (ISOLATES & ISOLATES_INGRESS && !BRIDGE &&
		may_be_host_address(from->destination_be) &&
		address_flags(from->destination_be) & OWN_BROADCAST);
}

/* Must decide as policy_step() does. */
static __always_inline enum evaluated
evaluate_handover(const struct handover *from, __u32 generation,
		  struct cells *cells)
{
	struct plausible plausible = { .own_node = is_internal_side_of_bridge(
					       from->interface &
					       INTERFACE_EXTERNAL) };
	struct class_record *source, *destination;
	int source_class, destination_class;

	if (control_generation(from->control) != generation ||
	    needs_scope_step(from))
		return EVALUATED_NOT;
	source_class = address_class(from->source_be, from->kind);
	destination_class = address_class(from->destination_be, from->kind);
	source = bpf_map_lookup_elem(&classes, &source_class);
	destination = bpf_map_lookup_elem(&classes, &destination_class);
	if (!source || !destination ||
	    (source->flags | destination->flags) >> CLASS_ALSO_SHIFT ||
	    !match_cells(source, destination,
			 port_class(from->protocol, from->port), plausible,
			 cells))
		return EVALUATED_NOT;
	return (cells->egress | cells->ingress) & CELL_DENY ? EVALUATED_DENY :
							      EVALUATED_ALLOW;
}

#endif
