/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* . */
#ifndef BAILEY_POLICY_SENDER_H
#define BAILEY_POLICY_SENDER_H

#include "policy/classify.h"
#include "policy/direction.h"
#include "policy/scope.h"

/* A packet from the inside has the source of an endpoint or a node, of the machine itself,
 * or of a declared prefix. Without `sources` the inside is what
 * leaves through tc and no attached NIC has brought in. */
static __always_inline bool is_source_spoofed(const struct pkt *pkt,
					      const struct class_record *sender)
{
	bool asked = pkt->env.has_foreign_source ||
		     (pkt->env.hook == HOOK_TC &&
		      !(pkt->env.is_evaluated && pkt->env.is_from_host) &&
		      !is_revalidation(pkt) && !pkt->full.icmp_error &&
		      !is_internal_address(pkt->addr.source_be[0],
					   pkt->addr.source_be[1]) &&
		      !is_sent_by_host(pkt, pkt->addr.source_be));

	return asked && !sender->endpoint && !(sender->flags & CLASS_UNKNOWN);
}

/* An endpoint that may not send at will, or an unknown one, that reports an error of a
 * flow that is not its own: its policy has not been asked, and what the error quotes could
 * be any message. Routers and nodes report errors of others' flows. */
static __always_inline bool is_error_spoofed(const struct pkt *pkt,
					     const struct class_record *sender)
{
	return pkt->full.icmp_error == ERROR_FROM_PATH && !pkt->full.tunnel &&
	       !is_sent_by_host(pkt, pkt->addr.sender_be) &&
	       (sender->egress_subject || sender->flags & CLASS_UNKNOWN ||
		sender->flags >> CLASS_ALSO_SHIFT);
}

/* The sender of the packet. The sender of an ICMP error need not be an end of the flow. */
static __always_inline enum step sender_step(struct pkt *pkt)
{
	bool apart = pkt->full.icmp_error && !pkt->full.tunnel;
	struct class_record *sender;
	int class_id;
	bool leaves = pkt->env.hook == HOOK_TC &&
		      (INTERNAL_COUNT || ISOLATES & ISOLATES_UNKNOWN);

	if (pkt->env.hook == HOOK_PROBE ||
	    (!pkt->env.has_foreign_source &&
	     pkt->full.icmp_error != ERROR_FROM_PATH && !leaves))
		return STEP_CONTINUE;
	class_id =
		address_class(apart ? pkt->addr.sender_be : pkt->addr.source_be,
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
