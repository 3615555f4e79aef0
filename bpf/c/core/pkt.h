/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* struct pkt: everything that the programs know about one packet. */
#ifndef BAILEY_CORE_PKT_H
#define BAILEY_CORE_PKT_H

#include "core/abi.h"

/*
 * One packet on its way through the programs, in a per-CPU scratch entry per
 * hook. Each part below has one lifetime and is written or cleared as a whole.
 * Fields are in host byte order unless the name ends in _be.
 */

/* Addresses. Written before they are read, never cleared. */
struct addresses {
	__u64 source_be[2];
	__u64 destination_be[2];
	__u64 sender_be[2];   /* of the ICMP error or the tunnel packet */
	__u64 receiver_be[2]; /* of the tunnel packet */
};

/* Candidate buckets and slot of the key in the flow table. Written by
 * flow_hash(). */
struct flow_hash {
	__u32 bucket[2];
	__u32 tag;       /* fingerprint, 1..255 */
	__u32 home_slot; /* preferred slot of bucket[0] */
};

/* Results of both parsers. Cleared before a frame is parsed. */
struct parsed {
	__u32 bytes;    /* of the frame */
	__u32 sequence; /* TCP; SCTP: verification tag */
	__u32 ack;      /* TCP; SCTP: initiate tag of an INIT or INIT ACK */
	__u32 zone;     /* VLAN ids, if VLAN zones are configured */
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 kind;            /* KIND_*, 0: not IP */
	__u8 sender_is_lower; /* the source is the lower end of the flow key */
	__u8 may_create_flow; /* see docs/packets.md */
	__u8 tcp_flags;
	__u8 is_gso;      /* GSO/GRO frame: several segments */
	__u8 vlan_tags;   /* number of VLAN tags */
	__u8 link_target; /* LINK_*, by destination MAC address */
};

/* The parts below belong to the slow path. Cleared between parse_fast() and
 * parse_full(). */

/* Hook, interface, time and active generation. */
struct environment {
	__u64 mac;           /* of the interface, 0: unknown */
	__u64 control;       /* active control word */
	__u32 now;           /* ticks */
	__u32 tick_fraction; /* fraction of the tick, in 1/1024 */
	__u32 packets;       /* segments of a GSO frame, else 1 */
	__u32 timeout_scale; /* in 1/SCALE_ONE */
	__u32 ifindex;
	__u8 hook;
	__u8 interface_slot;     /* for counters */
	__u8 is_warm_up;         /* warm-up (audit) mode */
	__u8 from_external;      /* arrived on an external interface */
	__u8 has_foreign_source; /* see is_foreign_source() */
	__u8 is_evaluated;       /* tc: XDP evaluated it on ingress */
	__u8 is_forwarded;       /* tc: arrived on some interface */
	__u8 is_from_host;       /* tc: this machine sent the frame */
	__u8 fib_flags;          /* FIB_* */
	__u8 is_fast_parsed;
};

/* Results that only the full parser produces. */
struct parsed_full {
	__u32 offset;     /* of the next header in the frame */
	__u32 packet_end; /* end of the packet being parsed, in the frame */
	__u32 fragment_id;
	__u16 fragment_bytes; /* first: length; later: offset */
	__u16 ethertype;
	__u8 fragment;   /* FRAGMENT_* */
	__u8 icmp_error; /* ERROR_FROM_*; see parse/icmp_error.h */
	__u8 tunnel;     /* id of the outer tunnel, from 1 */
	__u8 hop_limit;
	__u8 chunk; /* SCTP: type of the first chunk */
	__u8 chunk_flags;
};

/* The matching entry of the flow table. */
struct lookup {
	__u64 meta;        /* flow metadata word, 0: no match */
	__u64 next_meta;   /* metadata word after this packet */
	__u64 victim_meta; /* set by find_victim() */
	__u64 identity;    /* of a claimed slot's new flow; see meta_word.h */
	__u32 bucket;
	__u32 slot;
};

/* The verdict, and the counters that it selects. */
struct decision {
	__u32 egress_cell; /* deciding cells */
	__u32 ingress_cell;
	__u8 verdict; /* VERDICT_* */
	__u8 reason;
	__u8 is_new_flow;
	__u8 is_counted;     /* in its flow, and so for the rules of the flow */
	__u8 probe_steps;    /* PROBE_* */
	__u8 block_tables;   /* BLOCKS_*: block tables that have entries */
	__u8 is_reopened;    /* matched a closed flow: evaluate as new */
	__u8 is_reversed;    /* sender is the responder */
	__u8 has_syn_cookie; /* acknowledges a SYN cookie of this machine */
	__u8 has_cells;      /* policy has been evaluated */
};

struct pkt {
#ifdef BAILEY_OTHER_BUILD /* for upgrade tests */
	__u64 other;
#endif
	struct flow_key key; /* written by key_set() */
	struct addresses addr;
	struct flow_hash hash;
	struct parsed in;
	struct environment env;
	struct parsed_full full;
	struct lookup flow;
	struct decision out;
};

/* Sender of an ICMP error: the destination of the quoted packet, or a router on
 * the path to it. */
#define ERROR_FROM_END 1
#define ERROR_FROM_PATH 2

#define FIB_RP_FILTER 1
#define FIB_STACK 2
#define FIB_STACK6 4

/* Destination of the frame, by its MAC address. */
#define LINK_NONE 0 /* packet in a tunnel, without an inner frame */
#define LINK_STATION 1
#define LINK_GROUP 2
#define LINK_OTHER 3 /* a station other than this NIC */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define TCP_URG 0x20

#endif
