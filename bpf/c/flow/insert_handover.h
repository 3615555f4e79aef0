/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Creates the flow of a packet of the handover line, without struct pkt: into a
 * free slot of a bucket in which enough are free, while no other flow has the
 * same tag in either bucket. insert.h does all else, by the same protocol.
 */
#ifndef BAILEY_FLOW_INSERT_HANDOVER_H
#define BAILEY_FLOW_INSERT_HANDOVER_H

#include "core/handover.h"
#include "flow/insert.h"

/* The key, the counters of the packet, and the first numbers of TCP. */
static __always_inline bool fill_entry(struct flow_entry *entry, __u64 index,
				       const struct handover *from)
{
	const __u64 *source = from->source_be, *destination = from->destination_be;
	__u32 own = from->sender & 1;
	struct flow_ipv4 *ipv4 = (void *)entry->body;
	struct flow_ipv6 *ipv6 = (void *)entry->body;
	struct flow_count *mine, *other;

	entry->tuple = from->tuple;
	entry->ack[own] = 0;
	entry->ack[!own] =
		from->protocol == IPPROTO_TCP ? from->sequence + 1 : 0;
	if (from->kind != KIND_IPV6) {
		ipv4->addr_lo_be = (own ? destination[1] : source[1]) >> 32;
		ipv4->addr_hi_be = (own ? source[1] : destination[1]) >> 32;
		ipv4->packets[own] = 1;
		ipv4->packets[!own] = 0;
		ipv4->bytes[own] = from->bytes;
		ipv4->bytes[!own] = 0;
		return true;
	}
	ipv6->addr_lo_be[0] = own ? destination[0] : source[0];
	ipv6->addr_lo_be[1] = own ? destination[1] : source[1];
	ipv6->addr_hi_be[0] = own ? source[0] : destination[0];
	ipv6->addr_hi_be[1] = own ? source[1] : destination[1];
	mine = flow_count6_of(own, index);
	other = flow_count6_of(!own, index);
	if (!mine || !other)
		return false;
	mine->packets = 1;
	mine->bytes = from->bytes;
	other->packets = 0;
	other->bytes = 0;
	return true;
}

/* False: the table is as before, and insert.h must decide. */
static __always_inline bool insert_handover(const struct handover *from,
					    __u32 egress, __u32 ingress)
{
	struct flow_entry *entry;
	struct flow_hash places;
	__u64 first, second, word, index, *tags, *others;
	__u32 free0, free1, bucket, slot;
	bool is_second;

	/* Step 1. */
	flow_places(&places, from->hash);
	first = READ_ONCE(*flow_tag_word(places.bucket[0]));
	second = READ_ONCE(*flow_tag_word(places.bucket[1]));
	free0 = free_slots(first);
	free1 = free_slots(second);
	is_second = is_second_bucket(free0, free1);
	if (slots_matching(first, places.tag) ||
	    slots_matching(second, places.tag) ||
	    !are_plenty(is_second ? free1 : free0))
		return false;
	/* Step 2. */
	bucket = is_second ? places.bucket[1] : places.bucket[0];
	word = is_second ? second : first;
	slot = free_slot(word, places.home_slot);
	index = flow_index(bucket, slot);
	entry = flow_entry_of(index);
	tags = flow_tag_word(bucket);
	others = flow_tag_word(is_second ? places.bucket[0] : places.bucket[1]);
	if (!entry ||
	    __sync_val_compare_and_swap(
		    tags, word, tag_word_with(word, slot, places.tag)) != word)
		return false;
	/* Step 3. Without a look at the keys: insert.h looks again. Step 4. */
	if (slots_matching(READ_ONCE(*others), places.tag) ||
	    slots_matching(tag_word_with(READ_ONCE(*tags), slot, 0),
			   places.tag) ||
	    !fill_entry(entry, index, from)) {
		release_slot(bucket, slot);
		return false;
	}
	entry->rules = rules_of_cells(egress, ingress, clock_part(from->now));
	meta_publish(&entry->meta,
		     meta_make(meta_identity(from->kind, free_serial()),
			       from->protocol == IPPROTO_TCP ?
				       STATE_TCP_SYN_SENT :
				       STATE_UDP_NEW,
			       FLOW_FROM_NIC |
				       (from->sender ? 0 : FLOW_ORIG_LOW),
			       control_epoch(from->control),
			       clock_tick(from->now)));
	flow_event(FLOW_INSERTED);
	return true;
}

#endif
