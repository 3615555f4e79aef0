/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* TCP: windows for RST and FIN, and the state machine of a flow. */
#ifndef BAILEY_FLOW_TCP_H
#define BAILEY_FLOW_TCP_H

#include "core/step.h"
#include "flow/state.h"

/*
 * Sequence check for RST and FIN (the endpoints validate more, RFC 5961). The
 * last ACK of the peer tells where the sender's next segment begins. It is
 * recorded only after it moved by ACK_STEP, so that the entry is rarely
 * written. A segment is in window if it lies within SEQUENCE_WINDOW after that
 * ACK.
 */
#define ACK_STEP (1U << 16)
#define SEQUENCE_WINDOW (1U << 23)

static __always_inline bool
tcp_in_window(struct pkt *pkt, const struct flow_entry *entry, bool answers_syn)
{
	__u32 own = READ_ONCE(entry->ack[pkt->in.sender_is_lower ? 0 : 1]);
	__u32 expected = READ_ONCE(entry->ack[pkt->in.sender_is_lower ? 1 : 0]);

	if (answers_syn) /* an RST of a side that has sent nothing before */
		return pkt->in.tcp_flags & TCP_ACK && pkt->in.ack == own;
	/* Starts one before the ACK: an RST may repeat the sequence number of
	 * its SYN. */
	return !expected || pkt->in.sequence - expected + 1 < SEQUENCE_WINDOW;
}

/* Does the segment acknowledge data that the peer may have sent? A sender that
 * spoofs the opener's address has not seen the SYN ACK, and must not establish
 * the flow. */
static __always_inline bool tcp_ack_in_window(struct pkt *pkt,
					      const struct flow_entry *entry)
{
	__u32 own = READ_ONCE(entry->ack[pkt->in.sender_is_lower ? 0 : 1]);

	return !own ||
	       pkt->in.ack - own + SEQUENCE_WINDOW < 2 * SEQUENCE_WINDOW;
}

/* Records an ACK number after it has moved by ACK_STEP. own: of the sender. */
static __always_inline void note_ack(__u32 *own, __u32 ack)
{
	__u32 noted = READ_ONCE(*own);

	if (!noted || ack - noted - ACK_STEP < SEQUENCE_WINDOW)
		WRITE_ONCE(*own, ack);
}

/* Records ACK and SYN numbers at once, whatever the verdict on the packet, so
 * only call it for senders that may send. If another flow has reused the entry
 * meanwhile, the first RST of that flow may seem out of window. */
static __always_inline void
tcp_note_ack(struct pkt *pkt, struct flow_entry *entry, bool half_open)
{
	__u32 *own = &entry->ack[pkt->in.sender_is_lower ? 0 : 1];
	__u32 *other = &entry->ack[pkt->in.sender_is_lower ? 1 : 0];

	if (pkt->in.tcp_flags & TCP_ACK)
		note_ack(own, pkt->in.ack);
	if (pkt->in.tcp_flags & TCP_SYN && half_open)
		WRITE_ONCE(*other, pkt->in.sequence + 1);
}

/*
 * State machine:
 *
 * SYN_SENT -SYN,ACK-> SYN_RECV -ACK-> ESTABLISHED
 * ESTABLISHED -FIN-> FIN_WAIT -FIN of the other side-> TIME_WAIT
 * SYN_SENT, SYN_RECV -RST-> CLOSED
 * ESTABLISHED -RST-> FIN_WAIT without a FIN -ACK-> ESTABLISHED
 *
 * A SYN of either side after an RST or FIN creates a new flow (RFC 9293,
 * 3.5.3); if policy denies it, the old flow is unchanged. A SYN against the
 * original direction of a live flow is dropped, except in SYN_SENT, where it is
 * the other half of a simultaneous open. An RST or FIN out of window changes
 * nothing. An RST in window closes an established flow softly: the flow expires
 * sooner but is not evicted for it, and further traffic re-establishes it.
 */
static __always_inline enum step tcp_advance(struct pkt *pkt,
					     struct flow_entry *entry,
					     __u64 meta, __u32 *state,
					     __u32 *flags)
{
	bool opener = is_from_opener(pkt->in.sender_is_lower, meta);
	bool plain_ack = (pkt->in.tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK;
	__u32 fin = pkt->in.sender_is_lower ? FLOW_FIN_LOW : FLOW_FIN_HIGH;
	bool ends = pkt->in.tcp_flags & (TCP_RST | TCP_FIN);
	bool answers;

	if (pkt->in.may_create_flow &&
	    (flow_closed(*state) || *flags & FLOW_MIDSTREAM ||
	     *state == STATE_TCP_FIN_WAIT)) {
		pkt->out.is_reopened = 1;
		return STEP_CONTINUE;
	}
	if (pkt->in.may_create_flow && !opener && *state != STATE_TCP_SYN_SENT)
		return drop(pkt, REASON_DROP_TCP_STATE);
	if (*state == STATE_DENIED)
		return STEP_CONTINUE;
	if (ends &&
	    !tcp_in_window(pkt, entry, *state == STATE_TCP_SYN_SENT && !opener))
		return STEP_CONTINUE;
	if (!opener)
		*flags |= FLOW_REPLIED;
	/* RST in window. */
	if (pkt->in.tcp_flags & TCP_RST) {
		if (is_half_open(*state))
			*state = STATE_CLOSED;
		else if (*state == STATE_TCP_ESTABLISHED)
			*state = STATE_TCP_FIN_WAIT;
		return STEP_CONTINUE;
	}
	/* Any other segment: record its numbers. */
	answers = tcp_ack_in_window(pkt, entry);
	if (!pkt->env.has_foreign_source)
		tcp_note_ack(pkt, entry, is_half_open(*state));
	if (!(*flags & FLOW_REPLIED))
		return STEP_CONTINUE; /* one side alone: not established */
	/* Handshake, and revival after an RST. */
	if (*state == STATE_TCP_SYN_SENT && !opener &&
	    pkt->in.tcp_flags & TCP_SYN)
		*state = STATE_TCP_SYN_RECV;
	else if (*state == STATE_TCP_SYN_RECV && opener && plain_ack && answers)
		*state = STATE_TCP_ESTABLISHED;
	else if (*state == STATE_TCP_FIN_WAIT && plain_ack &&
		 !(*flags & (FLOW_FIN_LOW | FLOW_FIN_HIGH)))
		/* The endpoint did not accept the RST. */
		*state = STATE_TCP_ESTABLISHED;
	/* FIN in window. */
	if (pkt->in.tcp_flags & TCP_FIN && *state <= STATE_TCP_FIN_WAIT) {
		*flags |= fin;
		*state = (*flags & FLOW_FIN_LOW && *flags & FLOW_FIN_HIGH) ?
				 STATE_TCP_TIME_WAIT :
				 STATE_TCP_FIN_WAIT;
	}
	return STEP_CONTINUE;
}

#endif
