/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Direction of a flow: source and destination of its first packet. */
#ifndef BAILEY_POLICY_DIRECTION_H
#define BAILEY_POLICY_DIRECTION_H

#include "core/maps.h"
#include "core/meta_word.h"

/* For a revalidated flow the original direction, whichever side sent this
 * packet. */
struct direction {
	__u64 source_be[2];
	__u64 destination_be[2];
	__u16 port; /* destination port */
};

static __always_inline bool is_revalidation(const struct pkt *pkt)
{
	return pkt->flow.meta && !pkt->out.is_reopened;
}

static __always_inline void direction_set(struct pkt *pkt,
					  struct direction *direction)
{
	bool low = is_revalidation(pkt) ?
			   !!(meta_flags(pkt->flow.meta) & FLOW_ORIG_LOW) :
			   pkt->in.sender_is_lower != pkt->out.is_reversed;
	__u64 tuple = pkt->key.tuple;

	direction->source_be[0] = low ? pkt->key.addr_lo_be[0] :
					pkt->key.addr_hi_be[0];
	direction->source_be[1] = low ? pkt->key.addr_lo_be[1] :
					pkt->key.addr_hi_be[1];
	direction->destination_be[0] = low ? pkt->key.addr_hi_be[0] :
					     pkt->key.addr_lo_be[0];
	direction->destination_be[1] = low ? pkt->key.addr_hi_be[1] :
					     pkt->key.addr_lo_be[1];
	direction->port = low ? tuple >> TUPLE_PORT_HI_SHIFT :
				tuple >> TUPLE_PORT_LO_SHIFT;
}

#endif
