/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * A packet that entry_xdp hands to policy_xdp without struct pkt: plain TCP or
 * UDP that may create a flow, whose flow does not exist, from a sender with a
 * plausible address, while nothing is blocked. Most floods consist of such
 * packets. policy_xdp denies them from these facts alone, and creates the flows
 * of most packets that policy allows.
 */
#ifndef BAILEY_CORE_HANDOVER_H
#define BAILEY_CORE_HANDOVER_H

#include "core/maps.h"

struct handover {
	/* To evaluate the packet. */
	__u64 control;   /* control word; 0: the packet is in struct pkt */
	__u64 now;       /* nanoseconds of the coarse clock */
	__u64 interface; /* word of the interface */
	__u64 source_be[2];
	__u64 destination_be[2];
	__u16 port; /* destination */
	__u8 protocol;
	__u8 kind;
	__u32 bytes; /* of the frame */
	/* To create its flow. */
	__u64 hash;     /* of the flow key, see hash_ipv4() */
	__u64 tuple;    /* of the flow key */
	__u32 sender;   /* 0: the lower address of the key, 1: the higher one */
	__u32 sequence; /* TCP */
	/* To record the packet. */
	__u32 origin; /* see record_origin() */
	__u32 pad4;
	__u64 pad[4];
};

_Static_assert(sizeof(struct handover) == 128, "handover: two cache lines");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct handover);
} handovers SEC(".maps");

static __always_inline struct handover *handover_slot(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&handovers, &zero);
}

#endif
