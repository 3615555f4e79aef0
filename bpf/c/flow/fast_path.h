/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Fast path: TCP and UDP packets of established flows whose epoch is current,
 * if the packet changes nothing but the flow's last-seen time. One straight
 * line from the frame to the counters, in registers and on the stack; struct
 * pkt is not touched. The packet counts in its flow alone, not for its rules.
 *
 * Any other packet is declined before a counter is touched: FAST_NEW if it may
 * create a flow and none exists, else FAST_OTHER. For the packets that it
 * accepts, the fast path must behave exactly like flow_hit() in hit.h.
 */
#ifndef BAILEY_FLOW_FAST_PATH_H
#define BAILEY_FLOW_FAST_PATH_H

#include "address/antispoof.h"
#include "flow/hit.h"
#include "parse/fast_packet.h"
#include "verdict.h"

/* The smallest timeout scale is 1/32 (SCALE_MIN of sweep.rs). */
#define IDLE_LEAST_SHIFT 5

/* Test only: rounds between the last look at an entry and the store of its
 * last-seen time. */
#define SEEN_DELAY_MAX 4096
volatile const __u32 SEEN_DELAY = 0;

/* A possible match, and its metadata word from before the key comparison. */
struct flow_ref {
	struct flow_entry *entry;
	__u64 meta;
	__u64 index; /* of the slot in the table */
};

static __always_inline bool fast_path_match(const struct fast_packet *pkt,
					    __u64 index, struct flow_ref *ref)
{
	struct flow_entry *entry = flow_entry_of(index);
	const struct flow_ipv6 *ipv6;
	__u64 difference;

	if (!entry)
		return false;
	ref->entry = entry;
	ref->index = index;
	ref->meta = READ_ONCE(entry->meta);
	asm volatile("" ::: "memory");
	difference = entry->tuple ^ pkt->tuple;
	if (pkt->kind == KIND_IPV4)
		return !(difference | (entry->body[0] ^ pkt->pair_be));
	ipv6 = (const void *)entry->body;
	return !(difference | (ipv6->addr_lo_be[0] ^ pkt->lower_be[0]) |
		 (ipv6->addr_lo_be[1] ^ pkt->lower_be[1]) |
		 (ipv6->addr_hi_be[0] ^ pkt->higher_be[0]) |
		 (ipv6->addr_hi_be[1] ^ pkt->higher_be[1]));
}

static __always_inline __u64 fast_path_hash(const struct fast_packet *pkt)
{
	if (pkt->kind == KIND_IPV4)
		return hash_ipv4(pkt->tuple, pkt->pair_be);
	return hash_ipv6(pkt->tuple, pkt->lower_be, pkt->higher_be);
}

static __always_inline __u64 slots_with_tag(__u32 bucket, __u32 tag)
{
	return slots_matching(READ_ONCE(*flow_tag_word(bucket)), tag);
}

/* The lowest slot whose tag matches in one of the two buckets of a key, as an
 * index of the table; -1: none. A global function: the straight line needs it
 * only if the flow is not in its first slot, and the verifier checks it once. */
__noinline long flow_candidate(__u64 hash, int which)
{
	struct flow_hash places;
	__u32 bucket;
	__u64 slots;

	flow_places(&places, hash);
	bucket = which ? places.bucket[1] : places.bucket[0];
	slots = slots_with_tag(bucket, places.tag);
	if (!slots)
		return -1;
	return flow_index(bucket, lowest_slot(slots));
}

/* Does any tag say that the flow of this hash may exist? */
static __always_inline bool may_exist(__u64 hash)
{
	struct flow_hash places;

	flow_places(&places, hash);
	return slots_with_tag(places.bucket[0], places.tag) ||
	       slots_with_tag(places.bucket[1], places.tag);
}

enum fast_find {
	FOUND,
	FOUND_OTHER, /* tags match, keys do not */
	FOUND_NONE,  /* the flow does not exist */
};

/* The result of a lookup, with the fields that fast_path_count() reads. */
struct fast_hit {
	struct flow_ref ref;
	__u64 hash; /* of the flow key */
	__u32 now;
	__u32 kind;
	__u32 sender;
};

/* Tries the first slot without looking at the tags: most flows are there. Then
 * the lowest slot with a matching tag in either bucket. */
static __always_inline enum fast_find
fast_path_find(const struct fast_packet *pkt, bool skips_flows,
	       struct fast_hit *hit)
{
	__u64 hash = fast_path_hash(pkt);
	struct flow_ref *ref = &hit->ref;
	long first, second;

	hit->hash = hash;
	if (!pkt->state || skips_flows)
		return may_exist(hash) ? FOUND_OTHER : FOUND_NONE;
	if (fast_path_match(pkt, first_slot(hash), ref))
		return FOUND;
	first = flow_candidate(hash, 0);
	if (first >= 0 && fast_path_match(pkt, first, ref))
		return FOUND;
	second = flow_candidate(hash, 1);
	if (second >= 0 && fast_path_match(pkt, second, ref))
		return FOUND;
	return first < 0 && second < 0 ? FOUND_NONE : FOUND_OTHER;
}

#define META_FLAG(flag) ((__u64)(flag) << META_FLAGS_SHIFT)
/* Fields that are equal for all packets of the fast path. */
#define FAST_STATE                 \
	(META_LOCKED | META_IPV6 | \
	 (__u64)META_STATE_MASK << META_STATE_SHIFT | META_FLAG(FLOW_REPLIED))
/* Fields that are equal too if neither epoch nor tick has changed since the
 * flow's last packet. */
#define FAST_UNCHANGED                                             \
	(FAST_STATE | (__u64)META_EPOCH_MASK << META_EPOCH_SHIFT | \
	 (__u64)META_SEEN_MASK << META_SEEN_SHIFT)

/*
 * Stores the last-seen time, if the entry still has the word meta.
 *
 * A store may come late: its CPU (a descheduled vCPU) stops after the last look
 * at the entry, which then belongs to another flow. Its last-seen time is then
 * this CPU's, until its next packet. An expired flow never becomes live by such
 * a store: the flow was idle for at most 1/32 of its timeout, and no scale makes
 * timeouts shorter than that.
 */
static __always_inline bool store_seen(struct flow_entry *entry, __u64 meta,
				       __u32 now)
{
	__u64 next = meta_make(meta, meta_state(meta), meta_flags(meta),
			       meta_epoch(meta), now);
	__u32 i;

	if (!STORES_IN_ORDER)
		return __sync_val_compare_and_swap(&entry->meta, meta, next) ==
		       meta;
	if (READ_ONCE(entry->meta) != meta)
		return false;
	for (i = 0; i < SEEN_DELAY_MAX && i < SEEN_DELAY; i++)
		asm volatile("");
	WRITE_ONCE(((__u32 *)&entry->meta)[1], next >> META_SEEN_SHIFT);
	return true;
}

/* The first packet of a tick or of a newer epoch. Updates last-seen; fails if
 * the packet changes more, or if the entry was reused since it was read. */
static __always_inline bool update_last_seen(struct flow_entry *entry,
					     __u64 meta, __u64 expected,
					     __u64 control, __u32 now)
{
	__u64 idle = ticks_since(meta_seen(meta), now);

	if ((meta ^ expected) & FAST_STATE ||
	    !flow_epoch_current(meta, control))
		return false;
	if (meta_seen(meta) == now)
		return READ_ONCE(entry->meta) == meta;
	/* A flow that has been idle for so long may be evicted meanwhile. */
	if (idle > EVICT_LIVE_AFTER ||
	    idle << IDLE_LEAST_SHIFT >
		    TIMEOUTS[meta_state(meta) & (STATE_COUNT - 1)])
		return false;
	return store_seen(entry, meta, now);
}

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
	return is_from_opener(!pkt->sender, meta) ?
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
	 * frames are captured, or no epoch is current (0, before the first
	 * commit). */
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
	struct flow_entry *entry = hit->ref.entry;
	__u64 expected, meta = hit->ref.meta;

	/* Established and replied, of this family, not LOCKED, with a packet in
	 * this tick and in this epoch. A denied flow has the state DENIED: its
	 * deny bits are written together with that state. */
	expected = meta_make(meta_identity(pkt->kind, 0), pkt->state,
			     FLOW_REPLIED, control_epoch(context->control),
			     hit->now);
	hit->kind = pkt->kind;
	hit->sender = pkt->sender;
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
		note_ack(&entry->ack[pkt->sender & 1], pkt->ack);
	return true;
}

/* Looks up the flow of a parsed packet. */
static __always_inline enum fast_result
fast_path_lookup(const struct fast_packet *pkt,
		 const struct fast_context *context, struct fast_hit *hit)
{
	enum fast_find find;

	if (is_suspicious_source(pkt->source_be, context->interface,
				 context->hook))
		return FAST_OTHER;
	hit->now = clock_tick(context->now);
	find = fast_path_find(pkt, context->skips_flows, hit);
	if (find == FOUND)
		return fast_path_hit(pkt, context, hit) ? FAST_HIT : FAST_OTHER;
	return find == FOUND_NONE && context->hook == HOOK_XDP &&
			       pkt->may_create_flow ?
		       FAST_NEW :
		       FAST_OTHER;
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

/* Plain additions: a flow of the fast path ends only after it was idle, or after
 * several packets of the slow path. */
static __always_inline void count_ipv4(struct flow_entry *entry, __u32 sender,
				       __u32 packets, __u64 bytes)
{
	struct flow_ipv4 *ipv4 = (void *)entry->body;
	__u32 sum = ipv4->packets[sender] + packets;

	ipv4->packets[sender] = sum;
	if (sum < packets)
		bytes += COUNT_CARRY;
	ipv4->bytes[sender] += bytes;
}

static __always_inline void fast_path_count(const struct fast_hit *hit,
					    __u64 interface, __u32 hook,
					    __u32 packets, __u32 bytes)
{
	struct flow_count *count;

	if (hit->kind == KIND_IPV4) {
		count_ipv4(hit->ref.entry, hit->sender & 1, packets, bytes);
	} else {
		count = flow_count6_of(hit->sender & 1, hit->ref.index);
		if (count) {
			count->packets += packets;
			count->bytes += bytes;
		}
	}
	count_reason_at(bpf_get_smp_processor_id(),
			interface & (INTERFACE_SLOTS - 1), hook,
			REASON_PASS_FLOW, packets, bytes);
}

#endif
