/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* SCTP associations: verification tags, and the chunks that close a flow. */
#ifndef BAILEY_FLOW_SCTP_H
#define BAILEY_FLOW_SCTP_H

#include "flow/state.h"
#include "parse/frame.h"

#define SCTP_REFLECTED 0x01 /* T bit: the tag is the sender's own */

static __always_inline bool is_sctp_end(const struct pkt *pkt)
{
	return pkt->full.chunk == SCTP_CHUNK_ABORT ||
	       pkt->full.chunk == SCTP_CHUNK_SHUTDOWN_COMPLETE;
}

/* Only before the first reply: a later INIT may come from a third party. */
static __always_inline void
sctp_note_tag(struct pkt *pkt, struct flow_entry *entry, bool opening)
{
	__u32 *own = &entry->ack[pkt->in.sender_is_lower ? 0 : 1];
	__u32 *other = &entry->ack[pkt->in.sender_is_lower ? 1 : 0];

	if (opening && (pkt->full.chunk == SCTP_CHUNK_INIT ||
			(pkt->full.chunk == SCTP_CHUNK_INIT_ACK &&
			 pkt->in.sequence == READ_ONCE(*other))))
		WRITE_ONCE(*own, pkt->in.ack);
}

/* ABORT and SHUTDOWN COMPLETE close a flow if they carry its tag (RFC 9260,
 * 8.5.1). */
static __always_inline void sctp_advance(struct pkt *pkt,
					 struct flow_entry *entry, bool opening,
					 __u32 *state)
{
	__u32 *own = &entry->ack[pkt->in.sender_is_lower ? 0 : 1];
	__u32 *other = &entry->ack[pkt->in.sender_is_lower ? 1 : 0];
	__u32 tag = READ_ONCE(
		*(pkt->full.chunk_flags & SCTP_REFLECTED ? own : other));

	if (is_sctp_end(pkt) && tag && pkt->in.sequence == tag)
		*state = STATE_CLOSED;
	else if (!pkt->env.has_foreign_source)
		sctp_note_tag(pkt, entry, opening);
}

#endif
