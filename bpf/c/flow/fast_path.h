/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Fast path: TCP and UDP packets of established flows whose epoch is current,
 * if the packet changes nothing but the flow's last-seen time. Looks up, counts
 * and forwards without the slow-path parts of struct pkt.
 *
 * Any other packet returns false before a counter is touched and takes the slow
 * path. For the packets that it accepts, the fast path must behave exactly like
 * flow_hit() in hit.h.
 */
#ifndef BAILEY_FLOW_FAST_PATH_H
#define BAILEY_FLOW_FAST_PATH_H

#include "address/antispoof.h"
#include "core/clock.h"
#include "flow/hit.h"
#include "verdict.h"

/* The smallest timeout scale is 1/32 (SCALE_MIN of sweep.rs). */
#define IDLE_LEAST_SHIFT 5

/* A possible match, and its metadata word from before the key comparison. */
struct flow_ref {
	struct flow_bucket *bucket_data;
	__u64 meta;
	__u32 slot;
};

static __always_inline bool fast_path_match(const struct pkt *pkt, __u32 bucket,
					    __u32 slot, struct flow_ref *ref)
{
	struct flow_bucket *bucket_data = bpf_map_lookup_elem(&flows, &bucket);
	struct flow_entry *entry;

	if (!bucket_data)
		return false;
	slot &= FLOW_SLOTS - 1;
	entry = &bucket_data->entry[slot];
	/* Start loading the counters' cache line too. */
	if (FLOW_COUNTERS)
		READ_ONCE(flow_count_at(pkt, bucket_data, slot)->packets);
	ref->bucket_data = bucket_data;
	ref->slot = slot;
	ref->meta = READ_ONCE(entry->meta);
	asm volatile("" ::: "memory");
	return key_equal(&entry->key, &pkt->key);
}

/* Tries the home slot first without looking at the tags: most flows are there,
 * and its cache line loads while the tag words are read. Then the lowest slot
 * with a matching tag in either bucket. */
static __always_inline bool fast_path_find(const struct pkt *pkt,
					   struct flow_ref *ref)
{
	__u32 bucket = pkt->hash.bucket[0];
	__u64 *word, slots;

	if (fast_path_match(pkt, bucket, pkt->hash.home_slot, ref))
		return true;
	word = flow_tag_word(bucket);
	slots = word ? slots_matching(READ_ONCE(*word), pkt->hash.tag) : 0;
	if (slots && fast_path_match(pkt, bucket, lowest_slot(slots), ref))
		return true;
	bucket = pkt->hash.bucket[1];
	word = flow_tag_word(bucket);
	slots = word ? slots_matching(READ_ONCE(*word), pkt->hash.tag) : 0;
	return slots && fast_path_match(pkt, bucket, lowest_slot(slots), ref);
}

/* Other TCP segments never end here: skip the lookup. */
static __always_inline bool may_take_fast_path(const struct pkt *pkt)
{
	const __u32 flags = TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK;

	return pkt->in.protocol != IPPROTO_TCP ||
	       (pkt->in.tcp_flags & flags) == TCP_ACK;
}

/* Established, replied, current epoch and not LOCKED: the packet changes no
 * more than the last-seen time. */
static __always_inline bool is_fast_path_state(const struct pkt *pkt,
					       __u64 meta, __u64 control)
{
	const __u64 mask = META_LOCKED |
			   (__u64)META_STATE_MASK << META_STATE_SHIFT |
			   (__u64)FLOW_REPLIED << META_FLAGS_SHIFT;
	__u64 state = pkt->in.protocol == IPPROTO_TCP ? STATE_TCP_ESTABLISHED :
							STATE_UDP_REPLIED;

	return (meta & mask) == (state << META_STATE_SHIFT |
				 (__u64)FLOW_REPLIED << META_FLAGS_SHIFT) &&
	       flow_epoch_current(meta, control);
}

/* Updates last-seen; fails if the entry was reused since it was read. */
static __always_inline bool update_last_seen(struct flow_entry *entry,
					     __u64 meta, __u32 now)
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

/* A match, with what fast_path_count() needs. */
struct fast_hit {
	struct flow_ref ref;
	__u64 rules;
	__u32 now;
};

/* Decides whether the fast path takes the packet; key and hash are set. */
static __always_inline bool fast_path(struct pkt *pkt, __u64 control,
				      __u64 interface, __u32 hook,
				      struct fast_hit *hit)
{
	struct flow_entry *entry;

	if (!may_take_fast_path(pkt))
		return false;
	/* The slow path checks suspicious sources. */
	if (INTERNAL_COUNT && interface & INTERFACE_EXTERNAL &&
	    is_internal_address(pkt->addr.source_be[0], pkt->addr.source_be[1]))
		return false;
	if (is_foreign_source(pkt->addr.source_be, hook,
			      interface & INTERFACE_EXTERNAL))
		return false;
	/* Find the flow. */
	if (!fast_path_find(pkt, &hit->ref))
		return false;
	/* The flow passes, and the packet changes only last-seen. */
	entry = &hit->ref.bucket_data->entry[hit->ref.slot];
	hit->rules = READ_ONCE(entry->rules);
	if (hit->rules & (RULES_DENY_EGRESS | RULES_DENY_INGRESS) ||
	    !is_fast_path_state(pkt, hit->ref.meta, control))
		return false;
	/* A packet from the NIC in the original direction belongs to a flow
	 * that was created from the NIC, or is spoofed. A reply from the NIC
	 * never has a source address of this machine. The address of the opener
	 * is not checked here: it was no host address at creation. */
	if (hook == HOOK_XDP && !BRIDGE) {
		if (!is_from_opener(pkt, hit->ref.meta)) {
			if (may_be_host_address(pkt->addr.source_be))
				return false;
		} else if (!(meta_flags(hit->ref.meta) & FLOW_FROM_NIC)) {
			return false;
		}
	}
	/* Order: the entry has belonged to this flow since its metadata word
	 * was read, or update_last_seen() notices the change. */
	asm volatile("" ::: "memory");
	hit->now = clock_tick(clock_nanoseconds());
	if (!update_last_seen(entry, hit->ref.meta, hit->now))
		return false;
	if (pkt->in.protocol == IPPROTO_TCP)
		tcp_note_ack(pkt, entry, false);
	return true;
}

static __always_inline void fast_path_count(const struct pkt *pkt,
					    __u64 interface, __u32 hook,
					    __u32 packets,
					    const struct fast_hit *hit)
{
	__u32 cpu = bpf_get_smp_processor_id(), bytes = pkt->in.bytes;
	__u32 egress = hit->rules >> RULES_EGRESS_SHIFT & RULES_MASK;
	__u32 ingress = hit->rules >> RULES_INGRESS_SHIFT & RULES_MASK;
	struct flow_count *count;

	if (FLOW_COUNTERS) {
		count = flow_count_at(pkt, hit->ref.bucket_data, hit->ref.slot);
		count->packets += packets;
		count->bytes += bytes;
	}
	count_reason_at(cpu, interface & (INTERFACE_SLOTS - 1), hook,
			REASON_PASS_FLOW, packets, bytes);
	count_rule_at(cpu, egress, 0, packets, bytes, hit->now);
	if (ingress != egress)
		count_rule_at(cpu, ingress, 0, packets, bytes, hit->now);
}

#endif
