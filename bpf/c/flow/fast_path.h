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
#ifndef BAILEY_FLOW_FAST_PATH_H
#define BAILEY_FLOW_FAST_PATH_H

#include "address/antispoof.h"
#include "core/clock.h"
#include "flow/advance.h"
#include "verdict.h"

/* An idle time is never scaled to less than 1/32 (SCALE_LEAST of the sweeper). */
#define IDLE_LEAST_SHIFT 5

/* Where the flow is, and its meta word as it was before the key was compared. */
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
	/* What it counts is another line, which is to be on its way as well. */
	if (FLOW_COUNTERS)
		READ_ONCE(flow_count_at(pkt, bucket_data, slot)->packets);
	ref->bucket_data = bucket_data;
	ref->slot = slot;
	ref->meta = READ_ONCE(entry->meta);
	asm volatile("" ::: "memory");
	return key_equal(&entry->key, &pkt->key);
}

/* At its first choice of lane, whatever the tags say: most are, and its line is on
 * its way while they are read. Else at the first lane of its tag in either bucket. */
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

/* Can it be one of those at all? To look for the flow of a SYN is to wait for memory
 * in vain. */
static __always_inline bool may_take_fast_path(const struct pkt *pkt)
{
	const __u32 flags = TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK;

	return pkt->in.protocol != IPPROTO_TCP ||
	       (pkt->in.tcp_flags & flags) == TCP_ACK;
}

/* Is the flow established, judged under what is in force, and nobody's at the
 * moment? Then such a packet leaves it as it is. */
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

/* The flow was there before and after what was read of it, and has been seen now. */
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

/* What is to be counted. */
struct fast_hit {
	struct flow_ref ref;
	__u64 rules;
	__u32 now;
};

/* Is the packet one of those? pkt is read and has its key. */
static __always_inline bool fast_path(struct pkt *pkt, __u64 control,
				      __u64 interface, __u32 hook,
				      struct fast_hit *hit)
{
	struct flow_entry *entry;

	if (!may_take_fast_path(pkt))
		return false;
	if (INTERNAL_COUNT && interface & INTERFACE_EXTERNAL &&
	    is_internal_address(pkt->addr.source_be[0], pkt->addr.source_be[1]))
		return false;
	if (is_foreign_source(pkt->addr.source_be, hook,
			      interface & INTERFACE_EXTERNAL))
		return false;
	if (!fast_path_find(pkt, &hit->ref))
		return false;
	entry = &hit->ref.bucket_data->entry[hit->ref.slot];
	hit->rules = READ_ONCE(entry->rules);
	if (hit->rules & (RULES_DENY_EGRESS | RULES_DENY_INGRESS) ||
	    !is_fast_path_state(pkt, hit->ref.meta, control))
		return false;
	/* What was opened from behind the NIC does not come in by it, unless forged. Nor does
	 * what answers come from this machine; who opened it was no address of the machine
	 * when it did. */
	if (hook == HOOK_XDP && !BRIDGE) {
		if (!is_from_opener(pkt, hit->ref.meta)) {
			if (may_be_host_address(pkt->addr.source_be))
				return false;
		} else if (!(meta_flags(hit->ref.meta) & FLOW_FROM_NIC)) {
			return false;
		}
	}
	/* The line has been this flow's since its meta word was read, or that has
	 * changed. */
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
