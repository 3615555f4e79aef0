/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The flow table, reading side: hash, find, and what a packet does to the state
 * of a flow. Writing a line is flow_write.h's.
 *
 * Reader: load meta, compare the key, act, exchange meta by compare-and-swap.
 * BUSY means that another CPU writes the line; nobody waits for it. LOCKED means
 * that another CPU judges the flow again: what it says still holds.
 */
#ifndef BAILEY_FLOW_ADVANCE_H
#define BAILEY_FLOW_ADVANCE_H

#include "core/events.h"
#include "core/step.h"
#include "flow/account.h"
#include "flow/lookup.h"
#include "flow/sctp.h"
#include "flow/source_limit.h"
#include "flow/tcp.h"

/* Notes the numbers of a foreign sender, after the policy program has let the packet pass. */
static __always_inline void flow_note_admitted(struct pkt *pkt,
					       struct flow_entry *entry)
{
	__u32 state = meta_state(pkt->flow.meta);

	if (!pkt->env.has_foreign_source)
		return;
	if (pkt->in.protocol != IPPROTO_TCP)
		sctp_note_tag(pkt, entry, state == STATE_SCTP_NEW);
	else if (!(pkt->in.tcp_flags & (TCP_RST | TCP_FIN)))
		tcp_note_ack(pkt, entry, is_half_open(state));
}

/* Requests with the identifier 0 of both sides have one key; so have all ICMP
 * messages that are no echo. Against the opener's direction they are no reply. */
static __always_inline bool is_echo_collision(struct pkt *pkt, __u64 meta)
{
	return (pkt->in.protocol == IPPROTO_ICMP ||
		pkt->in.protocol == IPPROTO_ICMPV6) &&
	       pkt->in.may_create_flow && !is_from_opener(pkt, meta) &&
	       meta_state(meta) != STATE_DENIED;
}

/* A tombstone stands for the direction that policy denies, once it has been judged under
 * what is in force. What the other side sends is judged as its own; if a rule allows that
 * the flow is its. */
static __always_inline bool is_reverse_of_tombstone(struct pkt *pkt, __u64 meta)
{
	return meta_state(meta) == STATE_DENIED && pkt->in.may_create_flow &&
	       !is_from_opener(pkt, meta) &&
	       flow_epoch_current(meta, pkt->env.control);
}

/* Sets pkt->flow.next_meta, the meta word after this packet, or pkt->reopen. */
static __always_inline enum step
flow_advance(struct pkt *pkt, struct flow_entry *entry, __u64 meta)
{
	__u32 state = meta_state(meta), flags = meta_flags(meta);
	enum step step = STEP_CONTINUE;

	pkt->out.is_reopened = 0;
	if (flow_expired(pkt, meta)) {
		pkt->out.is_reopened = 1;
		return STEP_CONTINUE;
	}
	if (pkt->in.protocol == IPPROTO_TCP) {
		step = tcp_advance(pkt, entry, meta, &state, &flags);
	} else if (pkt->full.chunk == SCTP_CHUNK_INIT &&
		   (flow_closed(state) || flags & FLOW_MIDSTREAM)) {
		pkt->out.is_reopened = 1;
		return STEP_CONTINUE;
	} else if (pkt->full.chunk == SCTP_CHUNK_INIT &&
		   state == STATE_SCTP_REPLIED && !is_from_opener(pkt, meta)) {
		return drop(pkt, REASON_DROP_TCP_STATE);
	} else if (is_echo_collision(pkt, meta) ||
		   is_reverse_of_tombstone(pkt, meta)) {
		pkt->out.is_reopened = 1;
		return STEP_CONTINUE;
	} else if (!is_from_opener(pkt, meta) && state != STATE_DENIED) {
		flags |= FLOW_REPLIED;
		if (is_half_open(state))
			state++; /* *_NEW -> *_REPLIED */
	}
	if (pkt->full.chunk && state != STATE_DENIED)
		sctp_advance(pkt, entry, meta_state(meta) == STATE_SCTP_NEW,
			     &state);
	if (step == STEP_CONTINUE && is_half_open(meta_state(meta)) &&
	    is_live(state) && is_source_exhausted(&pkt->key, meta)) {
		state = meta_state(meta); /* works, and stays evictable */
		flow_event(FLOW_SOURCE_LIMITED);
	}
	pkt->flow.next_meta = meta_make(meta_serial(meta), state, flags,
					meta_epoch(meta), pkt->env.now);
	return step;
}

/* An ICMP error about a flow: passes if the flow may, and changes nothing of it. */
static __always_inline enum step icmp_error_hit(struct pkt *pkt,
						struct flow_entry *entry)
{
	if (flow_expired(pkt, pkt->flow.meta))
		return drop(pkt, REASON_DROP_ICMP_ERROR);
	if (meta_state(pkt->flow.meta) == STATE_DENIED)
		return drop(pkt, REASON_DROP_FLOW_DENIED);
	/* An error is one host's affair, and no group's. */
	if (pkt->in.link_target == LINK_GROUP)
		return drop(pkt, REASON_DROP_GROUP);
	pkt->flow.next_meta = pkt->flow.meta;
	/* Who sends it has a policy too, unless the flow is its own. */
	if (!flow_epoch_current(pkt->flow.meta, pkt->env.control) ||
	    (pkt->full.icmp_error == ERROR_FROM_PATH && !pkt->full.tunnel) ||
	    pkt->env.has_foreign_source)
		return STEP_CONTINUE;
	read_flow_rules(pkt, READ_ONCE(entry->rules));
	return pass(pkt, REASON_PASS_RELATED);
}

/* A packet to one host in a frame for a group, such as to the broadcast address of a
 * subnet that the configuration does not name. Policy judges each such packet: an earlier
 * packet of the flow may have gone to one station. */
static __always_inline bool is_unicast_in_group_frame(const struct pkt *pkt)
{
	return pkt->in.link_target == LINK_GROUP &&
	       !is_group_address(pkt->addr.destination_be);
}

enum hit {
	HIT_ACT, /* pkt->flow.meta is what the flow was before this packet */
	HIT_DROPPED,  /* under a reason of its own */
	HIT_CONTINUE, /* to the policy program */
	HIT_CHANGED,  /* by another CPU, to pkt->flow.meta */
};

/* One try to move the flow from pkt->flow.meta on. */
static __always_inline enum hit flow_hit_try(struct pkt *pkt,
					     struct flow_entry *entry)
{
	__u64 meta = pkt->flow.meta, seen;

	if (flow_advance(pkt, entry, meta) != STEP_CONTINUE)
		return HIT_DROPPED;
	if (pkt->out.is_reopened ||
	    !flow_epoch_current(meta, pkt->env.control) ||
	    is_unicast_in_group_frame(pkt) || pkt->env.has_foreign_source)
		return HIT_CONTINUE;
	read_flow_rules(pkt, READ_ONCE(entry->rules));
	if (pkt->flow.next_meta == meta || meta & META_LOCKED)
		return HIT_ACT;
	seen = __sync_val_compare_and_swap(&entry->meta, meta,
					   pkt->flow.next_meta);
	if (seen == meta) {
		account_source(&pkt->key, meta, pkt->flow.next_meta);
		return HIT_ACT;
	}
	/* Taken over: its new owner decides what becomes of the line. */
	if (meta_state(seen) == STATE_BUSY ||
	    !key_equal(&entry->key, &pkt->key))
		return HIT_ACT;
	pkt->flow.meta = seen;
	return HIT_CHANGED;
}

/* The tries after the first. A global function: the verifier walks all that a
 * packet may do to a flow once for them, and not once for each. */
__noinline int flow_hit_retry(struct pkt *pkt)
{
	struct flow_entry *entry;
	enum hit hit = HIT_CHANGED;
	int i;

	if (!pkt)
		return HIT_DROPPED;
	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!entry)
		return HIT_ACT;
	for (i = 1; i < FLOW_TRIES && hit == HIT_CHANGED; i++)
		hit = flow_hit_try(pkt, entry);
	return hit;
}

/*
 * A packet of a flow that is in the table. CONTINUE hands it to the policy
 * program: the flow is judged under an older epoch, or it is over and the packet
 * asks for a new one.
 */
static __always_inline enum step flow_hit(struct pkt *pkt)
{
	struct flow_entry *entry;
	int hit;

	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!entry)
		return drop(pkt, REASON_DROP_MAP_ERROR);
	if (pkt->full.icmp_error)
		return icmp_error_hit(pkt, entry);
	hit = flow_hit_try(pkt, entry);
	if (hit == HIT_CHANGED)
		hit = flow_hit_retry(pkt);
	if (hit == HIT_DROPPED)
		return STEP_DONE;
	if (hit == HIT_CONTINUE)
		return STEP_CONTINUE;
	if (meta_state(pkt->flow.meta) == STATE_DENIED)
		return drop(pkt, REASON_DROP_FLOW_DENIED);
	if (pkt->env.is_evaluated) {
		/* Counted where it came in. */
		pkt->out.egress_cell = RULE_NONE;
		pkt->out.ingress_cell = RULE_NONE;
		return pass(pkt, REASON_PASS_EVALUATED);
	}
	count_flow(pkt, pkt->flow.bucket, pkt->flow.slot);
	return pass(pkt, REASON_PASS_FLOW);
}

static __always_inline enum step flow_lookup(struct pkt *pkt)
{
	enum find_result find = FIND_BUSY;
	__u64 words[2];
	int i;

	if (!pkt->env.is_fast_parsed && !flow_hash(pkt))
		return drop(pkt, REASON_DROP_MAP_ERROR);
	/* A flow that another CPU is judging again is there a moment later; to
	 * take it for a new one would cost a reply. */
	for (i = 0; i < FLOW_TRIES && find == FIND_BUSY; i++)
		find = flow_find(pkt, words);
	if (find == FIND_HIT)
		return flow_hit(pkt);
	return pkt->full.icmp_error ? drop(pkt, REASON_DROP_ICMP_ERROR) :
				      STEP_CONTINUE;
}

#endif
