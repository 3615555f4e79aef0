/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * A packet that matches a flow: advances the state of the flow and applies its
 * verdict. Creating and rewriting entries is insert.h.
 *
 * Reader protocol: load the metadata word, compare the key, act, then exchange
 * the metadata word by compare-and-swap. BUSY: another CPU writes the entry;
 * never wait for it. LOCKED: another CPU revalidates the flow; the rest of the
 * word still holds.
 */
#ifndef BAILEY_FLOW_HIT_H
#define BAILEY_FLOW_HIT_H

#include "core/events.h"
#include "core/step.h"
#include "flow/account.h"
#include "flow/find.h"
#include "flow/icmp_error.h"
#include "flow/sctp.h"
#include "flow/source_limit.h"
#include "flow/tcp.h"

/* Records the sequence numbers or tag of a foreign sender, once the policy
 * program has let the packet pass. */
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

/* ICMP echo requests with identifier 0 of both sides share one key, as do all
 * ICMP messages other than echo. Against the original direction such a message
 * is not a reply. */
static __always_inline bool is_echo_collision(struct pkt *pkt, __u64 meta)
{
	return (pkt->in.protocol == IPPROTO_ICMP ||
		pkt->in.protocol == IPPROTO_ICMPV6) &&
	       pkt->in.may_create_flow &&
	       !is_from_opener(pkt->in.sender_is_lower, meta) &&
	       meta_state(meta) != STATE_DENIED;
}

/* A tombstone of the current epoch denies one direction. A packet that may
 * create a flow in the other direction is evaluated as a new one; if a rule
 * allows it, the entry becomes its flow. */
static __always_inline bool is_reverse_of_tombstone(struct pkt *pkt, __u64 meta)
{
	return meta_state(meta) == STATE_DENIED && pkt->in.may_create_flow &&
	       !is_from_opener(pkt->in.sender_is_lower, meta) &&
	       flow_epoch_current(meta, pkt->env.control);
}

/* Sets pkt->flow.next_meta to the metadata word after this packet, or sets
 * pkt->out.is_reopened. */
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
	/* State by protocol. */
	if (pkt->in.protocol == IPPROTO_TCP) {
		step = tcp_advance(pkt, entry, meta, &state, &flags);
	} else if (pkt->full.chunk == SCTP_CHUNK_INIT &&
		   (flow_closed(state) || flags & FLOW_MIDSTREAM)) {
		pkt->out.is_reopened = 1;
		return STEP_CONTINUE;
	} else if (pkt->full.chunk == SCTP_CHUNK_INIT &&
		   state == STATE_SCTP_REPLIED &&
		   !is_from_opener(pkt->in.sender_is_lower, meta)) {
		return drop(pkt, REASON_DROP_TCP_STATE);
	} else if (is_echo_collision(pkt, meta) ||
		   is_reverse_of_tombstone(pkt, meta)) {
		pkt->out.is_reopened = 1;
		return STEP_CONTINUE;
	} else if (!is_from_opener(pkt->in.sender_is_lower, meta) &&
		   state != STATE_DENIED) {
		flags |= FLOW_REPLIED;
		if (is_half_open(state))
			state++; /* *_NEW -> *_REPLIED */
	}
	if (pkt->full.chunk && state != STATE_DENIED)
		sctp_advance(pkt, entry, meta_state(meta) == STATE_SCTP_NEW,
			     &state);
	/* The flow would become live, and so be protected from eviction. */
	if (step == STEP_CONTINUE && is_half_open(meta_state(meta)) &&
	    is_live(state) && is_source_exhausted(&pkt->key, meta)) {
		state = meta_state(meta); /* usable, but stays evictable */
		flow_event(FLOW_SOURCE_LIMITED);
	}
	pkt->flow.next_meta =
		meta_make(meta, state, flags, meta_epoch(meta), pkt->env.now);
	return step;
}

/*
 * A packet to a unicast address in a group frame, such as a packet to the
 * broadcast address of a subnet that is not configured. Policy evaluates every
 * such packet, because an earlier packet of the flow may have been in a unicast
 * frame.
 */
static __always_inline bool is_unicast_in_group_frame(const struct pkt *pkt)
{
	return pkt->in.link_target == LINK_GROUP &&
	       !is_group_address(pkt->addr.destination_be);
}

enum hit {
	HIT_DONE,     /* done; pkt->flow.meta is from before this packet */
	HIT_DROPPED,  /* dropped; the reason is set */
	HIT_CONTINUE, /* continue with the policy program */
	HIT_CHANGED,  /* another CPU changed the flow to pkt->flow.meta */
};

/* One attempt to advance the flow from pkt->flow.meta. */
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
		return HIT_DONE;
	seen = __sync_val_compare_and_swap(&entry->meta, meta,
					   pkt->flow.next_meta);
	if (seen == meta) {
		account_source(&pkt->key, meta, pkt->flow.next_meta);
		return HIT_DONE;
	}
	/* The entry now belongs to another flow; leave it alone. */
	if (!is_flow_of(entry, seen, pkt) ||
	    READ_ONCE(*(__u32 *)&entry->meta) != meta_lower(seen))
		return HIT_DONE;
	pkt->flow.meta = seen;
	return HIT_CHANGED;
}

/* Further attempts. A global function: the verifier walks all state changes
 * once for all of them, not once per attempt. */
__noinline int flow_hit_retry(struct pkt *pkt)
{
	struct flow_entry *entry;
	enum hit hit = HIT_CHANGED;
	int i;

	if (!pkt)
		return HIT_DROPPED;
	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!entry)
		return HIT_DONE;
	for (i = 1; i < FLOW_TRIES && hit == HIT_CHANGED; i++)
		hit = flow_hit_try(pkt, entry);
	return hit;
}

/* A packet that matches an entry. CONTINUE hands it to the policy program: the
 * flow was evaluated under an older epoch, or it is closed and the packet
 * creates a new one. */
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
		/* The ingress hook has counted the packet. */
		pkt->out.egress_cell = RULE_NONE;
		pkt->out.ingress_cell = RULE_NONE;
		return pass(pkt, REASON_PASS_EVALUATED);
	}
	count_flow(pkt, pkt->flow.meta);
	return pass(pkt, REASON_PASS_FLOW);
}

static __always_inline enum step flow_lookup(struct pkt *pkt)
{
	enum find_result find = FIND_BUSY;
	__u64 words[2];
	int i;

	if (!pkt->env.is_fast_parsed)
		flow_hash(pkt);
	/* A flow that another CPU is revalidating becomes readable within a few
	 * attempts. Treating it as a new flow would drop a reply. */
	for (i = 0; i < FLOW_TRIES && find == FIND_BUSY; i++)
		find = flow_find(pkt, words);
	if (find == FIND_HIT)
		return flow_hit(pkt);
	return pkt->full.icmp_error ? drop(pkt, REASON_DROP_ICMP_ERROR) :
				      STEP_CONTINUE;
}

#endif
