/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * An ICMP error that matches the flow of the packet that it quotes.
 * parse/icmp_error.h has read the quoted packet, so the lookup finds this flow.
 */
#ifndef BAILEY_FLOW_ICMP_ERROR_H
#define BAILEY_FLOW_ICMP_ERROR_H

#include "core/step.h"
#include "flow/account.h"
#include "flow/find.h"
#include "flow/state.h"

/* An ICMP error about a flow passes if the flow may pass, and leaves the flow
 * unchanged. */
static __always_inline enum step icmp_error_hit(struct pkt *pkt,
						struct flow_entry *entry)
{
	if (flow_expired(pkt, pkt->flow.meta))
		return drop(pkt, REASON_DROP_ICMP_ERROR);
	if (meta_state(pkt->flow.meta) == STATE_DENIED)
		return drop(pkt, REASON_DROP_FLOW_DENIED);
	/* An ICMP error has one receiver. */
	if (pkt->in.link_target == LINK_GROUP)
		return drop(pkt, REASON_DROP_GROUP);
	pkt->flow.next_meta = pkt->flow.meta;
	/* Policy applies to the sender too, unless it is an end of the flow. */
	if (!flow_epoch_current(pkt->flow.meta, pkt->env.control) ||
	    (pkt->full.icmp_error == ERROR_FROM_PATH && !pkt->full.tunnel) ||
	    pkt->env.has_foreign_source)
		return STEP_CONTINUE;
	read_flow_rules(pkt, READ_ONCE(entry->rules));
	return pass(pkt, REASON_PASS_RELATED);
}

#endif
