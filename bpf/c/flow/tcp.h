/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* . */
#ifndef BAILEY_FLOW_TCP_H
#define BAILEY_FLOW_TCP_H

#include "core/step.h"
#include "flow/state.h"

/*
 * What a sender must know to end a connection (RFC 5961 asks no more of the
 * endpoints). The acknowledgement of the other side says where the sender's next
 * segment begins. It is noted only when it has moved by ACK_STEP, so that the
 * line is seldom written; a segment within SEQUENCE_WINDOW after it is believed.
 */
#define ACK_STEP (1U << 16)
#define SEQUENCE_WINDOW (1U << 23)

static __always_inline bool
tcp_in_window(struct pkt *pkt, const struct flow_entry *entry, bool answers_syn)
{
	__u32 own = READ_ONCE(entry->ack[pkt->in.sender_is_lower ? 0 : 1]);
	__u32 expected = READ_ONCE(entry->ack[pkt->in.sender_is_lower ? 1 : 0]);

	if (answers_syn) /* an RST from where nothing has been seen yet */
		return pkt->in.tcp_flags & TCP_ACK && pkt->in.ack == own;
	/* From one before it: an RST may repeat the number of its SYN. */
	return !expected || pkt->in.sequence - expected + 1 < SEQUENCE_WINDOW;
}

/* Does it acknowledge about what the other side has sent? Who forges the opener's
 * address has not seen the SYN ACK, and must not make its flow last. */
static __always_inline bool tcp_ack_in_window(struct pkt *pkt,
					      const struct flow_entry *entry)
{
	__u32 own = READ_ONCE(entry->ack[pkt->in.sender_is_lower ? 0 : 1]);

	return !own ||
	       pkt->in.ack - own + SEQUENCE_WINDOW < 2 * SEQUENCE_WINDOW;
}

/* Of who may send: the line is written at once, whatever becomes of the packet.
 * Another flow may have come to the line meanwhile; then its first RST may be
 * taken for a stray one. */
static __always_inline void
tcp_note_ack(struct pkt *pkt, struct flow_entry *entry, bool half_open)
{
	__u32 *own = &entry->ack[pkt->in.sender_is_lower ? 0 : 1];
	__u32 *other = &entry->ack[pkt->in.sender_is_lower ? 1 : 0];

	if (pkt->in.tcp_flags & TCP_ACK &&
	    (!READ_ONCE(*own) ||
	     pkt->in.ack - READ_ONCE(*own) - ACK_STEP < SEQUENCE_WINDOW))
		WRITE_ONCE(*own, pkt->in.ack);
	if (pkt->in.tcp_flags & TCP_SYN && half_open)
		WRITE_ONCE(*other, pkt->in.sequence + 1);
}

/*
 *   SYN_SENT -SYN,ACK-> SYN_RECV -ACK-> ESTABLISHED -FIN-> FIN_WAIT -FIN-> TIME_WAIT
 *       SYN_SENT, SYN_RECV -RST-> CLOSED
 *       ESTABLISHED -RST-> FIN_WAIT without a FIN -ACK-> ESTABLISHED
 * After an RST or a FIN of either side a SYN, from whichever, asks for another
 * connection (RFC 9293, 3.5.3); denied, it leaves the flow as it is. A SYN against the
 * opener's direction of a live flow is dropped; of a flow in SYN_SENT it is the other
 * half of a simultaneous open. An RST
 * or FIN that is not believed changes nothing. An RST that is closes an
 * established flow softly: it may expire sooner, is not evicted for it, and
 * traffic that goes on revives it.
 */
static __always_inline enum step tcp_advance(struct pkt *pkt,
					     struct flow_entry *entry,
					     __u64 meta, __u32 *state,
					     __u32 *flags)
{
	bool opener = is_from_opener(pkt, meta);
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
	if (pkt->in.tcp_flags & TCP_RST) {
		if (is_half_open(*state))
			*state = STATE_CLOSED;
		else if (*state == STATE_TCP_ESTABLISHED)
			*state = STATE_TCP_FIN_WAIT;
		return STEP_CONTINUE;
	}
	answers = tcp_ack_in_window(pkt, entry);
	if (!pkt->env.has_foreign_source)
		tcp_note_ack(pkt, entry, is_half_open(*state));
	if (!(*flags & FLOW_REPLIED))
		return STEP_CONTINUE; /* one side alone cannot make it last */
	if (*state == STATE_TCP_SYN_SENT && !opener &&
	    pkt->in.tcp_flags & TCP_SYN)
		*state = STATE_TCP_SYN_RECV;
	else if (*state == STATE_TCP_SYN_RECV && opener && plain_ack && answers)
		*state = STATE_TCP_ESTABLISHED;
	else if (*state == STATE_TCP_FIN_WAIT && plain_ack &&
		 !(*flags & (FLOW_FIN_LOW | FLOW_FIN_HIGH)))
		*state = STATE_TCP_ESTABLISHED; /* the RST was not accepted */
	if (pkt->in.tcp_flags & TCP_FIN && *state <= STATE_TCP_FIN_WAIT) {
		*flags |= fin;
		*state = (*flags & FLOW_FIN_LOW && *flags & FLOW_FIN_HIGH) ?
				 STATE_TCP_TIME_WAIT :
				 STATE_TCP_FIN_WAIT;
	}
	return STEP_CONTINUE;
}

#endif
