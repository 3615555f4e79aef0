/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The packet that nearly all packets are: plain TCP or UDP of a flow that is
 * established, judged under what is in force, and that this packet does not change
 * but for when it was seen last. Found, counted and passed in a straight line,
 * without the scratch that judgement needs; whatever is not exactly so is declined
 * before anything has been counted, and goes the whole way.
 *
 * For these packets it does what flow_hit does, see flow.h.
 */
#ifndef BAILEY_QUICK_H
#define BAILEY_QUICK_H

#include "clock.h"
#include "finish.h"
#include "flow.h"
#include "spoof.h"

/* An idle time is never scaled to less than 1/32 (SCALE_LEAST of the sweeper). */
#define IDLE_LEAST_SHIFT 5

struct place {
	__u32 bucket;
	__u32 lane;
};

static __always_inline struct flow_entry *
quick_match(const struct pkt *pkt, __u32 bucket, __u32 lane,
	    struct place *place)
{
	struct flow_entry *entry = flow_entry_at(bucket, lane);

	if (!entry || !key_equal(&entry->key, &pkt->key))
		return NULL;
	place->bucket = bucket;
	place->lane = lane;
	return entry;
}

/* At its first choice of lane, whatever the tags say: most are, and its line is on
 * its way while they are read. Else at the first lane of its tag in either bucket. */
static __always_inline struct flow_entry *quick_find(const struct pkt *pkt,
						     struct place *place)
{
	__u32 bucket = pkt->bucket[0];
	struct flow_entry *entry;
	__u64 *word, lanes;

	entry = quick_match(pkt, bucket, pkt->lane, place);
	if (entry)
		return entry;
	word = flow_tag_word(bucket);
	lanes = word ? lanes_matching(READ_ONCE(*word), pkt->tag) : 0;
	if (lanes) {
		entry = quick_match(pkt, bucket, lane_lowest(lanes), place);
		if (entry)
			return entry;
	}
	bucket = pkt->bucket[1];
	word = flow_tag_word(bucket);
	lanes = word ? lanes_matching(READ_ONCE(*word), pkt->tag) : 0;
	return lanes ? quick_match(pkt, bucket, lane_lowest(lanes), place)
		     : NULL;
}

/* Can it be one of those at all? To look for the flow of a SYN is to wait for memory
 * in vain. */
static __always_inline bool quick_segment(const struct pkt *pkt)
{
	const __u32 flags = TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK;

	return pkt->protocol != IPPROTO_TCP || (pkt->tcp_flags & flags) == TCP_ACK;
}

/* Does such a packet leave a flow in this state as it is? */
static __always_inline bool quick_state(const struct pkt *pkt, __u32 state)
{
	return state == (pkt->protocol == IPPROTO_TCP ? STATE_TCP_ESTABLISHED :
							STATE_UDP_REPLIED);
}

/* The flow was there before and after what was read of it, and has been seen now. */
static __always_inline bool quick_seen(struct flow_entry *entry, __u64 meta,
				       __u32 now)
{
	__u32 state = meta_state(meta);
	__u64 next, idle = ticks_since(meta_seen(meta), now);

	if (meta_seen(meta) == now)
		return READ_ONCE(entry->meta) == meta;
	if (idle << IDLE_LEAST_SHIFT > TIMEOUTS[state & (STATE_COUNT - 1)])
		return false;
	next = meta_make(meta_serial(meta), state, meta_flags(meta),
			 meta_epoch(meta), now);
	return __sync_val_compare_and_swap(&entry->meta, meta, next) == meta;
}

/* What is to be counted. */
struct quick {
	struct place place;
	__u64 rules;
	__u32 slot;
	__u32 now;
};

/* Is the packet one of those? pkt is read and has its key. */
static __always_inline bool quick_passes(struct pkt *pkt, __u32 ifindex,
					 struct quick *quick)
{
	struct control *in_force = control_in_force();
	__u64 *interface, meta, rules;
	struct flow_entry *entry;

	if (!quick_segment(pkt))
		return false;
	interface = bpf_map_lookup_elem(&interfaces, &ifindex);
	if (!in_force || !interface)
		return false;
	if (INSIDE_COUNT && *interface & INTERFACE_OUTSIDE &&
	    inside_address(pkt->source_be[0], pkt->source_be[1]))
		return false;
	entry = quick_find(pkt, &quick->place);
	if (!entry)
		return false;
	meta = READ_ONCE(entry->meta);
	rules = READ_ONCE(entry->rules);
	if (meta & META_LOCKED || !(meta_flags(meta) & FLOW_REPLIED) ||
	    rules & (RULES_DENY_EGRESS | RULES_DENY_INGRESS) ||
	    !quick_state(pkt, meta_state(meta)) ||
	    !flow_current(meta, READ_ONCE(in_force->word)))
		return false;
	/* The line may have been another flow's when the key was compared first;
	 * now it has been this one's since meta was read, or meta has changed. */
	asm volatile("" ::: "memory");
	if (!key_equal(&entry->key, &pkt->key))
		return false;
	quick->now = clock_tick(clock_nanoseconds());
	if (!quick_seen(entry, meta, quick->now))
		return false;
	if (pkt->protocol == IPPROTO_TCP)
		tcp_note_ack(pkt, entry, false);
	quick->rules = rules;
	quick->slot = *interface & (INTERFACE_SLOTS - 1);
	return true;
}

static __always_inline void quick_count(const struct pkt *pkt, __u32 hook,
					__u32 packets, const struct quick *quick)
{
	__u32 cpu = bpf_get_smp_processor_id(), bytes = pkt->bytes;
	__u32 egress = quick->rules >> RULES_EGRESS_SHIFT & RULES_MASK;
	__u32 ingress = quick->rules >> RULES_INGRESS_SHIFT & RULES_MASK;

	if (FLOW_COUNTERS)
		flow_count_in(pkt->from_low, quick->place.bucket,
			      quick->place.lane, packets, bytes);
	reason_count_at(cpu, quick->slot, hook, REASON_PASS_FLOW, packets, bytes);
	rule_count_at(cpu, egress, 0, packets, bytes, quick->now);
	if (ingress != egress)
		rule_count_at(cpu, ingress, 0, packets, bytes, quick->now);
}

#endif
