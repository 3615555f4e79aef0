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

#include "parse/frame.h"
#include "flow/source_limit.h"

#define BYTES_01 0x0101010101010101ULL
#define BYTES_7F 0x7f7f7f7f7f7f7f7fULL
#define FLOW_TRIES 4

enum find {
	FIND_MISS,
	FIND_HIT,  /* pkt->found, found_bucket, found_lane are set */
	FIND_BUSY, /* another CPU is writing what may be this flow */
};

/*
 * NH (Black et al., UMAC, CRYPTO 1999): with secret keys two different inputs
 * collide with probability 2^-32 whatever the sender chooses. The multiplies
 * after it only spread the result over bucket and tag bits.
 */
static __always_inline __u64 nh_pair(const __u32 *word,
				     const struct flow_keys *keys, __u32 i)
{
	return (__u64)(word[i] + keys->nh[i]) * (word[i + 1] + keys->nh[i + 1]);
}

/* An IPv4 address, as it is held. */
static __always_inline __u64 nh_v4_pair(__u32 address,
					const struct flow_keys *keys, __u32 i)
{
	return (__u64)(V4_MAPPED_WORD + keys->nh[i]) * (address + keys->nh[i + 1]);
}

static __always_inline bool flow_hash(struct pkt *pkt)
{
	const __u32 *word = (const __u32 *)&pkt->key;
	struct flow_keys *keys;
	__u64 hash = 0, second;
	__u32 zero = 0, i;

	keys = bpf_map_lookup_elem(&flow_keys, &zero);
	if (!keys)
		return false;
	if (pkt->kind == KIND_IPV4) {
		/* Where addresses have no bits, the sum is known before. */
		hash = keys->nh_v4 + nh_pair(word, keys, 0) +
		       nh_v4_pair(pkt->key.addr_lo_be[1] >> 32, keys, 4) +
		       nh_v4_pair(pkt->key.addr_hi_be[1] >> 32, keys, 8);
	} else {
#pragma unroll
		for (i = 0; i < FLOW_NH_WORDS; i += 2)
			hash += nh_pair(word, keys, i);
	}
	hash = (hash ^ hash >> 32) * keys->mul[0];
	second = (hash ^ hash >> 32) * keys->mul[1];
	pkt->bucket[0] = hash >> (64 - FLOW_BUCKET_BITS);
	pkt->bucket[1] = second >> (64 - FLOW_BUCKET_BITS);
	if (pkt->bucket[0] == pkt->bucket[1])
		pkt->bucket[1] ^= 1;
	pkt->tag = (second >> 8 & 0xff) ?: 1;
	pkt->lane = second & (FLOW_LANES - 1);
	return true;
}

/* 0x80 in every byte of word that equals tag; exact. */
static __always_inline __u64 lanes_matching(__u64 word, __u32 tag)
{
	__u64 x = word ^ BYTES_01 * tag;

	return ~(((x & BYTES_7F) + BYTES_7F) | x | BYTES_7F);
}

/* The lowest lane of a result of lanes_matching. */
static __always_inline __u32 lane_lowest(__u64 lanes)
{
	__u64 below = ((lanes & -lanes) >> 7) - 1;

	return ((below & BYTES_01) * BYTES_01 >> 56) & (FLOW_LANES - 1);
}

static __always_inline __u32 lanes_count(__u64 lanes)
{
	return (lanes >> 7) * BYTES_01 >> 56;
}

static __always_inline bool key_equal(const struct flow_key *a,
				      const struct flow_key *b)
{
	return !((a->tuple ^ b->tuple) |
		 (a->addr_lo_be[0] ^ b->addr_lo_be[0]) |
		 (a->addr_lo_be[1] ^ b->addr_lo_be[1]) |
		 (a->addr_hi_be[0] ^ b->addr_hi_be[0]) |
		 (a->addr_hi_be[1] ^ b->addr_hi_be[1]));
}

static __always_inline __u64 *flow_tag_word(__u32 bucket)
{
	return bpf_map_lookup_elem(&flow_tags, &bucket);
}

static __always_inline struct flow_entry *flow_entry_at(__u32 bucket,
							__u32 lane)
{
	struct flow_bucket *line = bpf_map_lookup_elem(&flows, &bucket);

	return line ? &line->lane[lane & (FLOW_LANES - 1)] : NULL;
}

/* Ticks since the flow's last packet. */
static __always_inline __u64 flow_age(__u64 meta, __u32 now)
{
	return ticks_since(meta_seen(meta), now);
}

/*
 * Looks for pkt->key among the lanes of one bucket whose tag matches in the
 * given tag word. A global function: the verifier walks its loop once, whatever
 * the number of callers.
 */
__noinline int flow_find_in(struct pkt *pkt, __u32 bucket, __u64 word)
{
	struct flow_bucket *line;
	__u64 lanes, busy = 0;
	int i;

	if (!pkt)
		return FIND_MISS;
	lanes = lanes_matching(word, pkt->tag);
	if (!lanes)
		return FIND_MISS;
	line = bpf_map_lookup_elem(&flows, &bucket);
	if (!line)
		return FIND_MISS;
	for (i = 0; i < FLOW_LANES && lanes; i++) {
		__u32 lane = lane_lowest(lanes);
		struct flow_entry *entry = &line->lane[lane];
		__u64 meta = READ_ONCE(entry->meta);

		if (meta_state(meta) == STATE_BUSY) {
			/* Else a process was killed while it held the line. */
			busy |= mask_below(flow_age(meta, pkt->now),
					   FLOW_BUSY_TICKS);
		} else if (key_equal(&entry->key, &pkt->key)) {
			if (meta_state(READ_ONCE(entry->meta)) == STATE_BUSY)
				return FIND_BUSY; /* taken over meanwhile */
			pkt->found = meta;
			pkt->found_bucket = bucket;
			pkt->found_lane = lane;
			return FIND_HIT;
		}
		lanes &= lanes - 1;
	}
	return busy ? FIND_BUSY : FIND_MISS;
}

/* Leaves the two tag words it looked at in words, for a claim that must not
 * miss what came after. */
static __always_inline enum find flow_find(struct pkt *pkt, __u64 words[2])
{
	__u64 *first = flow_tag_word(pkt->bucket[0]);
	__u64 *second = flow_tag_word(pkt->bucket[1]);
	int a = FIND_MISS, b = FIND_MISS;

	if (!first || !second)
		return FIND_MISS;
	words[0] = READ_ONCE(*first);
	words[1] = READ_ONCE(*second);
	if (lanes_matching(words[0], pkt->tag)) {
		a = flow_find_in(pkt, pkt->bucket[0], words[0]);
		if (a == FIND_HIT)
			return FIND_HIT;
	}
	if (lanes_matching(words[1], pkt->tag)) {
		b = flow_find_in(pkt, pkt->bucket[1], words[1]);
		if (b == FIND_HIT)
			return FIND_HIT;
	}
	return a == FIND_BUSY || b == FIND_BUSY ? FIND_BUSY : FIND_MISS;
}

static __always_inline bool flow_half_open(__u32 state)
{
	const __u32 set = 1 << STATE_TCP_SYN_SENT | 1 << STATE_TCP_SYN_RECV |
			  1 << STATE_UDP_NEW | 1 << STATE_ICMP_NEW |
			  1 << STATE_SCTP_NEW | 1 << STATE_OTHER_NEW;

	return set >> state & 1;
}

static __always_inline bool flow_over(__u32 state)
{
	const __u32 set = 1 << STATE_TCP_TIME_WAIT | 1 << STATE_CLOSED |
			  1 << STATE_DENIED;

	return set >> state & 1;
}

/* In ticks. While live flows fill the table it is less than the configured time,
 * but never so little that the edge of a tick could be an end. */
static __always_inline __u64 idle_time(__u32 ticks, __u32 scale)
{
	return (__u64)ticks * scale / SCALE_ONE + ((SCALE_ONE - scale) >> 6);
}

static __always_inline bool flow_expired(struct pkt *pkt, __u64 meta)
{
	__u32 ticks = TIMEOUTS[meta_state(meta) & (STATE_COUNT - 1)];

	return flow_age(meta, pkt->now) > idle_time(ticks, pkt->scale);
}

static __always_inline bool flow_from_opener(struct pkt *pkt, __u64 meta)
{
	return !!(meta_flags(meta) & FLOW_ORIG_LOW) == pkt->from_low;
}

/* The stamp is the packet's epoch or a later one: judged under what is in force. */
static __always_inline bool flow_current(__u64 meta, __u64 control)
{
	__u32 lead = meta_epoch(meta) - control_epoch(control);

	return meta_epoch(meta) && !(lead & (META_EPOCH_MASK + 1) >> 1);
}

/*
 * What a sender must know to end a connection (RFC 5961 asks no more of the
 * endpoints). The acknowledgement of the other side says where the sender's next
 * segment begins. It is noted only when it has moved by ACK_STEP, so that the
 * line is seldom written; a segment within SEQUENCE_WINDOW after it is believed.
 */
#define ACK_STEP (1U << 16)
#define SEQUENCE_WINDOW (1U << 23)

static __always_inline bool tcp_believed(struct pkt *pkt,
					 const struct flow_entry *entry,
					 bool answers_syn)
{
	__u32 own = READ_ONCE(entry->ack[pkt->from_low ? 0 : 1]);
	__u32 expected = READ_ONCE(entry->ack[pkt->from_low ? 1 : 0]);

	if (answers_syn) /* an RST from where nothing has been seen yet */
		return pkt->tcp_flags & TCP_ACK && pkt->ack == own;
	/* From one before it: an RST may repeat the number of its SYN. */
	return !expected ||
	       pkt->sequence - expected + 1 < SEQUENCE_WINDOW;
}

/* Does it acknowledge about what the other side has sent? Who forges the opener's
 * address has not seen the SYN ACK, and must not make its flow last. */
static __always_inline bool tcp_answers(struct pkt *pkt,
					const struct flow_entry *entry)
{
	__u32 own = READ_ONCE(entry->ack[pkt->from_low ? 0 : 1]);

	return !own || pkt->ack - own + SEQUENCE_WINDOW < 2 * SEQUENCE_WINDOW;
}

/* Of who may send: the line is written at once, whatever becomes of the packet.
 * Another flow may have come to the line meanwhile; then its first RST may be
 * taken for a stray one. */
static __always_inline void tcp_note_ack(struct pkt *pkt,
					 struct flow_entry *entry,
					 bool half_open)
{
	__u32 *own = &entry->ack[pkt->from_low ? 0 : 1];
	__u32 *other = &entry->ack[pkt->from_low ? 1 : 0];

	if (pkt->tcp_flags & TCP_ACK &&
	    (!READ_ONCE(*own) || pkt->ack - READ_ONCE(*own) - ACK_STEP <
					 SEQUENCE_WINDOW))
		WRITE_ONCE(*own, pkt->ack);
	if (pkt->tcp_flags & TCP_SYN && half_open)
		WRITE_ONCE(*other, pkt->sequence + 1);
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
	bool opener = flow_from_opener(pkt, meta);
	bool plain_ack = (pkt->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK;
	__u32 fin = pkt->from_low ? FLOW_FIN_LOW : FLOW_FIN_HIGH;
	bool ends = pkt->tcp_flags & (TCP_RST | TCP_FIN);
	bool answers;

	if (pkt->opens && (flow_over(*state) || *flags & FLOW_MIDSTREAM ||
			   *state == STATE_TCP_FIN_WAIT)) {
		pkt->reopen = 1;
		return STEP_CONTINUE;
	}
	if (pkt->opens && !opener && *state != STATE_TCP_SYN_SENT)
		return drop(pkt, REASON_DROP_TCP_STATE);
	if (*state == STATE_DENIED)
		return STEP_CONTINUE;
	if (ends && !tcp_believed(pkt, entry,
				  *state == STATE_TCP_SYN_SENT && !opener))
		return STEP_CONTINUE;
	if (!opener)
		*flags |= FLOW_REPLIED;
	if (pkt->tcp_flags & TCP_RST) {
		if (flow_half_open(*state))
			*state = STATE_CLOSED;
		else if (*state == STATE_TCP_ESTABLISHED)
			*state = STATE_TCP_FIN_WAIT;
		return STEP_CONTINUE;
	}
	answers = tcp_answers(pkt, entry);
	if (!pkt->foreign)
		tcp_note_ack(pkt, entry, flow_half_open(*state));
	if (!(*flags & FLOW_REPLIED))
		return STEP_CONTINUE; /* one side alone cannot make it last */
	if (*state == STATE_TCP_SYN_SENT && !opener && pkt->tcp_flags & TCP_SYN)
		*state = STATE_TCP_SYN_RECV;
	else if (*state == STATE_TCP_SYN_RECV && opener && plain_ack && answers)
		*state = STATE_TCP_ESTABLISHED;
	else if (*state == STATE_TCP_FIN_WAIT && plain_ack &&
		 !(*flags & (FLOW_FIN_LOW | FLOW_FIN_HIGH)))
		*state = STATE_TCP_ESTABLISHED; /* the RST was not accepted */
	if (pkt->tcp_flags & TCP_FIN && *state <= STATE_TCP_FIN_WAIT) {
		*flags |= fin;
		*state = (*flags & FLOW_FIN_LOW && *flags & FLOW_FIN_HIGH)
				 ? STATE_TCP_TIME_WAIT
				 : STATE_TCP_FIN_WAIT;
	}
	return STEP_CONTINUE;
}

#define SCTP_REFLECTED 0x01 /* T: the tag is the one that the sender had chosen */

static __always_inline bool sctp_ends(const struct pkt *pkt)
{
	return pkt->chunk == SCTP_CHUNK_ABORT ||
	       pkt->chunk == SCTP_CHUNK_SHUTDOWN_COMPLETE;
}

/* Once there was an answer they would be a stranger's. */
static __always_inline void sctp_note_tag(struct pkt *pkt,
					  struct flow_entry *entry, bool opening)
{
	__u32 *own = &entry->ack[pkt->from_low ? 0 : 1];
	__u32 *other = &entry->ack[pkt->from_low ? 1 : 0];

	if (opening && (pkt->chunk == SCTP_CHUNK_INIT ||
			(pkt->chunk == SCTP_CHUNK_INIT_ACK &&
			 pkt->sequence == READ_ONCE(*other))))
		WRITE_ONCE(*own, pkt->ack);
}

/* Notes the numbers of a foreign sender, after the policy program has let the packet pass. */
static __always_inline void flow_note_late(struct pkt *pkt,
					   struct flow_entry *entry)
{
	__u32 state = meta_state(pkt->found);

	if (!pkt->foreign)
		return;
	if (pkt->protocol != IPPROTO_TCP)
		sctp_note_tag(pkt, entry, state == STATE_SCTP_NEW);
	else if (!(pkt->tcp_flags & (TCP_RST | TCP_FIN)))
		tcp_note_ack(pkt, entry, flow_half_open(state));
}

/* ABORT and SHUTDOWN COMPLETE end an association, for who knows its tag (RFC 9260,
 * 8.5.1). */
static __always_inline void sctp_advance(struct pkt *pkt,
					 struct flow_entry *entry,
					 bool opening, __u32 *state)
{
	__u32 *own = &entry->ack[pkt->from_low ? 0 : 1];
	__u32 *other = &entry->ack[pkt->from_low ? 1 : 0];
	__u32 tag = READ_ONCE(*(pkt->chunk_flags & SCTP_REFLECTED ? own : other));

	if (sctp_ends(pkt) && tag && pkt->sequence == tag)
		*state = STATE_CLOSED;
	else if (!pkt->foreign)
		sctp_note_tag(pkt, entry, opening);
}

/* Requests with the identifier 0 of both sides have one key; so have all ICMP
 * messages that are no echo. Against the opener's direction they are no reply. */
static __always_inline bool echo_collision(struct pkt *pkt, __u64 meta)
{
	return (pkt->protocol == IPPROTO_ICMP ||
		pkt->protocol == IPPROTO_ICMPV6) &&
	       pkt->opens && !flow_from_opener(pkt, meta) &&
	       meta_state(meta) != STATE_DENIED;
}

/* A tombstone stands for the direction that policy denies, once it has been judged under
 * what is in force. What the other side sends is judged as its own; if a rule allows that
 * the flow is its. */
static __always_inline bool other_direction(struct pkt *pkt, __u64 meta)
{
	return meta_state(meta) == STATE_DENIED && pkt->opens &&
	       !flow_from_opener(pkt, meta) &&
	       flow_current(meta, pkt->control);
}

/* Sets pkt->next, the meta word after this packet, or pkt->reopen. */
static __always_inline enum step flow_advance(struct pkt *pkt,
					      struct flow_entry *entry,
					      __u64 meta)
{
	__u32 state = meta_state(meta), flags = meta_flags(meta);
	enum step step = STEP_CONTINUE;

	pkt->reopen = 0;
	if (flow_expired(pkt, meta)) {
		pkt->reopen = 1;
		return STEP_CONTINUE;
	}
	if (pkt->protocol == IPPROTO_TCP) {
		step = tcp_advance(pkt, entry, meta, &state, &flags);
	} else if (pkt->chunk == SCTP_CHUNK_INIT &&
		   (flow_over(state) || flags & FLOW_MIDSTREAM)) {
		pkt->reopen = 1;
		return STEP_CONTINUE;
	} else if (pkt->chunk == SCTP_CHUNK_INIT && state == STATE_SCTP_REPLIED &&
		   !flow_from_opener(pkt, meta)) {
		return drop(pkt, REASON_DROP_TCP_STATE);
	} else if (echo_collision(pkt, meta) || other_direction(pkt, meta)) {
		pkt->reopen = 1;
		return STEP_CONTINUE;
	} else if (!flow_from_opener(pkt, meta) && state != STATE_DENIED) {
		flags |= FLOW_REPLIED;
		if (flow_half_open(state))
			state++; /* *_NEW -> *_REPLIED */
	}
	if (pkt->chunk && state != STATE_DENIED)
		sctp_advance(pkt, entry, meta_state(meta) == STATE_SCTP_NEW,
			     &state);
	if (step == STEP_CONTINUE && flow_half_open(meta_state(meta)) &&
	    state_live(state) &&
	    source_exhausted(&pkt->key, meta)) {
		state = meta_state(meta); /* works, and stays evictable */
		flow_event(FLOW_SOURCE_LIMITED);
	}
	pkt->next = meta_make(meta_serial(meta), state, flags, meta_epoch(meta),
			      pkt->now);
	return step;
}

/* What the packet's sender has sent. */
static __always_inline struct flow_count *
flow_count_at(const struct pkt *pkt, struct flow_bucket *line, __u32 lane)
{
	return &line->count[!pkt->from_low][lane & (FLOW_LANES - 1)];
}

static __always_inline void flow_count(struct pkt *pkt, __u32 bucket,
				       __u32 lane)
{
	struct flow_bucket *line;
	struct flow_count *count;

	if (!FLOW_COUNTERS || pkt->related || pkt->judged)
		return;
	line = bpf_map_lookup_elem(&flows, &bucket);
	if (!line)
		return;
	count = flow_count_at(pkt, line, lane);
	count->packets += pkt->packets;
	count->bytes += pkt->bytes;
}

static __always_inline void flow_rules(struct pkt *pkt, __u64 rules)
{
	pkt->egress = rules >> RULES_EGRESS_SHIFT & RULES_MASK;
	pkt->ingress = rules >> RULES_INGRESS_SHIFT & RULES_MASK;
	if (rules & RULES_DENY_EGRESS)
		pkt->egress |= CELL_DENY;
	if (rules & RULES_DENY_INGRESS)
		pkt->ingress |= CELL_DENY;
}

/* An ICMP error about a flow: passes if the flow may, and changes nothing of it. */
static __always_inline enum step flow_related(struct pkt *pkt,
					      struct flow_entry *entry)
{
	if (flow_expired(pkt, pkt->found))
		return drop(pkt, REASON_DROP_ICMP_ERROR);
	if (meta_state(pkt->found) == STATE_DENIED)
		return drop(pkt, REASON_DROP_FLOW_DENIED);
	/* An error is one host's affair, and no group's. */
	if (pkt->link == LINK_GROUP)
		return drop(pkt, REASON_DROP_GROUP);
	pkt->next = pkt->found;
	/* Who sends it has a policy too, unless the flow is its own. */
	if (!flow_current(pkt->found, pkt->control) ||
	    (pkt->related == RELATED_WAY && !pkt->tunnel) || pkt->foreign)
		return STEP_CONTINUE;
	flow_rules(pkt, READ_ONCE(entry->rules));
	return pass(pkt, REASON_PASS_RELATED);
}

/* A packet to one host in a frame for a group, such as to the broadcast address of a
 * subnet that the configuration does not name. Policy judges each such packet: an earlier
 * packet of the flow may have gone to one station. */
static __always_inline bool to_all(const struct pkt *pkt)
{
	return pkt->link == LINK_GROUP && !group_address(pkt->destination_be);
}

enum hit {
	HIT_ACT,      /* pkt->found is what the flow was before this packet */
	HIT_DROPPED,  /* under a reason of its own */
	HIT_CONTINUE, /* to the policy program */
	HIT_CHANGED,  /* by another CPU, to pkt->found */
};

/* One try to move the flow from pkt->found on. */
static __always_inline enum hit flow_hit_try(struct pkt *pkt,
					     struct flow_entry *entry)
{
	__u64 meta = pkt->found, seen;

	if (flow_advance(pkt, entry, meta) != STEP_CONTINUE)
		return HIT_DROPPED;
	if (pkt->reopen || !flow_current(meta, pkt->control) || to_all(pkt) ||
	    pkt->foreign)
		return HIT_CONTINUE;
	flow_rules(pkt, READ_ONCE(entry->rules));
	if (pkt->next == meta || meta & META_LOCKED)
		return HIT_ACT;
	seen = __sync_val_compare_and_swap(&entry->meta, meta, pkt->next);
	if (seen == meta) {
		source_account(&pkt->key, meta, pkt->next);
		return HIT_ACT;
	}
	/* Taken over: its new owner decides what becomes of the line. */
	if (meta_state(seen) == STATE_BUSY || !key_equal(&entry->key, &pkt->key))
		return HIT_ACT;
	pkt->found = seen;
	return HIT_CHANGED;
}

/* The tries after the first. A global function: the verifier walks all that a
 * packet may do to a flow once for them, and not once for each. */
__noinline int flow_hit_again(struct pkt *pkt)
{
	struct flow_entry *entry;
	enum hit hit = HIT_CHANGED;
	int i;

	if (!pkt)
		return HIT_DROPPED;
	entry = flow_entry_at(pkt->found_bucket, pkt->found_lane);
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

	entry = flow_entry_at(pkt->found_bucket, pkt->found_lane);
	if (!entry)
		return drop(pkt, REASON_DROP_MAP);
	if (pkt->related)
		return flow_related(pkt, entry);
	hit = flow_hit_try(pkt, entry);
	if (hit == HIT_CHANGED)
		hit = flow_hit_again(pkt);
	if (hit == HIT_DROPPED)
		return STEP_DONE;
	if (hit == HIT_CONTINUE)
		return STEP_CONTINUE;
	if (meta_state(pkt->found) == STATE_DENIED)
		return drop(pkt, REASON_DROP_FLOW_DENIED);
	if (pkt->judged) {
		/* Counted where it came in. */
		pkt->egress = RULE_NONE;
		pkt->ingress = RULE_NONE;
		return pass(pkt, REASON_PASS_JUDGED);
	}
	flow_count(pkt, pkt->found_bucket, pkt->found_lane);
	return pass(pkt, REASON_PASS_FLOW);
}

#endif
