/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The recorder: a record of each packet that no flow decides, in rings that
 * outlive processes; see struct record. A CPU writes its own rings only, and no
 * program interrupts another one on its CPU, so plain stores suffice.
 */
#ifndef BAILEY_CORE_RECORDER_H
#define BAILEY_CORE_RECORDER_H

#include "core/maps.h"

/* CPUs with rings; 0: nothing is recorded. */
volatile const __u64 RECORD_CPUS = 0;
volatile const __u64 RECORD_RING_BYTES = 0; /* a ring with its header */
volatile const __u64 RECORDS_MASK = 0; /* offset of a ring's last record */

#define REASON_BIT(reason) (1ULL << (reason))
/* Reasons of packets without a record. */
#define RECORD_NOT                                                         \
	(REASON_BIT(REASON_NONE) | REASON_BIT(REASON_PASS_FLOW) |          \
	 REASON_BIT(REASON_PASS_EVALUATED) | REASON_BIT(REASON_PASS_ARP) | \
	 REASON_BIT(REASON_PASS_ND))
/* Reasons by class; all others are of RECORD_DROP. */
#define RECORDS_POLICY                          \
	(REASON_BIT(REASON_DROP_POLICY) |       \
	 REASON_BIT(REASON_DROP_FLOW_DENIED) |  \
	 REASON_BIT(REASON_DROP_TCP_NO_FLOW) |  \
	 REASON_BIT(REASON_DROP_ICMP_NO_FLOW) | \
	 REASON_BIT(REASON_DROP_SCTP_NO_FLOW))
#define RECORDS_DEFENCE                                                       \
	(REASON_BIT(REASON_DROP_BLOCKED) | REASON_BIT(REASON_DROP_FLOOD) |    \
	 REASON_BIT(REASON_DROP_FLOOD_SOURCE) |                               \
	 REASON_BIT(REASON_DROP_RATE_LIMIT) | REASON_BIT(REASON_CHALLENGED) | \
	 REASON_BIT(REASON_SYN_COOKIE) | REASON_BIT(REASON_CHALLENGE_ANSWER))
#define RECORDS_PASS (REASON_BIT(REASON_DROP_POLICY) - 1)

#define RECORD_LINE_SHIFT 6 /* log2 of the size of ring headers and records */
_Static_assert(sizeof(struct record) == 1 << RECORD_LINE_SHIFT, "record");
_Static_assert(sizeof(struct record_ring) == 1 << RECORD_LINE_SHIFT,
	       "record_ring");

static __always_inline bool is_recorded(__u32 reason)
{
	return !(RECORD_NOT >> (reason & (REASON_MAX - 1)) & 1);
}

static __always_inline __u32 record_class(__u32 reason)
{
	__u32 bit = reason & (REASON_MAX - 1);

	if (RECORDS_POLICY >> bit & 1)
		return RECORD_POLICY;
	if (RECORDS_DEFENCE >> bit & 1)
		return RECORD_DEFENCE;
	return RECORDS_PASS >> bit & 1 ? RECORD_PASS : RECORD_DROP;
}

/* now: in 2^20 ns. The bits beyond the field drop out. */
static __always_inline __u64 record_time(__u64 now, __u32 reason, __u32 bytes)
{
	return now << RECORD_TIME_SHIFT | reason << RECORD_REASON_SHIFT |
	       (bytes & RECORD_BYTES_MAX);
}

static __always_inline __u32 record_place(__u32 slot, __u32 hook, __u32 swapped)
{
	return slot | hook << RECORD_HOOK_SHIFT |
	       swapped << RECORD_SWAPPED_SHIFT;
}

/* segments, tcp_flags and place in one word (x86: the first field is lowest). */
static __always_inline __u32 record_origin(__u32 segments, __u32 tcp_flags,
					   __u32 place)
{
	return segments | tcp_flags << 16 | place << 24;
}

static __always_inline void record_set_origin(struct record *record,
					      __u32 origin)
{
	_Static_assert(offsetof(struct record, tcp_flags) ==
				       offsetof(struct record, segments) + 2 &&
			       offsetof(struct record, place) ==
				       offsetof(struct record, segments) + 3,
		       "record_origin");
	*(__u32 *)&record->segments = origin;
}

/* A record in the making. */
struct recording {
	struct record_ring *ring;
	struct record *record;
	__u64 written;
};

/* Counts a packet in the ring of its class, and begins its record. False: the
 * packet is not recorded. */
static __always_inline bool record_begin(struct recording *new, __u64 cpu,
					 __u64 class)
{
	__u64 at, packets, ring_bytes = RECORD_RING_BYTES;
	void *ring = records;

	if (cpu >= RECORD_CPUS)
		return false;
	/* The verifier of 6.1 knows no bounds of an OR, into which the compiler
	 * would turn the sum, and bounds of a product only if the second factor
	 * is a constant. */
	at = cpu * RECORD_CLASSES;
	asm volatile("" : "+r"(at));
	at += class;
	asm volatile("%0 *= %1" : "+r"(at) : "r"(ring_bytes));
	/* Hides the size of the table, as in table_at(). */
	asm volatile("" : "+r"(ring));
	ring += at;
	new->ring = ring;
	packets = new->ring->packets;
	new->ring->packets = packets + 1;
	if (packets & READ_ONCE(new->ring->sampling))
		return false;
	new->written = new->ring->written;
	new->record = ring + sizeof(struct record_ring) +
		      (new->written << RECORD_LINE_SHIFT & RECORDS_MASK);
	new->record->number = new->written;
	return true;
}

/* Readers see the record before its number is counted. */
static __always_inline void record_end(const struct recording *new)
{
	barrier();
	WRITE_ONCE(new->ring->written, new->written + 1);
}

/* All fields of a record but the number. */
static __always_inline void record_fill(struct record *record,
					const struct pkt *pkt)
{
	__u32 reason = pkt->out.reason & (REASON_MAX - 1);
	__u64 now = (__u64)pkt->env.now << (TICK_SHIFT - TICK_FRACTION_SHIFT) |
		    pkt->env.tick_fraction;
	__u32 bytes = pkt->in.bytes < RECORD_BYTES_MAX ? pkt->in.bytes :
							 RECORD_BYTES_MAX;
	__u32 segments = pkt->env.packets < RECORD_SEGMENTS_MAX ?
				 pkt->env.packets :
				 RECORD_SEGMENTS_MAX;

	record->time = record_time(now, reason, bytes);
	record->egress = pkt->out.egress_cell;
	record->ingress = pkt->out.ingress_cell;
	record_set_origin(
		record,
		record_origin(
			segments, pkt->in.tcp_flags,
			record_place(pkt->env.interface_slot, pkt->env.hook, 0)));
	if (!pkt->in.kind) {
		record->tuple = 0;
		record->source_be[0] = 0;
		record->source_be[1] = 0;
		record->destination_be[0] = 0;
		record->destination_be[1] = 0;
		return;
	}
	record->tuple =
		(__u64)pkt->in.source_port << TUPLE_PORT_LO_SHIFT |
		(__u64)pkt->in.destination_port << TUPLE_PORT_HI_SHIFT |
		(__u64)pkt->in.protocol << TUPLE_PROTOCOL_SHIFT |
		(__u64)pkt->in.zone << TUPLE_ZONE_SHIFT;
	record->source_be[0] = pkt->addr.source_be[0];
	record->source_be[1] = pkt->addr.source_be[1];
	record->destination_be[0] = pkt->addr.destination_be[0];
	record->destination_be[1] = pkt->addr.destination_be[1];
}

/* Records a packet of the slow path. A global function, so that the verifier
 * checks it once. */
__noinline int record_packet(struct pkt *pkt)
{
	struct recording new;

	if (!pkt)
		return 0;
	if (!record_begin(&new, bpf_get_smp_processor_id(),
			  record_class(pkt->out.reason & (REASON_MAX - 1))))
		return 0;
	record_fill(new.record, pkt);
	record_end(&new);
	return 0;
}

#endif
