/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Later fragments follow the first fragment of their packet. Only a first
 * fragment that passed leaves a record; the kernel's LRU map keeps the most
 * recent records. */
#ifndef BAILEY_PARSE_FRAGMENT_H
#define BAILEY_PARSE_FRAGMENT_H

#include "core/step.h"
#include "core/ticks.h"
#include "parse/frame.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENT_RECORDS);
	__type(key, struct fragment_key);
	__type(value, struct fragment_record);
} fragments SEC(".maps");

/* Records fragment type and length from a header. most: largest packet, in
 * bytes, that the fragments may form. */
static __always_inline enum step
fragment_note(struct pkt *pkt, __u32 offset, bool more, __u32 bytes, __u32 most)
{
	if (!bytes || (more && bytes % 8) || offset + bytes > most)
		return drop(pkt, REASON_DROP_FRAGMENT);
	pkt->full.fragment = offset ? FRAGMENT_LATER : FRAGMENT_FIRST;
	pkt->full.fragment_bytes = offset ?: bytes;
	return STEP_CONTINUE;
}

static __always_inline void fragment_key_set(const struct pkt *pkt,
					     struct fragment_key *key)
{
	key->source_be[0] = pkt->addr.source_be[0];
	key->source_be[1] = pkt->addr.source_be[1];
	key->destination_be[0] = pkt->addr.destination_be[0];
	key->destination_be[1] = pkt->addr.destination_be[1];
	key->id = pkt->full.fragment_id;
	/* Per hook: the kernel may fragment again between XDP and tc. */
	key->protocol = (pkt->in.kind == KIND_IPV4 ? pkt->in.protocol : 0) |
			(__u32)pkt->env.hook << FRAGMENT_HOOK_SHIFT;
	key->zone = pkt->in.zone;
}

/* Global functions: off the fast path, with a stack of their own. */
__noinline int fragment_remember(struct pkt *pkt)
{
	struct fragment_record record = {}, *before;
	struct fragment_key key;

	if (!pkt)
		return 0;
	fragment_key_set(pkt, &key);
	record.seen = pkt->env.now;
	record.bytes = pkt->full.fragment_bytes;
	/* Of two first fragments within the timeout, the longer one counts. */
	before = bpf_map_lookup_elem(&fragments, &key);
	if (before &&
	    ticks_since(before->seen, pkt->env.now) <= FRAGMENT_TICKS &&
	    before->bytes > record.bytes)
		record.bytes = before->bytes;
	record.source_port = pkt->in.source_port;
	record.destination_port = pkt->in.destination_port;
	record.protocol = pkt->in.protocol;
	record.may_create_flow = pkt->in.may_create_flow &&
				 pkt->in.protocol != IPPROTO_TCP;
	bpf_map_update_elem(&fragments, &key, &record, BPF_ANY);
	return 0;
}

/* Completes a later fragment with protocol and ports of the first one. */
__noinline int fragment_follow(struct pkt *pkt)
{
	struct fragment_record *record;
	struct fragment_key key;

	if (!pkt)
		return STEP_DONE;
	fragment_key_set(pkt, &key);
	record = bpf_map_lookup_elem(&fragments, &key);
	if (!record || ticks_since(record->seen, pkt->env.now) > FRAGMENT_TICKS)
		return drop(pkt, REASON_DROP_FRAGMENT_NO_FIRST);
	if (pkt->full.fragment_bytes < record->bytes)
		return drop(pkt, REASON_DROP_FRAGMENT_OVERLAP);
	pkt->in.protocol = record->protocol;
	pkt->in.source_port = record->source_port;
	pkt->in.destination_port = record->destination_port;
	pkt->in.may_create_flow = record->may_create_flow;
	return STEP_CONTINUE;
}

#endif
