/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Policy checks of the packet's sender. */
#ifndef BAILEY_POLICY_SENDER_H
#define BAILEY_POLICY_SENDER_H

#include "policy/classify.h"
#include "policy/direction.h"
#include "policy/scope.h"

/* Valid sources of a packet from inside: an endpoint, a node, this machine, or
 * a declared prefix. Without `sources` in the configuration, inside means: leaves
 * through tc and did not arrive on an attached NIC. */
static __always_inline bool is_source_spoofed(const struct pkt *pkt,
					      const struct class_record *sender)
{
	bool is_checked = pkt->env.has_foreign_source ||
			  (pkt->env.hook == HOOK_TC &&
			   !(pkt->env.is_evaluated && pkt->env.is_from_host) &&
			   !is_revalidation(pkt) && !pkt->full.icmp_error &&
			   !is_internal_address(pkt->addr.source_be[0],
						pkt->addr.source_be[1]) &&
			   !is_sent_by_host(pkt, pkt->addr.source_be));

	return is_checked && !sender->endpoint &&
	       !(sender->flags & CLASS_UNKNOWN);
}

/*
 * An ICMP error about another endpoint's flow, sent by an endpoint that is
 * isolated for egress or by an unknown address. No policy was evaluated for
 * that sender, and the quoted packet could carry any message. Routers and nodes
 * may report errors of other flows.
 */
static __always_inline bool is_error_spoofed(const struct pkt *pkt,
					     const struct class_record *sender)
{
	return pkt->full.icmp_error == ERROR_FROM_PATH && !pkt->full.tunnel &&
	       !is_sent_by_host(pkt, pkt->addr.sender_be) &&
	       (sender->egress_subject || sender->flags & CLASS_UNKNOWN ||
		sender->flags >> CLASS_ALSO_SHIFT);
}

/* The sender of an ICMP error need not be an end of the flow. */
static __always_inline enum step sender_step(struct pkt *pkt)
{
	bool has_other_sender = pkt->full.icmp_error && !pkt->full.tunnel;
	struct class_record *sender;
	int class_id;
	bool checks_egress = pkt->env.hook == HOOK_TC &&
			     (INTERNAL_COUNT || ISOLATES & ISOLATES_UNKNOWN);

	if (pkt->env.hook == HOOK_PROBE ||
	    (!pkt->env.has_foreign_source &&
	     pkt->full.icmp_error != ERROR_FROM_PATH && !checks_egress))
		return STEP_CONTINUE;
	class_id = address_class(has_other_sender ? pkt->addr.sender_be :
						    pkt->addr.source_be,
				 pkt->in.kind);
	sender = bpf_map_lookup_elem(&classes, &class_id);
	if (!sender)
		return drop(pkt, REASON_DROP_MAP_ERROR);
	if (is_source_spoofed(pkt, sender))
		return drop(pkt, REASON_DROP_SPOOFED);
	return is_error_spoofed(pkt, sender) ?
		       drop(pkt, REASON_DROP_ICMP_ERROR) :
		       STEP_CONTINUE;
}

#endif
