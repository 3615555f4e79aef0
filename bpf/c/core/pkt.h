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

#endif
