/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The contract between the BPF programs and user space: every map value, every
 * number that crosses the boundary, and every limit. C includes this file, Rust
 * gets it through the generated bpf/src/abi.rs; nothing is declared twice.
 *
 * Byte order is the machine's (x86-64: little endian) unless a name ends in
 * _be. Multi-field 64-bit words are described by *_SHIFT and *_MASK constants:
 * they are compared and exchanged whole, so they are not C bit fields.
 */
#ifndef BAILEY_ABI_H
#define BAILEY_ABI_H

#include <linux/types.h>

/* Raised by every change of a layout or of the meaning of a number below. */
#define ABI_VERSION 7

/* ---- control word --------------------------------------------------------
 * One 64-bit store of this word is the commit. It is read once per packet and
 * carried along.
 *   slot:8        index into the program arrays
 *   generation:24 the policy generation that the program in the slot was built
 *                 for; a program that is handed another one drops the packet
 *   epoch:24      counts every change of what may pass (policy commits now,
 *                 block-table changes later); 0 is never current
 */
#define CONTROL_SLOT_SHIFT 0
#define CONTROL_GENERATION_SHIFT 8
#define CONTROL_EPOCH_SHIFT 32
#define CONTROL_SLOT_MASK 0xffULL
#define CONTROL_GENERATION_MASK 0xffffffULL
#define CONTROL_EPOCH_MASK 0xffffffULL
#define POLICY_SLOTS 8

/* scale:32 stamp:32: what every idle time is multiplied with, in 1/SCALE_ONE, and
 * the tick it was set at. The sweeper lowers it as live flows fill the table; a
 * scale that nobody has set for SCALE_TICKS is none. */
#define SCALE_ONE 256
#define SCALE_MASK 0xffffffffULL
#define SCALE_STAMP_SHIFT 32
#define SCALE_TICKS 64
struct control {
	__u64 word;
	__u64 scale;
	/* User space only: which entry programs are attached, 0 while that
	 * changes; and in which network namespace. */
	__u64 build;
	__u64 namespace;
	__u64 warm_until; /* tick, 0 = none: before it policy drops nothing */
	__u64 blocks;     /* BLOCKS_*: which block tables have entries */
	__u64 flooded;    /* tick of the last new flow under a flood; 0 = none yet */
	__u64 receivers;  /* CPUs that new flows arrive on, as the daemon sees it; 0 = 1 */
};

/* ---- time ----------------------------------------------------------------
 * Ages are counted in ticks of 2^30 ns (1.07 s) of the coarse monotonic clock:
 * a shift where seconds would need a division, and user space reads the same
 * clock. 24 bits of ticks wrap after 208 days.
 */
#define TICK_SHIFT 30
#define TICK_MASK 0xffffffULL
#define TICK_FRACTION_SHIFT 20 /* a part of a tick is 2^20 ns */

/* ---- flow table -----------------------------------------------------------
 * One line per flow, eight lines per bucket, and one tag word per bucket: a
 * one-byte fingerprint per lane, 0 = free. Only a compare-and-swap of the tag
 * word takes or frees a lane; every change of state is a compare-and-swap of
 * the line's whole meta word. See flow.h for the protocol.
 */
#define FLOW_SLOTS 8
#define FLOW_HALF_OPEN_SLOTS 6 /* of 8 lanes at most this many half-open */
#define FLOW_BUSY_TICKS 8 /* no CPU writes a line for so long */

/* meta: state:4 locked:1 serial:3 flags:8 epoch:24 seen:24
 * locked: one CPU is giving the flow, which is judged again, its new rules and
 * meta word; others act on what the rest of the word says and change nothing.
 * serial counts the flows that a line has held: a CPU that found one flow there
 * must not exchange the meta word of the next, however alike the two are. */
#define META_STATE_SHIFT 0
#define META_SERIAL_SHIFT 5
#define META_FLAGS_SHIFT 8
#define META_EPOCH_SHIFT 16
#define META_SEEN_SHIFT 40
#define META_STATE_MASK 0xfULL
#define META_LOCKED 0x10ULL
#define META_SERIAL_MASK 0x7ULL
#define META_FLAGS_MASK 0xffULL
#define META_EPOCH_MASK 0xffffffULL
#define META_SEEN_MASK 0xffffffULL

/* flags */
#define FLOW_ORIG_LOW 0x01     /* opened by the lower address */
#define FLOW_REPLIED 0x02      /* a packet against the original direction was seen */
#define FLOW_FIN_LOW 0x04      /* FIN sent by the lower address */
#define FLOW_FIN_HIGH 0x08     /* FIN sent by the higher address */
#define FLOW_AUDIT 0x10        /* reserved: audited flow */
#define FLOW_INSPECT 0x20      /* reserved: steered to AF_XDP */
#define FLOW_FROM_NIC 0x40 /* opened by a packet that arrived on a NIC */
#define FLOW_MIDSTREAM 0x80    /* taken up in the middle: who opened it is a guess */

/* tuple: port_lo:16 port_hi:16 protocol:8 zone:24, ports in host order.
 * An ICMP echo flow has the identifier as the port of the side that asks and 0
 * as the port of the side that answers. The zone has room for the numbers of two
 * VLAN tags. The family is told by the addresses: IPv4-mapped ones are martians
 * on the wire, so no IPv6 flow has them. */
#define TUPLE_PORT_LO_SHIFT 0
#define TUPLE_PORT_HI_SHIFT 16
#define TUPLE_PROTOCOL_SHIFT 32
#define TUPLE_ZONE_SHIFT 40
#define KIND_IPV4 4
#define KIND_IPV6 6
#define V4_MAPPED_WORD 0xffff0000U /* ::ffff:0:0/96: the third word, as loaded */

/* rules: egress:24 ingress:24 deny_egress:1 deny_ingress:1 opened:10 spare:4
 * opened: in which part of its tick the flow was opened, in 1/1024. Among flows
 * of one tick it tells which came first. */
#define RULES_EGRESS_SHIFT 0
#define RULES_INGRESS_SHIFT 24
#define RULES_MASK 0xffffffULL
#define RULES_DENY_EGRESS (1ULL << 48)
#define RULES_DENY_INGRESS (1ULL << 49)
#define RULES_OPENED_SHIFT 50
#define RULES_OPENED_MASK 0x3ffULL

/* IPv4 addresses are held as ::ffff:a.b.c.d in network byte order. */
struct flow_key {
	__u64 tuple;
	__u64 addr_lo_be[2];
	__u64 addr_hi_be[2];
};

struct flow_entry {
	__u64 meta;
	struct flow_key key;
	__u64 rules;
	/* By sender (lower address, higher): TCP: about the last ACK number, 0 = not
	 * seen. SCTP: its tag, which packets to it carry. */
	__u32 ack[2];
};

struct flow_count {
	__u64 packets;
	__u64 bytes; /* layer 2 */
};

/* What is counted is near the flow, most often in its page: one walk of the page
 * table finds both. By sender (lower address, higher), so that the CPUs of the two
 * directions share no line. */
struct flow_bucket {
	struct flow_entry entry[FLOW_SLOTS];
	struct flow_count count[2][FLOW_SLOTS];
};

/* Live, replied flows per source (/32, /64), whichever side it is on: two
 * cells by two hashes, of which the lesser bounds the count from above. */
#define SOURCE_BITS 16

/* What happened to flows: [cpu], and after the CPUs one for the sweeper. */
enum flow_event {
	FLOW_INSERTED = 0,
	FLOW_EVICTED_EXPIRED,
	FLOW_EVICTED_CLOSED,      /* closed, or revoked */
	FLOW_EVICTED_HALF_OPEN,
	FLOW_EVICTED_IDLE,      /* the last resort: live, and idle for long */
	FLOW_SOURCE_LIMITED,    /* packets of flows kept evictable: the source has enough */
	FLOW_REFUSED_FULL,
	FLOW_REFUSED_CONTENTION,
	FLOW_SWEPT,             /* expired, and retired by the sweeper */
	FLOW_RESTAMPED,         /* epoch so old that it could come round */
	FLOW_RECOVERED,         /* lane left BUSY by a process that was killed */
	FLOW_FLOOD_BEGAN,       /* on a CPU */
	FLOW_FLOOD_ENDED,
	FLOW_CHALLENGE_PASSED,            /* a client that answered the challenge */
	FLOW_SYN_RETRANSMITTED,           /* admitted because it sent its SYN again */
	FLOW_COOKIE,            /* opened by the answer to a SYN cookie */
	FLOW_EVENTS,
};

#define FLOW_EVENT_LINE 16
struct flow_events {
	__u64 count[FLOW_EVENT_LINE]; /* by enum flow_event */
};

/* Secret hash keys. They belong to the table: with other keys none of its flows
 * can be found. */
#define FLOW_NH_WORDS 10
struct flow_keys {
	__u32 nh[FLOW_NH_WORDS];
	__u64 mul[2]; /* odd */
	__u64 proof[2]; /* of what clients get to see; no other hash shares them */
	__u64 nh_v4;    /* the part of the hash that all IPv4 flows have in common */
	__u64 pad[5];
	__u64 abi;    /* ABI_VERSION; the last word */
};

enum flow_state {
	STATE_BUSY = 0, /* being written by one CPU; free if the lane's tag is 0 */
	STATE_TCP_SYN_SENT,
	STATE_TCP_SYN_RECV,
	STATE_TCP_ESTABLISHED,
	STATE_TCP_FIN_WAIT,
	STATE_TCP_TIME_WAIT,
	STATE_CLOSED, /* TCP, SCTP */
	STATE_UDP_NEW,
	STATE_UDP_REPLIED,
	STATE_ICMP_NEW,
	STATE_ICMP_REPLIED,
	STATE_SCTP_NEW,
	STATE_SCTP_REPLIED,
	STATE_OTHER_NEW,
	STATE_OTHER_REPLIED,
	STATE_DENIED, /* tombstone of a flow that policy revoked */
	STATE_COUNT,
};

/* ---- reading frames --------------------------------------------------------
 * What is no plain TCP or UDP is read from a copy of the first bytes of a frame.
 */
#define HEADERS_MAX 512
#define HEADERS_SIZE 1024 /* of the buffer: any header that begins in HEADERS_MAX fits */
#define EXTENSION_HEADERS_MAX 8

struct headers {
	__u8 bytes[HEADERS_SIZE];
};

/* Groups that data may go to though policy isolates endpoints: prefixes, or addresses of
 * broadcasts. */
#define GROUPS_MAX 16
struct group_prefix {
	__u64 addr_be[2];
	__u64 mask_be[2];
	__u64 kind; /* KIND_IPV4 or KIND_IPV6 */
};

/* Services that link-local addresses of endpoints may use. */
#define LINK_SERVICES_MAX 16
struct link_service {
	__u16 port;
	__u8 protocol;
	__u8 any; /* whatever the port */
};

/* Bits of values of own_addresses: an address of this machine, the broadcast address of a
 * subnet that it is in, and such a subnet of IPv6, a /64, by its first address. */
#define OWN_HOST 1
#define OWN_BROADCAST 2
#define OWN_SUBNET 4
/* The hardware address of an interface of this machine on an attached one (bridge, bond,
 * VLAN, macvlan), under the address { all ones, hardware address }, which no packet has. */
#define OWN_STATION 8
#define OWN_ADDRESSES 65536

/* The filter before own_addresses: bit h(address) is set for each, with h the upper bits of
 * the exclusive or of both words, multiplied. */
#define OWN_FILTER_BITS 15
#define OWN_FILTER_MUL 0x9e3779b97f4a7c15ULL
struct own_address {
	__u64 addr_be[2];
};

struct own_filter {
	__u64 word[(1 << OWN_FILTER_BITS) / 64];
};

/* Ethertypes that the configuration lets through unread. */
#define ETHERTYPES_MAX 16

#define TUNNEL_VXLAN 1
#define TUNNEL_GENEVE 2
#define TUNNELS_MAX 4
#define TUNNEL_PEERS_MAX 16
struct tunnel_peer {
	__u64 addr_be[2];
	__u64 mask_be[2];
	__u32 kind; /* KIND_IPV4 or KIND_IPV6 */
	__u32 tunnel; /* of TUNNEL_PORTS, from 1 */
};

/* ---- fragments --------------------------------------------------------------
 * Where the first fragment of a packet went, for those after it.
 */
#define FRAGMENT_RECORDS 16384
#define FRAGMENT_TICKS 28 /* 30 s */

#define FRAGMENT_NONE 0
#define FRAGMENT_FIRST 1
#define FRAGMENT_LATER 2

#define FRAGMENT_HOOK_SHIFT 8
struct fragment_key {
	__u64 source_be[2];
	__u64 destination_be[2];
	__u32 id;       /* as on the wire */
	__u32 protocol; /* IPv4; 0 over IPv6; and the hook from FRAGMENT_HOOK_SHIFT on */
	__u64 zone;
};

struct fragment_record {
	__u32 seen;  /* tick */
	__u16 bytes; /* of the first fragment */
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 may_create_flow;
	__u32 pad;
};

/* ---- emergency blocks ------------------------------------------------------
 * Times are nanoseconds of the boot clock, which goes on in suspend.
 */
#define BLOCK_HOSTS 131072
#define BLOCK_PREFIXES 4096
#define BLOCKS_HOSTS 1ULL
#define BLOCKS_PREFIXES 2ULL
#define BLOCK_NOTE 40

struct block_host {
	__u64 addr_be[2];
};

struct block_prefix {
	__u32 bits;    /* of 160: IPv4 does not lie within ::/0 */
	__u32 kind;    /* KIND_IPV4 or KIND_IPV6 */
	__u32 addr[4]; /* network byte order, IPv4-mapped */
};

struct block {
	__u64 until; /* its own time, or the latest of those that cover it */
	__u64 own;   /* what was asked for */
	__u64 added; /* seconds since 1970 */
	__u8 note[BLOCK_NOTE]; /* why; padded with zeros */
};

/* Before the end of the warm-up, at most so many ticks ahead. */
#define WARM_TICKS_MAX 4096

/* ---- floods -----------------------------------------------------------------
 * A token bucket is one word: the time at which it is full again, in nanoseconds
 * of the coarse monotonic clock (the virtual scheduling algorithm of ITU-T I.371).
 * Bit 0: it ran dry, and gives nothing until half of it is back.
 */
#define BUCKET_DRY 1ULL

/* New flows that come in through a NIC and that policy allows are counted per CPU
 * and window. More than its share of the limit in one is a flood; less than half of it in
 * FLOOD_CALM_WINDOWS windows in a row is its end. */
#define FLOOD_WINDOW_SHIFT 27 /* 134 ms */
#define FLOOD_CALM_WINDOWS 16
struct flood_cpu {
	__u64 window;
	__u64 opened; /* in this window */
	__u64 calm;   /* the window after the last one that was not */
	__u64 flood;  /* tick since when there is one, plus 1; 0 = none */
	/* Token buckets, of SYNs that came again and of what can prove nothing. */
	__u64 retried;
	__u64 unproven;
	__u64 pad[2]; /* its own cache line */
};

/* Under a flood a TCP client shows that it is where its address says. */
#define PROVEN_CLIENTS 65536
#define PROVEN_TICKS 112     /* 2 min */
#define PROOF_SLOT_SHIFT 5   /* ticks in which a challenge may be answered: 34 s */
#define PROOF_TICKS 64       /* two such slots */
#define SYN_RECORD_BITS 19   /* words, of two records of SYNs that were answered */
#define SYN_RETRY_SHIFT 24   /* their clock: 2^24 ns */
#define SYN_RETRY_MIN 24     /* 0.4 s: sooner it is the same SYN */
#define SYN_RETRY_MAX 960    /* 16 s */

#define PROVEN_BY_RST 8 /* flows that one answer lets a client open */
#define PROVEN_BY_COOKIE 4096

struct client {
	__u64 addr_be[2]; /* IPv6: of the /64 */
};

struct proof {
	__u32 since; /* tick */
	__s32 flows; /* that it may still open */
};

/* ---- policy tables (one generation) ---------------------------------------
 * address -> class record:  exact table for full-length addresses, poptrie
 *                           (Asai and Ohara, SIGCOMM 2015) for prefixes, which
 *                           ends in ranges where few prefixes are left
 * (protocol, port) -> port class
 * (subject, peer class) -> row:   subject -> page index -> page of 64 row ids
 * (row, port class) -> cell:      rows lie one after the other; those of more
 *                                 than 64 port classes in pages that are stored
 *                                 once: row -> page index -> page of 64 cells
 */
#define HOST_SLOTS 8
struct host_entry {
	__u64 addr_be[2];
	__u32 class_id;
	__u32 pad;
};

struct host_bucket {
	struct host_entry entry[HOST_SLOTS];
};

#define HOST_NH_WORDS 4

#define LPM_DIRECT_BITS 17
#define LPM_STRIDE 6
#define LPM_LEVELS_V4 3  /* 17 + 3 * 6 >= 32 */
#define LPM_LEVELS_V6 19 /* 17 + 19 * 6 >= 128 */

/* A word of the first table: the index of a node, or with LPM_LEAF where the search
 * ends, as all words of the leaves do: a class, or in one of the two forms below. */
#define LPM_LEAF 0x80000000U
#define LPM_RANGES 0x40000000U /* the index of ranges */
#define LPM_ONE 0x20000000U    /* IPv4: below the slot there is one prefix */
#define LPM_INDEX 0x1fffffffU

/* One prefix: its bits after the slot, how many of those are the host's, and the
 * index of a pair of classes. */
#define ONE_BITS_MASK 0x7fff
#define ONE_HOST_SHIFT 15
#define ONE_HOST_MASK 0xf
#define ONE_PAIR_SHIFT 19
#define ONE_PAIRS 1024
struct lpm_pair {
	__u32 outside;
	__u32 inside;
};

struct lpm_node {
	__u64 children; /* bit v: slot v has a child node */
	__u64 leaves;   /* bit v: slot v starts a new run of equal leaves */
	__u32 child_base;
	__u32 leaf_base;
};

/*
 * What is below a slot with few prefixes, in one line: the bits of the address
 * after the slot, as a number, lie in one of some ranges, each of a class. Which
 * holds the class of each range in two bits, that of the first in the lowest.
 */
#define RANGES4_BITS 15
#define RANGES4_WORDS 5
#define RANGES4_LAST (RANGES4_WORDS * 4)
#define RANGES4_CLASSES 4
struct lpm_ranges4 {
	__u64 last[RANGES4_WORDS]; /* four of 16 bits each: the last of all ranges but
				    * one, ascending; the highest bit is set */
	__u64 which;
	__u32 classes[RANGES4_CLASSES];
};

#define RANGES6_BITS 63
#define RANGES6_LAST 6
#define RANGES6_CLASSES 3
struct lpm_ranges6 {
	__u64 last[RANGES6_LAST];
	__u32 which;
	__u32 classes[RANGES6_CLASSES];
};

/* u32 arrays are stored in chunks: a BPF array has a stride of 8 bytes. */
#define U32_CHUNK 16
struct u32_chunk {
	__u32 v[U32_CHUNK];
};

#define PAGE_CELLS 64
struct page {
	__u32 v[PAGE_CELLS];
};

#define CLASS_NODE 0x1U /* the address is a node's own */
#define CLASS_ALSO_SHIFT 8 /* flags: above it the class of the address's next owner */
#define CLASS_OWNERS_MAX 4 /* of one address; with more it has no permission */
#define CLASS_UNKNOWN 0x2U /* declared, and no endpoint's: no permission at all */
#define SUBJECT_UNKNOWN 0xffffffffU /* its subject in both directions; has no cells */

struct class_record {
	__u32 egress_subject;  /* 0 = not isolated for egress */
	__u32 ingress_subject; /* 0 = not isolated for ingress */
	__u32 peer;
	__u32 node;     /* 0 = none; the node itself, or the node of a pod */
	__u32 endpoint; /* 0 = none */
	__u32 flags;
};

/* Port classes: one chunk of 65536 per protocol that has ports. Class 0 is
 * every packet that no rule with ports can match. */
#define PORT_TCP 0
#define PORT_UDP 1
#define PORT_SCTP 2
#define PORT_PROTOCOLS 3
struct port_chunk {
	__u16 v[65536];
};

/* Of one rule: token buckets; an interval of 0 is no limit. Limit 0 is nobody's. */
struct rule_limit {
	__u64 interval;
	__u64 burst;
	__u64 source_interval;
	__u64 source_burst;
};

/* By rule, across generations. */
struct limit_state {
	__u64 bucket;
	__u64 limited; /* packets that it did not let open a flow */
};

/* A cell: the deciding rule, and whether it denies. */
#define CELL_DENY 0x80000000U
#define CELL_RULE_MASK 0xffffffU

/* Rule ids that mean the same in every generation. */
#define RULE_NONE 0
#define RULE_NOT_ISOLATED 1
#define RULE_OWN_NODE 2
#define RULE_SELF 3
#define RULE_UNKNOWN_ADDRESS 4

/* Whom a generation isolates. */
#define ISOLATES_INGRESS 0x1U
#define ISOLATES_EGRESS 0x2U
#define ISOLATES_UNKNOWN 0x4U /* addresses of declared prefixes */
#define RULE_FIRST 16 /* the first id that a policy rule can have */

/* ---- counters -------------------------------------------------------------
 * Plain arrays with one region per CPU, read through mmap.
 * reason_counters: [(cpu * INTERFACE_SLOTS + slot) * HOOKS + hook]
 * rule_counters:   [cpu * RULE_STRIDE + rule]
 */
#define HOOK_XDP 0
#define HOOK_TC 1
#define HOOK_PROBE 2
#define HOOKS 3
#define INTERFACE_SLOTS 32 /* slot 0: no interface that Bailey is attached to */

struct reason_counter {
	__u64 packets;
	__u64 bytes;
};

/* Two rules decide an allowed packet, so sums over rules exceed packets; on a
 * deny only the denying side counts. */
struct rule_counter {
	__u64 hits; /* flows opened, openings denied */
	__u64 packets;
	__u64 bytes;
	__u64 seen; /* tick of the last packet */
};

/* Why a packet passed or was dropped. Numbers are never reused. */
enum reason {
	REASON_NONE = 0, /* never counted: a packet that left without a reason */

	REASON_PASS_FLOW = 1,
	REASON_PASS_NEW = 2,
	REASON_PASS_ARP = 3,
	REASON_PASS_ND = 4,
	REASON_PASS_LINK_LOCAL_CONTROL = 5,
	REASON_PASS_EVALUATED = 6,
	REASON_PASS_FAILSAFE = 7,
	REASON_PASS_LLC = 8,
	REASON_PASS_RELATED = 9,
	REASON_PASS_MULTICAST_CONTROL = 10,
	REASON_PASS_DHCP = 11,
	REASON_PASS_ETHERTYPE = 12,
	REASON_PASS_WARM_UP = 13,

	REASON_DROP_POLICY = 16,
	REASON_DROP_FLOW_DENIED = 17,
	REASON_DROP_TCP_NO_FLOW = 18,
	REASON_DROP_TCP_STATE = 19,
	REASON_DROP_ICMP_NO_FLOW = 20,
	REASON_DROP_FLOW_TABLE_FULL = 21,
	REASON_DROP_FLOW_CONTENTION = 22,
	REASON_DROP_NO_POLICY = 23,
	REASON_DROP_GENERATION_MISMATCH = 24,
	REASON_DROP_MAP_ERROR = 25,
	REASON_DROP_BRIDGE_PORT = 26,
	REASON_DROP_BLOCKED = 27,
	REASON_DROP_SPOOFED = 28,
	REASON_DROP_FLOOD = 29,
	REASON_DROP_FLOOD_SOURCE = 30,
	REASON_DROP_RATE_LIMIT = 31,

	REASON_DROP_ETH_TRUNCATED = 32,
	REASON_DROP_ETHERTYPE = 33,
	REASON_DROP_IP_TRUNCATED = 34,
	REASON_DROP_IP_HEADER = 35,
	REASON_DROP_IP_LENGTH = 36,
	REASON_DROP_L4_TRUNCATED = 37,
	REASON_DROP_L4_HEADER = 38,
	REASON_DROP_MARTIAN = 39,
	REASON_DROP_ND_HOP_LIMIT = 40,
	REASON_DROP_TCP_FLAGS = 41,
	REASON_DROP_SOURCE_ROUTE = 42,
	REASON_DROP_SCTP_NO_FLOW = 43,
	/* Not dropped but answered: the frame goes back as another one. */
	REASON_CHALLENGED = 44,
	REASON_SYN_COOKIE = 45,
	REASON_CHALLENGE_ANSWER = 46, /* and ends here */

	REASON_DROP_VLAN = 48,
	REASON_DROP_FRAGMENT = 49,
	REASON_DROP_EXTENSION_HEADER = 50,
	REASON_DROP_ICMP_ERROR = 51,
	REASON_DROP_ICMP_ERROR_PAYLOAD = 52,
	REASON_DROP_FRAGMENT_TINY = 53,
	REASON_DROP_FRAGMENT_OVERLAP = 54,
	REASON_DROP_FRAGMENT_NO_FIRST = 55,
	REASON_DROP_TUNNEL_PEER = 56,
	REASON_DROP_TUNNEL_HEADER = 57,
	REASON_DROP_GROUP_MAC = 58,
	REASON_DROP_GROUP = 59,
	REASON_DROP_LINK_LOCAL = 60,
	REASON_DROP_ND_SCOPE = 61,

	REASON_MAX = 64, /* power of two, > every reason */
};

struct reason_counters {
	struct reason_counter reason[REASON_MAX];
};

/* ---- interfaces -----------------------------------------------------------
 * By the low bits of the ifindex, which only grows: slot:5 high:3 flags:8 MAC:48; 0 where
 * Bailey is not attached. The low bits of attached interfaces differ; the three bits above
 * them tell another interface from an attached one. A slot goes with a name, so that
 * counters go on when an interface comes back under another index.
 */
#define IFINDEX_MAX 65536
#define INTERFACE_SLOT_MASK 0x1fULL
#define INTERFACE_HIGH_SHIFT 5 /* the bits of the ifindex above IFINDEX_MAX */
#define INTERFACE_HIGH_MASK 0xe0ULL
#define INTERFACE_EVALUATED 0x100ULL  /* its packets are judged at XDP */
#define INTERFACE_PROMISC 0x200ULL /* Bailey made it promiscuous */
#define INTERFACE_EXTERNAL 0x400ULL /* inside addresses never come in here */
#define INTERFACE_RXVLAN 0x800ULL  /* Bailey told it not to strip VLAN tags */
#define INTERFACE_MAC_SHIFT 16 /* router: its own, in network byte order */
#define INTERFACE_UPPER 0x1000ULL  /* stands on judged ones; has no slot */
#define INTERFACE_RP_FILTER 0x2000ULL /* router: the kernel asks where a source is */
#define INTERFACE_STACK 0x4000ULL /* router: all is the stack's, there is IPsec policy */
#define INTERFACE_STACK6 0x8000ULL /* router: IPv6 is, the kernel does not forward it */

/* By slot: the name, zero-padded, and the ifindex that it was last attached under; user
 * space only. */
struct interface_name {
	__u64 word[2];
	__u64 ifindex;
	__u64 spare;
};

#define INTERNAL_MAX 16
struct internal_prefix {
	__u64 addr_be[2];
	__u64 mask_be[2];
	__u64 kind; /* KIND_IPV4 or KIND_IPV6 */
};

/* ---- failsafe -------------------------------------------------------------
 * CIDR and port pairs that pass whatever policy and the flow table say. The
 * table belongs to the entry programs and is frozen before they are attached.
 */
#define FAILSAFE_MAX 64
struct failsafe_entry {
	__u64 addr_be[2];
	__u64 mask_be[2];
	__u16 port;
	__u8 protocol;
	__u8 kind; /* KIND_IPV4 or KIND_IPV6 */
	__u8 pad[4];
};

struct failsafe {
	__u64 ports[65536 / 64]; /* a bit per port of any entry */
	struct failsafe_entry entry[FAILSAFE_MAX];
};

/* ---- probe ----------------------------------------------------------------
 * The probe program judges a packet as a new connection and puts the answer in
 * front of it; the test run hands both back: no shared memory, so two probes
 * cannot mix up their answers.
 */
#define PROBE_MAGIC 0x4241494c45590002ULL
struct probe_answer {
	__u64 magic;
	struct flow_key key;
	__u32 verdict; /* VERDICT_* */
	__u32 reason;
	__u32 egress;  /* a cell: rule and CELL_DENY */
	__u32 ingress; /* a cell */
	__u32 steps;   /* PROBE_PARSED | PROBE_EVALUATED */
	__u16 fragment_bytes; /* of a first fragment; the offset of a later one */
	__u8 fragment; /* FRAGMENT_* */
	__u8 sender_is_lower;
	__u8 may_create_flow;
	__u8 is_icmp_error;
	__u8 pad[6];
};
#define PROBE_PARSED 0x1U
#define PROBE_EVALUATED 0x2U

#define VERDICT_NONE 0
#define VERDICT_PASS 1
#define VERDICT_DROP 2
#define VERDICT_ANSWER 3

#endif
