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
volatile const __u64 RECORDS_AT = 0;    /* lines before the records */
volatile const __u64 RECORDS_SHIFT = 0; /* log2 of the records per ring */
volatile const __u64 RECORDS_MASK = 0;  /* records per ring, less one */

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
_Static_assert(sizeof(struct recorder) == 1 << RECORD_LINE_SHIFT, "recorder");

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

static __always_inline __u8 record_place(__u32 slot, __u32 hook, __u32 swapped)
{
	return slot | hook << RECORD_HOOK_SHIFT |
	       swapped << RECORD_SWAPPED_SHIFT;
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
	__u64 packets, line, ring;
	void *table = records;

	if (cpu >= RECORD_CPUS)
		return false;
	/* The barriers hide the size of the table, as in table_at(), and make
	 * the compiler add: an OR has no bounds for the verifier of 6.1. */
	asm volatile("" : "+r"(table));
	ring = cpu * RECORD_CLASSES;
	asm volatile("" : "+r"(ring));
	ring += class;
	new->ring = table + ((ring + 1) << RECORD_LINE_SHIFT);
	packets = new->ring->packets;
	new->ring->packets = packets + 1;
	if (packets & READ_ONCE(new->ring->sampling))
		return false;
	new->written = new->ring->written;
	line = RECORDS_AT + (ring << RECORDS_SHIFT) +
	       (new->written & RECORDS_MASK);
	new->record = table + (line << RECORD_LINE_SHIFT);
	new->record->number = new->written;
	return true;
}

/* Completes a record with the addresses of the packet. */
static __always_inline void record_end(const struct recording *new,
				       const __u64 source_be[2],
				       const __u64 destination_be[2])
{
	new->record->source_be[0] = source_be[0];
	new->record->source_be[1] = source_be[1];
	new->record->destination_be[0] = destination_be[0];
	new->record->destination_be[1] = destination_be[1];
	/* Readers see the record before its number is counted. */
	barrier();
	WRITE_ONCE(new->ring->written, new->written + 1);
}

/* The fields of a record that name the packet, its way and its verdict: all but
 * the number. */
static __always_inline void record_fill(struct record *record,
					const struct pkt *pkt)
{
	__u32 reason = pkt->out.reason & (REASON_MAX - 1);
	__u64 now = (__u64)pkt->env.now << (TICK_SHIFT - TICK_FRACTION_SHIFT) |
		    pkt->env.tick_fraction;
	__u32 bytes = pkt->in.bytes < RECORD_BYTES_MAX ? pkt->in.bytes :
							 RECORD_BYTES_MAX;

	record->time = record_time(now, reason, bytes);
	record->egress = pkt->out.egress_cell;
	record->ingress = pkt->out.ingress_cell;
	record->segments = pkt->env.packets < RECORD_SEGMENTS_MAX ?
				   pkt->env.packets :
				   RECORD_SEGMENTS_MAX;
	record->tcp_flags = pkt->in.tcp_flags;
	record->place = record_place(pkt->env.interface_slot, pkt->env.hook, 0);
	if (!pkt->in.kind) {
		record->tuple = 0;
		return;
	}
	record->tuple =
		(__u64)pkt->in.source_port << TUPLE_PORT_LO_SHIFT |
		(__u64)pkt->in.destination_port << TUPLE_PORT_HI_SHIFT |
		(__u64)pkt->in.protocol << TUPLE_PROTOCOL_SHIFT |
		(__u64)pkt->in.zone << TUPLE_ZONE_SHIFT;
}

/* Records a packet of the slow path. A global function, so that the verifier
 * checks it once. */
__noinline int record_packet(struct pkt *pkt)
{
	static const __u64 none[2] = {};
	struct recording new;

	if (!pkt)
		return 0;
	if (!record_begin(&new, bpf_get_smp_processor_id(),
			  record_class(pkt->out.reason & (REASON_MAX - 1))))
		return 0;
	record_fill(new.record, pkt);
	if (pkt->in.kind)
		record_end(&new, pkt->addr.source_be, pkt->addr.destination_be);
	else
		record_end(&new, none, none);
	return 0;
}

#endif
