/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Rules for a pair of class records. */
#ifndef BAILEY_POLICY_MATCH_H
#define BAILEY_POLICY_MATCH_H

#include "core/step.h"
#include "policy/classify.h"
#include "policy/matrix.h"

/* A packet from its own receiver, or from the receiver's node, is plausible
 * only where the host itself sends. On a bridge the packets of a node arrive on
 * the internal side. */
static __always_inline bool may_be_own_address(const struct pkt *pkt)
{
	return pkt->env.hook == HOOK_TC ? !pkt->env.is_forwarded :
					  pkt->env.hook == HOOK_PROBE;
}

static __always_inline bool is_internal_side_of_bridge(bool from_external)
{
	return BRIDGE && INTERNAL_COUNT && !from_external;
}

static __always_inline bool may_be_own_node(const struct pkt *pkt)
{
	return may_be_own_address(pkt) ||
	       is_internal_side_of_bridge(pkt->env.from_external);
}

/* The deciding cells of a packet. */
struct cells {
	__u32 egress;
	__u32 ingress;
};

/* may_be_own_address() and may_be_own_node() of a packet. */
struct plausible {
	bool own_address;
	bool own_node;
};

/* Egress rules of the source AND ingress rules of the destination; replies need
 * no rule. False: a table is damaged. */
static __always_inline bool match_cells(const struct class_record *source,
					const struct class_record *destination,
					__u32 port, struct plausible plausible,
					struct cells *cells)
{
	if (source->endpoint && source->endpoint == destination->endpoint &&
	    plausible.own_address) {
		cells->egress = RULE_SELF;
		cells->ingress = RULE_SELF;
		return true;
	}
	cells->egress = RULE_NOT_ISOLATED;
	if (source->flags & CLASS_UNKNOWN)
		cells->egress = RULE_UNKNOWN_ADDRESS | CELL_DENY;
	else if (source->egress_subject &&
		 !cell_at(source->egress_subject, destination->peer, port,
			  &cells->egress))
		return false;
	cells->ingress = RULE_NOT_ISOLATED;
	if (source->flags & CLASS_NODE && source->node == destination->node &&
	    plausible.own_node)
		cells->ingress = RULE_OWN_NODE;
	else if (destination->flags & CLASS_UNKNOWN)
		cells->ingress = RULE_UNKNOWN_ADDRESS | CELL_DENY;
	else if (destination->ingress_subject &&
		 !cell_at(destination->ingress_subject, source->peer, port,
			  &cells->ingress))
		return false;
	return true;
}

static __always_inline enum step
match_rules(struct pkt *pkt, const struct class_record *source,
	    const struct class_record *destination, __u32 port)
{
	struct plausible plausible = { .own_address = may_be_own_address(pkt),
				       .own_node = may_be_own_node(pkt) };
	struct cells cells;

	if (!match_cells(source, destination, port, plausible, &cells))
		return drop(pkt, REASON_DROP_MAP_ERROR);
	pkt->out.egress_cell = cells.egress;
	pkt->out.ingress_cell = cells.ingress;
	return STEP_CONTINUE;
}

static __always_inline __u32 first_denial(__u32 before, __u32 cell)
{
	return !(before & CELL_DENY) && cell & CELL_DENY ? cell : before;
}

/* Addresses with several owners: every owner of the source must be allowed to
 * reach every owner of the destination. Global functions, so that the verifier
 * checks them once. */
__noinline int match_destination_owners(struct pkt *pkt, __u32 source_class,
					__u32 class, __u32 port)
{
	struct class_record *source, *destination;
	__u32 egress, ingress;
	int j;

	if (!pkt)
		return STEP_DONE;
	for (j = 0; j < CLASS_OWNERS_MAX; j++) {
		source = bpf_map_lookup_elem(&classes, &source_class);
		destination = bpf_map_lookup_elem(&classes, &class);
		if (!source || !destination)
			return drop(pkt, REASON_DROP_MAP_ERROR);
		egress = pkt->out.egress_cell;
		ingress = pkt->out.ingress_cell;
		if (match_rules(pkt, source, destination, port) !=
		    STEP_CONTINUE)
			return STEP_DONE;
		if (egress != RULE_NONE) {
			pkt->out.egress_cell =
				first_denial(egress, pkt->out.egress_cell);
			pkt->out.ingress_cell =
				first_denial(ingress, pkt->out.ingress_cell);
		}
		class = destination->flags >> CLASS_ALSO_SHIFT;
		if (!class)
			break;
	}
	return STEP_CONTINUE;
}

__noinline int match_owners(struct pkt *pkt, __u32 source_class,
			    __u32 destination_class, __u32 port)
{
	struct class_record *source;
	int i, step;

	if (!pkt)
		return STEP_DONE;
	pkt->out.egress_cell = RULE_NONE;
	pkt->out.ingress_cell = RULE_NONE;
	for (i = 0; i < CLASS_OWNERS_MAX; i++) {
		step = match_destination_owners(pkt, source_class,
						destination_class, port);
		if (step != STEP_CONTINUE)
			return step;
		source = bpf_map_lookup_elem(&classes, &source_class);
		if (!source)
			return drop(pkt, REASON_DROP_MAP_ERROR);
		source_class = source->flags >> CLASS_ALSO_SHIFT;
		if (!source_class)
			break;
	}
	return STEP_CONTINUE;
}

#endif
