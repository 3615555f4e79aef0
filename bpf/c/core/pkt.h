/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* . */
#ifndef BAILEY_CORE_PKT_H
#define BAILEY_CORE_PKT_H

#include "core/abi.h"

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
	__u32 home_slot;           /* of bucket[0], where it would like to be */

	/* From here on cleared before a frame is read. */
	__u32 bytes;
	__u32 sequence; /* TCP; SCTP: verification tag */
	__u32 ack;      /* TCP; SCTP: tag that an INIT or INIT ACK names */
	__u32 zone;
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 kind;
	__u8 sender_is_lower; /* the sender has the lower address */
	__u8 may_create_flow;    /* may open a flow: SYN, echo request, anything stateless */
	__u8 tcp_flags;
	__u8 is_gso;   /* offload left several segments in one frame */
	__u8 vlan_tags;     /* VLAN */
	__u8 link_target;     /* LINK_*: whom the frame goes to */

	__u64 control; /* from here on cleared before it is judged; the word in force */
	__u64 found;   /* meta word of the flow that matched, 0 = none */
	__u64 next;    /* meta word after this packet */
	__u64 victim;  /* meta word of the lane that a scan proposes */
	__u32 found_bucket;
	__u32 found_slot;
	__u32 now;     /* ticks */
	__u32 tick_fraction;    /* of the tick, in 1/1024 */
	__u32 packets; /* segments, for frames that offload left joined */
	__u32 timeout_scale;   /* of idle times, in 1/SCALE_ONE */
	__u32 ifindex;
	__u32 egress_cell;  /* deciding cells */
	__u32 ingress_cell;
	__u32 offset;       /* where in the frame the next header begins */
	__u32 packet_end;      /* where the packet that is being read ends */
	__u32 fragment_id;
	__u16 fragment_bytes; /* of a first fragment; the offset of a later one */
	__u16 ethertype;
	__u8 hook;
	__u8 is_reopened;   /* the flow that matched is over: judge as a new one */
	__u8 verdict;
	__u8 reason;
	__u8 is_new_flow;
	__u8 probe_steps;
	__u8 interface_slot;     /* of the interface, for counters */
	__u8 fragment; /* FRAGMENT_* */
	__u8 icmp_error;  /* RELATED_*: all else is of an answer to what the error quotes */
	__u8 tunnel;   /* that the packet came in, from 1 */
	__u8 hop_limit;
	__u8 chunk;    /* SCTP: type of the first chunk */
	__u8 chunk_flags;
	__u8 block_tables;   /* BLOCKS_* */
	__u8 is_warm_up;     /* policy drops nothing yet */
	__u8 is_reversed; /* taken up against the direction it was opened in */
	__u8 from_external;  /* came in where inside addresses never do */
	__u8 has_foreign_source;  /* comes from the inside, and not from one of its prefixes */
	__u8 is_evaluated;   /* tc: came in through a NIC where XDP judged it */
	__u8 is_forwarded; /* tc: came in through some interface */
	__u8 is_from_host; /* tc: the frame has the NIC's own address as its source */
	__u8 fib_flags;      /* FIB_*: what the kernel's forwarding asks besides the route */
	__u8 is_fast_parsed;    /* read by plain.h */
	__u8 has_syn_cookie;   /* brings back a SYN cookie of this machine */
};

/* The sender of an ICMP error: the destination of the quoted packet, or a router on its path. */
#define ERROR_FROM_END 1
#define ERROR_FROM_PATH 2

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

#endif
