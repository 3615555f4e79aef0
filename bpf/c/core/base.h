/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* What every program needs: helpers, the packet under judgement, small words. */
#ifndef BAILEY_CORE_BASE_H
#define BAILEY_CORE_BASE_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../abi.h"

#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))

_Static_assert(sizeof(struct control) == 64, "control: one line");
_Static_assert(sizeof(struct flow_entry) == 64, "flow_entry: one line");
_Static_assert(sizeof(struct flow_bucket) % 64 == 0, "flow_bucket: whole lines");
_Static_assert(sizeof(struct flow_key) == 40, "flow_key: no padding");
_Static_assert(sizeof(struct flow_keys) == 128, "flow_keys: two lines");
_Static_assert(sizeof(struct flood_cpu) == 64, "flood_cpu: one line");
_Static_assert(sizeof(struct host_entry) == 24, "host_entry");
_Static_assert(sizeof(struct lpm_node) == 24, "lpm_node");
_Static_assert(sizeof(struct lpm_pair) == 8, "lpm_pair");
_Static_assert(ONE_BITS_MASK == (1 << RANGES4_BITS) - 1, "one prefix, as ranges");
_Static_assert(sizeof(struct lpm_ranges4) == 64, "lpm_ranges4: one line");
_Static_assert(sizeof(struct lpm_ranges6) == 64, "lpm_ranges6: one line");
_Static_assert(sizeof(struct class_record) == 24, "class_record");
_Static_assert(sizeof(struct rule_counter) == 32, "rule_counter");
_Static_assert(FLOW_EVENTS <= FLOW_EVENT_LINE, "flow_events: a line per CPU");
_Static_assert(sizeof(struct failsafe_entry) == 40, "failsafe_entry");
_Static_assert(sizeof(struct block) == 64, "block: one line");
_Static_assert(sizeof(struct fragment_key) == 48, "fragment_key: no padding");
_Static_assert(sizeof(struct fragment_record) == 16, "fragment_record: no padding");
_Static_assert(sizeof(struct probe_answer) == 80, "probe_answer: no padding");

/* A step either lets the next one go on or has set pkt->verdict and
 * pkt->reason; only finish() turns those into a return code. */
enum step {
	STEP_CONTINUE = 0,
	STEP_DONE = 1,
	STEP_AGAIN = 2, /* a tunnel: read what is inside */
};

/* One packet on its way through the programs, in a scratch per CPU and hook.
 * Fields are in host byte order unless the name ends in _be. */
struct pkt {
#ifdef BAILEY_OTHER_BUILD /* tests of upgrades: another layout, another program */
	__u64 other;
#endif
	struct flow_key key;
	__u64 source_be[2];
	__u64 destination_be[2];
	__u64 sender_be[2]; /* of an ICMP error or a tunnel: who sent it */
	__u64 receiver_be[2]; /* of a tunnel */
	__u64 mac;            /* of the interface, 0 = not known */
	__u32 bucket[2];
	__u32 tag;            /* fingerprint, 1..255 */
	__u32 lane;           /* of bucket[0], where it would like to be */

	/* From here on cleared before a frame is read. */
	__u32 bytes;
	__u32 sequence; /* TCP; SCTP: verification tag */
	__u32 ack;      /* TCP; SCTP: tag that an INIT or INIT ACK names */
	__u32 zone;
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 kind;
	__u8 from_low; /* the sender has the lower address */
	__u8 opens;    /* may open a flow: SYN, echo request, anything stateless */
	__u8 tcp_flags;
	__u8 joined;   /* offload left several segments in one frame */
	__u8 tags;     /* VLAN */
	__u8 link;     /* LINK_*: whom the frame goes to */

	__u64 control; /* from here on cleared before it is judged; the word in force */
	__u64 found;   /* meta word of the flow that matched, 0 = none */
	__u64 next;    /* meta word after this packet */
	__u64 victim;  /* meta word of the lane that a scan proposes */
	__u32 found_bucket;
	__u32 found_lane;
	__u32 now;     /* ticks */
	__u32 part;    /* of the tick, in 1/1024 */
	__u32 packets; /* segments, for frames that offload left joined */
	__u32 scale;   /* of idle times, in 1/SCALE_ONE */
	__u32 ifindex;
	__u32 egress;  /* deciding cells */
	__u32 ingress;
	__u32 at;       /* where in the frame the next header begins */
	__u32 end;      /* where the packet that is being read ends */
	__u32 fragment_id;
	__u16 fragment_bytes; /* of a first fragment; the offset of a later one */
	__u16 ethertype;
	__u8 hook;
	__u8 reopen;   /* the flow that matched is over: judge as a new one */
	__u8 verdict;
	__u8 reason;
	__u8 new_flow;
	__u8 steps;
	__u8 slot;     /* of the interface, for counters */
	__u8 fragment; /* FRAGMENT_* */
	__u8 related;  /* RELATED_*: all else is of an answer to what the error quotes */
	__u8 tunnel;   /* that the packet came in, from 1 */
	__u8 hop_limit;
	__u8 chunk;    /* SCTP: type of the first chunk */
	__u8 chunk_flags;
	__u8 blocks;   /* BLOCKS_* */
	__u8 warm;     /* policy drops nothing yet */
	__u8 reversed; /* taken up against the direction it was opened in */
	__u8 outside;  /* came in where inside addresses never do */
	__u8 foreign;  /* comes from the inside, and not from one of its prefixes */
	__u8 judged;   /* tc: came in through a NIC where XDP judged it */
	__u8 forwarded; /* tc: came in through some interface */
	__u8 by_machine; /* tc: the frame has the NIC's own address as its source */
	__u8 fib;      /* FIB_*: what the kernel's forwarding asks besides the route */
	__u8 plain;    /* read by plain.h */
	__u8 cookie;   /* brings back a SYN cookie of this machine */
};

/* The sender of an ICMP error: the destination of the quoted packet, or a router on its path. */
#define RELATED_END 1
#define RELATED_WAY 2

#define FIB_RP_FILTER 1
#define FIB_STACK 2
#define FIB_STACK6 4

/* Whom the frame goes to, by its MAC address. */
#define LINK_NONE 0 /* a packet in a tunnel without a frame */
#define LINK_STATION 1
#define LINK_GROUP 2
#define LINK_OTHER 3 /* a station that is known not to be this NIC */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define TCP_URG 0x20

static __always_inline enum step pass(struct pkt *pkt, enum reason reason)
{
	pkt->verdict = VERDICT_PASS;
	pkt->reason = reason;
	return STEP_DONE;
}

static __always_inline enum step drop(struct pkt *pkt, enum reason reason)
{
	pkt->verdict = VERDICT_DROP;
	pkt->reason = reason;
	return STEP_DONE;
}

/* The frame is to go back as the answer to itself. */
static __always_inline enum step answer(struct pkt *pkt, enum reason reason)
{
	pkt->verdict = VERDICT_ANSWER;
	pkt->reason = reason;
	return STEP_DONE;
}

static __always_inline __u32 control_slot(__u64 control)
{
	return (control >> CONTROL_SLOT_SHIFT) & CONTROL_SLOT_MASK;
}

static __always_inline __u32 control_generation(__u64 control)
{
	return (control >> CONTROL_GENERATION_SHIFT) & CONTROL_GENERATION_MASK;
}

static __always_inline __u32 control_epoch(__u64 control)
{
	return (control >> CONTROL_EPOCH_SHIFT) & CONTROL_EPOCH_MASK;
}

static __always_inline __u32 meta_state(__u64 meta)
{
	return (meta >> META_STATE_SHIFT) & META_STATE_MASK;
}

static __always_inline __u32 meta_flags(__u64 meta)
{
	return (meta >> META_FLAGS_SHIFT) & META_FLAGS_MASK;
}

static __always_inline __u32 meta_epoch(__u64 meta)
{
	return (meta >> META_EPOCH_SHIFT) & META_EPOCH_MASK;
}

static __always_inline __u32 meta_seen(__u64 meta)
{
	return (meta >> META_SEEN_SHIFT) & META_SEEN_MASK;
}

static __always_inline __u32 meta_serial(__u64 meta)
{
	return (meta >> META_SERIAL_SHIFT) & META_SERIAL_MASK;
}

static __always_inline __u64 meta_make(__u32 serial, __u32 state, __u32 flags,
				       __u32 epoch, __u32 seen)
{
	return (__u64)state << META_STATE_SHIFT |
	       (__u64)(serial & META_SERIAL_MASK) << META_SERIAL_SHIFT |
	       (__u64)flags << META_FLAGS_SHIFT |
	       (__u64)epoch << META_EPOCH_SHIFT |
	       (__u64)(seen & META_SEEN_MASK) << META_SEEN_SHIFT;
}

/* All ones if a < b, for a and b below 2^63. The barrier keeps the compiler from
 * turning the mask into a branch: with one per lane of a scan the verifier walks
 * 2^8 paths where this is one. */
static __always_inline __u64 mask_below(__u64 a, __u64 b)
{
	__s64 difference = a - b;

	asm volatile("" : "+r"(difference));
	return difference >> 63;
}

/* An IPv4 address, as they are held. */
static __always_inline bool v4_mapped(__u64 first, __u64 second)
{
	return !first && (__u32)second == V4_MAPPED_WORD;
}

/* fe80::/10, 169.254.0.0/16 */
static __always_inline bool link_local(const __u64 address_be[2])
{
	if (v4_mapped(address_be[0], address_be[1]))
		return (address_be[1] >> 32 & 0xffff) == 0xfea9;
	return (address_be[0] & 0xc0ff) == 0x80fe;
}

/* 224.0.0.0/4, 255.255.255.255, ff00::/8 */
static __always_inline bool group_address(const __u64 address_be[2])
{
	if (v4_mapped(address_be[0], address_be[1]))
		return (address_be[1] >> 32 & 0xf0) == 0xe0 ||
		       address_be[1] >> 32 == 0xffffffff;
	return (address_be[0] & 0xff) == 0xff;
}

#define TICKS_AHEAD 256 /* far more than two CPUs can differ */

/* Another CPU that began after the edge of a tick may have stamped something
 * ahead of this packet's clock: that is an age of 0, not of nearly 2^24. */
static __always_inline __u64 ticks_since(__u32 then, __u32 now)
{
	__u64 age = (now - then) & TICK_MASK;

	return age & mask_below(age, TICK_MASK + 1 - TICKS_AHEAD);
}

#endif
