/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Creates the flow of a packet of the handover line, without struct pkt: into a
 * free slot of a bucket in which enough are free, while no other flow has the
 * same tag in either bucket. insert.h creates all other flows, by the same
 * protocol.
 */
#ifndef BAILEY_FLOW_INSERT_HANDOVER_H
#define BAILEY_FLOW_INSERT_HANDOVER_H

#include "core/handover.h"
#include "flow/insert.h"

/* The key, the counters of the packet, and the first numbers of TCP. */
static __always_inline bool fill_entry(struct flow_entry *entry, __u64 index,
				       const struct handover *from)
{
	__u32 own = from->sender & 1;
	const __u64 *low = own ? from->destination_be : from->source_be;
	const __u64 *high = own ? from->source_be : from->destination_be;
	struct flow_key key = { .tuple = from->tuple,
				.addr_lo_be = { low[0], low[1] },
				.addr_hi_be = { high[0], high[1] } };

	entry_set_key(entry, &key, from->kind);
	entry->ack[own] = 0;
	entry->ack[!own] = from->protocol == IPPROTO_TCP ? from->sequence + 1 :
							   0;
	return begin_flow_counters(entry, index, from->kind, own, 1,
				   from->bytes);
}

/* False: the table is as before, and insert.h must decide. */
static __always_inline bool insert_handover(const struct handover *from,
					    __u32 egress, __u32 ingress)
{
	struct flow_entry *entry;
	struct flow_hash places;
	__u64 first, second, word, index;
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
	if (!entry || !take_slot(bucket, slot, word, places.tag))
		return false;
	/* Step 3. Without a look at the keys: insert.h looks again. Step 4. */
	first = READ_ONCE(*flow_tag_word(places.bucket[0]));
	second = READ_ONCE(*flow_tag_word(places.bucket[1]));
	if (slots_matching(is_second ? first : second, places.tag) ||
	    slots_matching(tag_word_with(is_second ? second : first, slot, 0),
			   places.tag) ||
	    !fill_entry(entry, index, from)) {
		release_slot(bucket, slot);
		return false;
	}
	entry->rules = rules_of_cells(egress, ingress, clock_part(from->now));
	meta_publish(
		&entry->meta,
		meta_make(meta_identity(from->kind, free_serial()),
			  from->protocol == IPPROTO_TCP ? STATE_TCP_SYN_SENT :
							  STATE_UDP_NEW,
			  FLOW_FROM_NIC | (from->sender ? 0 : FLOW_ORIG_LOW),
			  control_epoch(from->control), clock_tick(from->now)));
	flow_event(FLOW_INSERTED);
	return true;
}

#endif
