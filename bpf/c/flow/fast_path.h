/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Fast path: TCP and UDP packets of established flows whose epoch is current,
 * if the packet changes nothing but the flow's last-seen time. One straight
 * line from the frame to the counters, in registers and on the stack; struct
 * pkt is not touched.
 *
 * Any other packet is declined before a counter is touched: FAST_NEW if it may
 * create a flow and none exists, else FAST_OTHER. For the packets that it accepts, the fast path must
 * behave exactly like flow_hit() in hit.h.
 */
#ifndef BAILEY_FLOW_FAST_PATH_H
#define BAILEY_FLOW_FAST_PATH_H

#include "address/antispoof.h"
#include "flow/hit.h"
#include "parse/fast_packet.h"
#include "verdict.h"

/* The smallest timeout scale is 1/32 (SCALE_MIN of sweep.rs). */
#define IDLE_LEAST_SHIFT 5

/* A possible match, and its metadata word from before the key comparison. */
struct flow_ref {
	struct flow_bucket *bucket_data;
	__u64 meta;
	__u32 slot;
};

static __always_inline bool fast_path_match(const struct fast_packet *pkt,
					    __u32 bucket, __u32 slot,
					    struct flow_ref *ref)
{
	struct flow_bucket *bucket_data = bpf_map_lookup_elem(&flows, &bucket);
	struct flow_entry *entry;

	if (!bucket_data)
		return false;
	slot &= FLOW_SLOTS - 1;
	entry = &bucket_data->entry[slot];
	/* Start loading the counters' cache line too. */
	if (FLOW_COUNTERS)
		READ_ONCE(flow_count_at(pkt->sender_is_lower, bucket_data, slot)
				  ->packets);
	ref->bucket_data = bucket_data;
	ref->slot = slot;
	ref->meta = READ_ONCE(entry->meta);
	asm volatile("" ::: "memory");
	return key_equal(&entry->key, &pkt->key);
}

/* Result of slots_matching(); all slots if the bucket has no tag word. */
static __always_inline __u64 slots_with_tag(__u32 bucket, __u32 tag)
{
	__u64 *word = flow_tag_word(bucket);

	return word ? slots_matching(READ_ONCE(*word), tag) : BYTES_80;
}

/* Tries the home slot first without looking at the tags: most flows are there,
 * and its cache line loads while the tag words are read. Then the lowest slot
 * with a matching tag in either bucket. */
static __always_inline bool fast_path_find(const struct fast_packet *pkt,
					   const struct flow_hash *hash,
					   struct flow_ref *ref)
{
	__u32 bucket = hash->bucket[0];
	__u64 slots;

	if (fast_path_match(pkt, bucket, hash->home_slot, ref))
		return true;
	slots = slots_with_tag(bucket, hash->tag);
	if (slots && fast_path_match(pkt, bucket, lowest_slot(slots), ref))
		return true;
	bucket = hash->bucket[1];
	slots = slots_with_tag(bucket, hash->tag);
	return slots && fast_path_match(pkt, bucket, lowest_slot(slots), ref);
}

#define META_FLAG(flag) ((__u64)(flag) << META_FLAGS_SHIFT)
/* Fields that are equal for all packets of the fast path. */
#define FAST_STATE                                                  \
	(META_LOCKED | (__u64)META_STATE_MASK << META_STATE_SHIFT | \
	 META_FLAG(FLOW_REPLIED))
/* Fields that are equal too if neither epoch nor tick has changed since the
 * flow's last packet. */
#define FAST_UNCHANGED                                             \
	(FAST_STATE | (__u64)META_EPOCH_MASK << META_EPOCH_SHIFT | \
	 (__u64)META_SEEN_MASK << META_SEEN_SHIFT)

/* The first packet of a tick or of a newer epoch. Updates last-seen; fails if
 * the packet changes more, or if the entry was reused since it was read. */
static __always_inline bool update_last_seen(struct flow_entry *entry,
					     __u64 meta, __u64 expected,
					     __u64 control, __u32 now)
{
	__u32 state = meta_state(meta);
	__u64 next, idle = ticks_since(meta_seen(meta), now);

	if ((meta ^ expected) & FAST_STATE ||
	    !flow_epoch_current(meta, control))
		return false;
	if (meta_seen(meta) == now)
		return READ_ONCE(entry->meta) == meta;
	if (idle << IDLE_LEAST_SHIFT > TIMEOUTS[state & (STATE_COUNT - 1)])
		return false;
	next = meta_make(meta_serial(meta), state, meta_flags(meta),
			 meta_epoch(meta), now);
	return __sync_val_compare_and_swap(&entry->meta, meta, next) == meta;
}

/* A match, with what fast_path_count() needs. */
struct fast_hit {
	struct flow_ref ref;
	__u64 rules;
	__u32 now;
	bool sender_is_lower;
};

/* The slow path checks suspicious sources. */
static __always_inline bool is_suspicious_source(const __u64 source_be[2],
						 __u64 interface, __u32 hook)
{
	return INTERNAL_COUNT &&
	       ((interface & INTERFACE_EXTERNAL &&
		 is_internal_address(source_be[0], source_be[1])) ||
		is_foreign_source(source_be, hook,
				  interface & INTERFACE_EXTERNAL));
}

/* A packet from the NIC in the original direction belongs to a flow that was
 * created from the NIC, or is spoofed. A reply from the NIC never has a source
 * address of this machine. The address of the opener is not checked here: it
 * was no host address at creation. */
static __always_inline bool is_from_wrong_side(const struct fast_packet *pkt,
					       __u64 meta, __u32 hook)
{
	if (hook != HOOK_XDP || BRIDGE)
		return false;
	return is_from_opener(pkt->sender_is_lower, meta) ?
		       !(meta_flags(meta) & FLOW_FROM_NIC) :
		       may_be_host_address(pkt->source_be);
}

/* The state of the packet's path that is not in the frame. */
struct fast_context {
	__u64 control; /* control word */
	__u64 interface;
	__u64 now;   /* see clock_tick() */
	__u32 bytes; /* of the frame */
	__u32 hook;
	/* No packet of a flow is for the fast path: a route must be looked up,
	 * or no epoch is current (0, before the first commit). */
	bool skips_flows;
};

enum fast_result {
	FAST_OTHER, /* for the slow path */
	FAST_HIT,   /* a packet of an established flow */
	FAST_NEW,   /* may create a flow, and no flow exists for it */
};

/* Decides whether the packet changes no more of its flow than last-seen, and
 * records that. */
static __always_inline bool fast_path_hit(const struct fast_packet *pkt,
					  const struct fast_context *context,
					  struct fast_hit *hit)
{
	struct flow_entry *entry = &hit->ref.bucket_data->entry[hit->ref.slot];
	__u64 expected, meta = hit->ref.meta;

	/* Established and replied, not LOCKED, with a packet in this tick and
	 * in this epoch. */
	expected = meta_make(0, pkt->state, FLOW_REPLIED,
			     control_epoch(context->control), hit->now);
	/* A denied flow has the state DENIED: its deny bits are written while
	 * the entry is LOCKED, together with that state. */
	hit->rules = READ_ONCE(entry->rules);
	hit->sender_is_lower = pkt->sender_is_lower;
	if (is_from_wrong_side(pkt, meta, context->hook))
		return false;
	/* Order: the entry has belonged to this flow since its metadata word
	 * was read, or the second read notices the change. */
	asm volatile("" ::: "memory");
	if ((meta ^ expected) & FAST_UNCHANGED) {
		if (!update_last_seen(entry, meta, expected, context->control,
				      hit->now))
			return false;
	} else if (READ_ONCE(entry->meta) != meta) {
		return false;
	}
	if (pkt->state == STATE_TCP_ESTABLISHED)
		note_ack(&entry->ack[!pkt->sender_is_lower], pkt->ack);
	return true;
}

/* Looks up the flow of a parsed packet. */
static __always_inline enum fast_result
fast_path_lookup(const struct fast_packet *pkt,
		 const struct fast_context *context, struct fast_hit *hit)
{
	struct flow_hash hash;

	if (is_suspicious_source(pkt->source_be, context->interface,
				 context->hook))
		return FAST_OTHER;
	flow_hash_of(&hash, &pkt->key, pkt->kind);
	hit->now = clock_tick(context->now);
	if (pkt->state && !context->skips_flows &&
	    fast_path_find(pkt, &hash, &hit->ref))
		return fast_path_hit(pkt, context, hit) ? FAST_HIT : FAST_OTHER;
	if (context->hook != HOOK_XDP || !pkt->may_create_flow ||
	    slots_with_tag(hash.bucket[0], hash.tag) ||
	    slots_with_tag(hash.bucket[1], hash.tag))
		return FAST_OTHER;
	return FAST_NEW;
}

/* Parses a frame and looks up its flow. */
static __always_inline enum fast_result
fast_path(struct fast_frame *frame, const struct fast_context *context,
	  struct fast_packet *pkt, struct fast_hit *hit)
{
	if (!fast_packet_link(frame))
		return FAST_OTHER;
	if (frame->ethertype == ETH_P_IP)
		return fast_packet_ipv4(pkt, frame) ?
			       fast_path_lookup(pkt, context, hit) :
			       FAST_OTHER;
	if (frame->ethertype == ETH_P_IPV6)
		return fast_packet_ipv6(pkt, frame) ?
			       fast_path_lookup(pkt, context, hit) :
			       FAST_OTHER;
	return FAST_OTHER;
}

static __always_inline void fast_path_count(const struct fast_hit *hit,
					    __u64 interface, __u32 hook,
					    __u32 packets, __u32 bytes)
{
	struct rule_amounts by = { .cpu = bpf_get_smp_processor_id(),
				   .packets = packets,
				   .bytes = bytes,
				   .now = hit->now };
	struct flow_count *count;

	if (FLOW_COUNTERS) {
		count = flow_count_at(hit->sender_is_lower,
				      hit->ref.bucket_data, hit->ref.slot);
		count->packets += packets;
		count->bytes += bytes;
	}
	count_reason_at(by.cpu, interface & (INTERFACE_SLOTS - 1), hook,
			REASON_PASS_FLOW, packets, bytes);
	count_cells(hit->rules >> RULES_EGRESS_SHIFT & RULES_MASK,
		    hit->rules >> RULES_INGRESS_SHIFT & RULES_MASK, false, &by);
}

#endif
