/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The contract between the BPF programs and user space: every map value, every
 * number that both sides use, and every limit. C includes this file; Rust uses
 * bpf/src/abi.rs, which is generated from it.
 *
 * Byte order is the machine's (x86-64: little endian) unless a name ends in
 * _be. *_SHIFT and *_MASK constants describe the fields of 64-bit words. The
 * fields are not C bit fields, because the words are compared and exchanged as
 * a whole.
 */
#ifndef BAILEY_ABI_H
#define BAILEY_ABI_H

#include <linux/types.h>

/* Every change of a layout, or of the meaning of a number below, increments the
 * version. */
#define ABI_VERSION 8

/* ---- control word --------------------------------------------------------
 * One 64-bit store of the control word is the commit of a policy. A program
 * reads the word once per packet.
 *   slot:8        index into the program arrays
 *   generation:24 generation of the policy program in the slot; a program of
 *                 another generation drops the packet
 *   epoch:24      incremented by every change of policy or block tables;
 *                 0 is never current
 */
#define CONTROL_SLOT_SHIFT 0
#define CONTROL_GENERATION_SHIFT 8
#define CONTROL_EPOCH_SHIFT 32
#define CONTROL_SLOT_MASK 0xffULL
#define CONTROL_GENERATION_MASK 0xffffffULL
#define CONTROL_EPOCH_MASK 0xffffffULL
#define POLICY_SLOTS 8

/*
 * scale:32 stamp:32. Every flow timeout is multiplied by scale, in units of
 * 1/SCALE_ONE. stamp is the tick at which the sweeper set it. The sweeper
 * lowers the scale as live flows fill the table. A scale older than SCALE_TICKS
 * is ignored.
 */
#define SCALE_ONE 256
#define SCALE_MASK 0xffffffffULL
#define SCALE_STAMP_SHIFT 32
#define SCALE_TICKS 64
struct control {
	__u64 word;
	__u64 scale;
	/* User space only. build: hash of the attached entry programs, 0 while
	 * they are being replaced. namespace: their network namespace. */
	__u64 build;
	__u64 namespace;
	/* Warm-up (audit) mode ends at this tick; 0: not in warm-up mode. */
	__u64 warm_until;
	/* BLOCKS_*: block tables that have entries. Any bit keeps packets off the
	 * handover line. */
	__u64 blocks;
	/* Tick of the last new flow during a flood; 0: none yet. */
	__u64 flooded;
	/* CPUs that receive new flows, set by the daemon; 0: one. */
	__u64 receivers;
};

/* ---- time ----------------------------------------------------------------
 * Ages are counted in ticks of 2^30 ns (1.07 s) of the coarse monotonic clock,
 * which user space reads too. A tick needs a shift where a second would need a
 * division. 24 bits of ticks wrap after 208 days.
 */
#define TICK_SHIFT 30
#define TICK_MASK 0xffffffULL
#define TICK_FRACTION_SHIFT 20 /* a fraction of a tick is 2^20 ns */

/* ---- flow table -----------------------------------------------------------
 * One entry per flow, eight slots per bucket, and one tag word per bucket with
 * a one-byte fingerprint per slot, 0: free. Only an atomic operation on the tag
 * word claims or frees a slot. Every change of state is a compare-and-swap of
 * the entry's whole metadata word. Protocol: c/flow/hit.h (readers) and
 * c/flow/insert.h (writers).
 */
#define FLOW_SLOTS 8
/* Maximum number of half-open flows per bucket. */
#define FLOW_HALF_OPEN_SLOTS 6
/* An entry that user space has held this long is abandoned. */
#define FLOW_BUSY_TICKS 8

/*
 * meta: state:4 locked:1 ipv6:1 serial:3 flags:7 epoch:16 seen:24 zero:8
 * locked: one CPU revalidates the flow and is writing its new rules and
 * metadata word. Other CPUs use the rest of the word (with a stale epoch they
 * evaluate) and write nothing. BUSY and locked: user space holds the entry, and
 * seen tells since when.
 * serial: counts the flows that used the entry. A CPU that found one flow there
 * must not exchange the metadata word of the next flow, even if both words are
 * otherwise equal.
 * epoch: the low bits of the control word's epoch; 0 is never current.
 * seen: the upper half of the word. A packet that changes nothing else stores
 * these four bytes without an exchange.
 */
#define META_STATE_SHIFT 0
#define META_SERIAL_SHIFT 6
#define META_FLAGS_SHIFT 9
#define META_EPOCH_SHIFT 16
#define META_SEEN_SHIFT 32
#define META_STATE_MASK 0xfULL
#define META_LOCKED 0x10ULL
#define META_IPV6 0x20ULL
#define META_SERIAL_MASK 0x7ULL
#define META_FLAGS_MASK 0x7fULL
#define META_EPOCH_MASK 0xffffULL
#define META_SEEN_MASK 0xffffffULL

/* Flags of the metadata word. */
#define FLOW_ORIG_LOW 0x01 /* created by the lower address */
/* A packet against the original direction was seen. */
#define FLOW_REPLIED 0x02
#define FLOW_FIN_LOW 0x04  /* FIN sent by the lower address */
#define FLOW_FIN_HIGH 0x08 /* FIN sent by the higher address */
#define FLOW_INSPECT 0x10  /* reserved: steered to AF_XDP */
#define FLOW_FROM_NIC 0x20 /* created by a packet that arrived on a NIC */
/* Picked up midstream: the original direction is a guess. */
#define FLOW_MIDSTREAM 0x40

/*
 * A stamp is current if it leads the epoch by less than half of its range, so no
 * stamp may lag by as much. The sweeper replaces stamps that lag by
 * EPOCH_LAG_MAX with 0. No process raises the epoch by more than EPOCH_LEAD_MAX
 * above the one at which the last complete pass over the table began: entries
 * that the pass visited first were compared with that one.
 */
#define EPOCH_LAG_MAX (1 << 13)
#define EPOCH_LEAD_MAX (1 << 14)

/*
 * tuple: port_lo:16 port_hi:16 protocol:8 zone:24, ports in host byte order.
 * An ICMP echo flow has the identifier as the port of the requesting side and 0
 * as the port of the replying side. The zone has room for two VLAN ids. The
 * addresses tell the IP family: IPv4-mapped addresses on the wire are martian,
 * so no IPv6 flow has them.
 */
#define TUPLE_PORT_LO_SHIFT 0
#define TUPLE_PORT_HI_SHIFT 16
#define TUPLE_PROTOCOL_SHIFT 32
#define TUPLE_ZONE_SHIFT 40
#define KIND_IPV4 4
#define KIND_IPV6 6
#define V4_MAPPED_WORD 0xffff0000U /* third word of ::ffff:0:0/96, as loaded */

/* rules: egress:24 ingress:24 deny_egress:1 deny_ingress:1 opened:10 audit:1
 * spare:3. Written under BUSY or LOCKED only.
 * opened: fraction of the tick in which the flow was created, in 1/1024. It
 * orders flows that were created in one tick.
 * audit: reserved. */
#define RULES_EGRESS_SHIFT 0
#define RULES_INGRESS_SHIFT 24
#define RULES_MASK 0xffffffULL
#define RULES_DENY_EGRESS (1ULL << 48)
#define RULES_DENY_INGRESS (1ULL << 49)
#define RULES_OPENED_SHIFT 50
#define RULES_OPENED_MASK 0x3ffULL
#define RULES_AUDIT (1ULL << 60)

/* A flow key outside the table. IPv4 addresses are stored as ::ffff:a.b.c.d in
 * network byte order. */
struct flow_key {
	__u64 tuple;
	__u64 addr_lo_be[2];
	__u64 addr_hi_be[2];
};

/*
 * One cache line. The metadata word tells the family. Pairs are by sender: the
 * lower address, then the higher.
 */
struct flow_entry {
	__u64 meta;
	__u64 tuple;
	__u64 rules;
	/* TCP: approximately the last ACK number, 0: none seen. SCTP: the
	 * sender's verification tag, which packets to it carry. */
	__u32 ack[2];
	__u64 body[4]; /* struct flow_ipv4 or struct flow_ipv6 */
};

struct flow_ipv4 {
	__u32 addr_lo_be;
	__u32 addr_hi_be;
	__u32 packets[2]; /* the low bits */
	__u64 bytes[2];   /* bytes:56 packets:8, the bits beyond packets */
};
#define COUNT_BYTES_MASK 0xffffffffffffffULL
#define COUNT_CARRY_SHIFT 56

struct flow_ipv6 {
	__u64 addr_lo_be[2];
	__u64 addr_hi_be[2];
};

/* Counters of one sender of an IPv6 flow: flow_counts6[slot * 2 + sender]. */
struct flow_count {
	__u64 packets;
	__u64 bytes; /* layer 2, without FCS */
};

struct flow_bucket {
	struct flow_entry entry[FLOW_SLOTS];
};

/* A value of a map that programs address directly has at most this many bytes
 * (BPF_MAX_VAR_OFF of the verifier). A larger table is an array of buckets. */
#define DIRECT_VALUE_MAX (512 << 20)

/* Live, replied flows per source (/32, /64), on either side of the NIC: two
 * cells by two hashes. The smaller cell is an upper bound of the count. */
#define SOURCE_BITS 16

/* Flow-table events: one record per CPU, then one for the sweeper. */
enum flow_event {
	FLOW_INSERTED = 0,
	FLOW_EVICTED_EXPIRED,
	FLOW_EVICTED_CLOSED, /* closed or revoked */
	FLOW_EVICTED_HALF_OPEN,
	FLOW_EVICTED_IDLE, /* live, idle for EVICT_LIVE_AFTER */
	/* Packets of flows that stay evictable: the source exceeds its
	 * limit. */
	FLOW_SOURCE_LIMITED,
	FLOW_REFUSED_FULL,
	FLOW_REFUSED_CONTENTION,
	FLOW_SWEPT, /* expired, removed by the sweeper */
	/* Old epoch, restamped before the epoch wraps. */
	FLOW_RESTAMPED,
	/* Slot left BUSY by a process that was killed. */
	FLOW_RECOVERED,
	FLOW_FLOOD_BEGAN, /* per CPU */
	FLOW_FLOOD_ENDED,
	FLOW_CHALLENGE_PASSED, /* a client answered the challenge */
	/* Admitted because its SYN was retransmitted. */
	FLOW_SYN_RETRANSMITTED,
	FLOW_COOKIE, /* created by the answer to a SYN cookie */
	FLOW_EVENTS,
};

#define FLOW_EVENT_LINE 16
struct flow_events {
	__u64 count[FLOW_EVENT_LINE]; /* by enum flow_event */
};

/* Secret hash keys. They belong to the table: its flows cannot be found with
 * other keys. */
#define FLOW_NH_WORDS 10
struct flow_keys {
	__u32 nh[FLOW_NH_WORDS];
	__u64 mul[2]; /* odd */
	/* For hashes that clients see; no other hash uses them. */
	__u64 proof[2];
	/* Epoch at which the last complete pass over the table began; user space
	 * only. */
	__u64 pass_epoch;
	__u64 pad[5];
	__u64 abi; /* ABI_VERSION; must be the last word */
};

enum flow_state {
	/* Being written by one CPU; free if the tag of the slot is 0. */
	STATE_BUSY = 0,
	STATE_TCP_SYN_SENT,
	STATE_TCP_SYN_RECV,
	STATE_TCP_ESTABLISHED,
	STATE_TCP_FIN_WAIT,
	STATE_TCP_TIME_WAIT,
	STATE_CLOSED, /* TCP and SCTP */
	STATE_UDP_NEW,
	STATE_UDP_REPLIED,
	STATE_ICMP_NEW,
	STATE_ICMP_REPLIED,
	STATE_SCTP_NEW,
	STATE_SCTP_REPLIED,
	STATE_OTHER_NEW,
	STATE_OTHER_REPLIED,
	STATE_DENIED, /* tombstone of a flow that policy denies */
	STATE_COUNT,
};

/* ---- parsing --------------------------------------------------------------
 * The full parser reads a copy of the first bytes of a frame.
 */
#define HEADERS_MAX 512
/* Size of the buffer: a header that begins in HEADERS_MAX fits. */
#define HEADERS_SIZE 1024
#define EXTENSION_HEADERS_MAX 8

struct headers {
	__u8 bytes[HEADERS_SIZE];
};

/* Groups (multicast and broadcast addresses) that data may go to although
 * policy isolates endpoints. */
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
	__u8 any; /* any port */
};

/* Flags in own_addresses: an address of this machine, the broadcast address of
 * one of its subnets, and one of its IPv6 subnets (a /64, stored as its first
 * address). */
#define OWN_HOST 1
#define OWN_BROADCAST 2
#define OWN_SUBNET 4
/* MAC address of an interface stacked on an attached one (bridge, bond, VLAN,
 * macvlan). Stored under the address { all ones, MAC address }, which no packet
 * has. */
#define OWN_STATION 8
#define OWN_ADDRESSES 65536

/* Bloom filter with one hash before own_addresses. The bit of an address is the
 * upper OWN_FILTER_BITS of (first word ^ second word) * OWN_FILTER_MUL. */
#define OWN_FILTER_BITS 15
#define OWN_FILTER_MUL 0x9e3779b97f4a7c15ULL
struct own_address {
	__u64 addr_be[2];
};

struct own_filter {
	__u64 word[(1 << OWN_FILTER_BITS) / 64];
};

/* EtherTypes that the configuration passes unparsed. */
#define ETHERTYPES_MAX 16

#define TUNNEL_VXLAN 1
#define TUNNEL_GENEVE 2
#define TUNNELS_MAX 4
#define TUNNEL_PEERS_MAX 16
struct tunnel_peer {
	__u64 addr_be[2];
	__u64 mask_be[2];
	__u32 kind;   /* KIND_IPV4 or KIND_IPV6 */
	__u32 tunnel; /* index into TUNNEL_PORTS, from 1 */
};

/* ---- fragments ------------------------------------------------------------
 * Record of a first fragment, for the later fragments of its packet.
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
	__u32 id; /* byte order of the wire */
	/* IPv4: protocol, IPv6: 0; from FRAGMENT_HOOK_SHIFT on: hook. */
	__u32 protocol;
	__u64 zone;
};

struct fragment_record {
	__u32 seen;  /* tick */
	__u16 bytes; /* length of the first fragment */
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 may_create_flow;
	__u32 pad;
};

/* ---- emergency blocks -----------------------------------------------------
 * Times are nanoseconds of the boot clock, which continues during suspend.
 */
#define BLOCK_HOSTS 131072
#define BLOCK_PREFIXES 4096
#define BLOCKS_HOSTS 1ULL
#define BLOCKS_PREFIXES 2ULL
#define BLOCKS_TABLES (BLOCKS_HOSTS | BLOCKS_PREFIXES)
/* No block: packets take the slow path, which captures them. */
#define BLOCKS_CAPTURE 4ULL
#define BLOCK_NOTE 40

struct block_host {
	__u64 addr_be[2];
};

struct block_prefix {
	/* of 160: kind and address, so that ::/0 does not cover IPv4. */
	__u32 bits;
	__u32 kind;    /* KIND_IPV4 or KIND_IPV6 */
	__u32 addr[4]; /* network byte order, IPv4-mapped */
};

struct block {
	/* The later of own and of the blocks that cover this one. */
	__u64 until;
	__u64 own;             /* requested time */
	__u64 added;           /* seconds since the epoch of 1970 */
	__u8 note[BLOCK_NOTE]; /* reason given by the operator; zero-padded */
};

/* Maximum number of ticks between now and the end of warm-up mode. */
#define WARM_TICKS_MAX 4096

/* ---- floods ---------------------------------------------------------------
 * A token bucket is one word: the time at which the bucket is full again, in
 * nanoseconds of the coarse monotonic clock (virtual scheduling algorithm,
 * ITU-T I.371). Bit 0: the bucket ran dry and grants nothing until it is half
 * full.
 */
#define BUCKET_DRY 1ULL

/*
 * Each CPU counts the new flows per window that arrive on a NIC and that policy
 * allows. A flood begins when a CPU exceeds its share of the limit in one
 * window. A flood ends after FLOOD_CALM_WINDOWS windows below half of that
 * share.
 */
#define FLOOD_WINDOW_SHIFT 27 /* 134 ms */
#define FLOOD_CALM_WINDOWS 16
struct flood_cpu {
	__u64 window;
	__u64 opened; /* new flows in this window */
	/* The window after the last one above half of the share. */
	__u64 calm;
	__u64 flood; /* tick at which the flood began, plus 1; 0: none */
	/* Token buckets: retransmitted SYNs, and packets that cannot be
	 * challenged. */
	__u64 retried;
	__u64 unproven;
	__u64 pad[2]; /* one cache line per CPU */
};

/* During a flood a TCP client must prove its source address. */
#define PROVEN_CLIENTS 65536
#define PROVEN_TICKS 112   /* lifetime of a proof: 2 min */
#define PROOF_SLOT_SHIFT 5 /* a challenge slot is 2^5 ticks: 34 s */
/* Two slots: a challenge may be answered in its slot and in the next one. */
#define PROOF_TICKS 64
/* Log2 of the words; each has two records of challenged SYNs. */
#define SYN_RECORD_BITS 19
#define SYN_RETRY_SHIFT 24 /* unit of the next two: 2^24 ns */
/* 0.4 s: an earlier SYN is a duplicate, not a retransmission. */
#define SYN_RETRY_MIN 24
#define SYN_RETRY_MAX 960 /* 16 s */

#define PROVEN_BY_RST 8 /* flows that one answered challenge grants */
#define PROVEN_BY_COOKIE 4096

struct client {
	__u64 addr_be[2]; /* IPv6: the /64 */
};

struct proof {
	__u32 since; /* tick */
	__s32 flows; /* that the client may still create */
};

/* ---- policy tables (one generation) ---------------------------------------
 * address -> class record:        exact table for full-length addresses, behind
 *                                 a bit per slot of the direct table;
 *                                 poptrie (Asai and Ohara, SIGCOMM 2015) for
 *                                 prefixes, with ranges at its end where few
 *                                 prefixes are left
 * (protocol, port) -> port class
 * (subject, peer class) -> row:   subject -> page index -> page of 64 row ids
 * (row, port class) -> cell:      rows are consecutive; with more than 64 port
 *                                 classes: row -> page index -> page of 64
 *                                 cells, equal pages stored once
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

/*
 * host_filter: one bit per slot of the direct table, set if the exact table has
 * an address in the slot. The IPv4 words are first, the IPv6 words follow. The
 * programs do not search the exact table for an address whose bit is 0.
 */
#define HOST_FILTER_WORDS (1 << (LPM_DIRECT_BITS - 6)) /* of one family */

/* A word of the direct table or of the leaves. Without LPM_LEAF: index of a
 * node. With LPM_LEAF: a class, or one of the two forms below. */
#define LPM_LEAF 0x80000000U
#define LPM_RANGES 0x40000000U /* index of a struct lpm_ranges* */
#define LPM_ONE 0x20000000U    /* IPv4: exactly one prefix below the slot */
#define LPM_INDEX 0x1fffffffU

/* LPM_ONE: the bits of the prefix below the slot, the number of its host bits,
 * and the index of a pair of classes. */
#define ONE_BITS_MASK 0x7fff
#define ONE_HOST_SHIFT 15
#define ONE_HOST_MASK 0xf
#define ONE_PAIR_SHIFT 19
#define ONE_PAIRS 1024
struct lpm_pair {
	__u32 outside; /* class of addresses that the prefix does not cover */
	__u32 inside;
};

struct lpm_node {
	__u64 children; /* bit v: slot v has a child node */
	__u64 leaves;   /* bit v: slot v starts a new run of equal leaves */
	__u32 child_base;
	__u32 leaf_base;
};

/*
 * Few prefixes below a slot, in one cache line. The address bits below the
 * slot, as a number, lie in one of several ranges, each with a class. which:
 * two bits per range, from the lowest range on, that select one of the classes.
 */
#define RANGES4_BITS 15
#define RANGES4_WORDS 5
#define RANGES4_LAST (RANGES4_WORDS * 4)
#define RANGES4_CLASSES 4
struct lpm_ranges4 {
	/* Four of 16 bits each: ends of all ranges but the last, ascending;
	 * highest bit set. */
	__u64 last[RANGES4_WORDS];
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

#define CLASS_NODE 0x1U /* address of a node */
/* Flags above this bit: class of the next owner of the address. */
#define CLASS_ALSO_SHIFT 8
/* Owners per address; an address with more has no permission. */
#define CLASS_OWNERS_MAX 4
/* Declared prefix without an endpoint: no permission at all. */
#define CLASS_UNKNOWN 0x2U
/* Subject of such an address in both directions; has no cells. */
#define SUBJECT_UNKNOWN 0xffffffffU

struct class_record {
	__u32 egress_subject;  /* 0: not isolated for egress */
	__u32 ingress_subject; /* 0: not isolated for ingress */
	__u32 peer;
	/* 0: none; otherwise the node itself, or the node of a pod. */
	__u32 node;
	__u32 endpoint; /* 0: none */
	__u32 flags;
};

/* One chunk of 65536 port classes per protocol with ports. Class 0: no rule
 * with ports can match. */
#define PORT_TCP 0
#define PORT_UDP 1
#define PORT_SCTP 2
#define PORT_PROTOCOLS 3
struct port_chunk {
	__u16 v[65536];
};

/* Token buckets of one rule; interval 0: no limit. Index 0 is unused. */
struct rule_limit {
	__u64 interval;
	__u64 burst;
	__u64 source_interval;
	__u64 source_burst;
};

/* By rule id, across generations. */
struct limit_state {
	__u64 bucket;
	__u64 limited; /* packets that the limit kept from creating a flow */
};

/* A cell: the deciding rule, and whether it denies. */
#define CELL_DENY 0x80000000U
#define CELL_RULE_MASK 0xffffffU

/* Rule ids with the same meaning in every generation. */
#define RULE_NONE 0
#define RULE_NOT_ISOLATED 1
#define RULE_OWN_NODE 2
#define RULE_SELF 3
#define RULE_UNKNOWN_ADDRESS 4

/* Flags: directions in which a generation isolates endpoints. */
#define ISOLATES_INGRESS 0x1U
#define ISOLATES_EGRESS 0x2U
/* Addresses of declared prefixes without an endpoint. */
#define ISOLATES_UNKNOWN 0x4U
#define RULE_FIRST 16 /* first id of a policy rule */

/* ---- counters -------------------------------------------------------------
 * Arrays with one region per CPU, which user space maps.
 * reason_counters: [(cpu * INTERFACE_SLOTS + slot) * HOOKS + hook]
 * rule_counters:   [cpu * RULE_STRIDE + rule], and one region more, to which
 *                  only user space adds
 * rule_totals:     [rule]
 */
#define HOOK_XDP 0
#define HOOK_TC 1
#define HOOK_PROBE 2
#define HOOKS 3
/* Slot 0: interfaces that Bailey is not attached to. */
#define INTERFACE_SLOTS 32

struct reason_counter {
	__u64 packets;
	__u64 bytes;
};

/*
 * An allowed packet counts for two rules, so the sum over rules exceeds the
 * number of packets. A denied packet counts for the denying rule only.
 *
 * A packet of a flow counts in the flow. The numbers of a rule are
 *   packets + those of its live flows - moved_packets
 * and so for bytes, modulo 2^64. A flow that ends adds its numbers to packets
 * and bytes. So does a flow that other rules decide from now on; it then adds the
 * same numbers to moved_packets and moved_bytes of the new rules, and keeps its
 * counters. Packets without a flow count in packets and bytes at once.
 */
struct rule_counter {
	__u64 hits; /* flows created or denied */
	__u64 packets;
	__u64 bytes;
	__u64 seen; /* tick of the last packet that counted here */
	__u64 moved_packets;
	__u64 moved_bytes;
	/* Region of user space only: counted by the programs of an earlier
	 * layout. They add to packets and bytes. */
	__u64 carried_packets;
	__u64 carried_bytes;
};

/* The greatest numbers of a rule that a reader has seen. No reader sees smaller
 * ones. The element of RULE_NONE holds the end of the rule ids in use, and how
 * often counters were reset. User space only. */
struct rule_total {
	__u64 packets;
	__u64 bytes;
};

/* Why a packet passed or was dropped. Numbers are never reused. */
enum reason {
	/* Never counted: no program returns without a reason. */
	REASON_NONE = 0,

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
	/* Not dropped but answered: the frame is rewritten and sent back. */
	REASON_CHALLENGED = 44,
	REASON_SYN_COOKIE = 45,
	REASON_CHALLENGE_ANSWER = 46, /* the answer is consumed */

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

	REASON_MAX = 64, /* power of two, above every reason */
};

struct reason_counters {
	struct reason_counter reason[REASON_MAX];
};

/* ---- recorder -------------------------------------------------------------
 * One record per packet that no flow has decided, ARP and ND left out.
 * records: the rings, one after the other. A ring is a struct record_ring and its
 * records. There is a ring per CPU and class: cpu * RECORD_CLASSES + class. New
 * records overwrite the oldest. A program writes a record before it counts it in
 * written, so a reader that has copied a record knows from written whether the
 * record was overwritten meanwhile.
 */
enum record_class {
	RECORD_POLICY = 0, /* denied by policy */
	RECORD_DROP,       /* dropped for any other reason */
	RECORD_DEFENCE,    /* blocks, floods, rate limits */
	RECORD_PASS,       /* new flows, and packets that pass without one */
	RECORD_CLASSES,
};

struct record_ring {
	__u64 packets; /* of this class, recorded or not */
	__u64 written; /* records since the map was created */
	/* User space only: a packet is recorded if this has no bit in common
	 * with the number of packets before. 2^n - 1: one in 2^n. */
	__u64 sampling;
	/* Sizes of the map, written when the map is created; in the first ring. */
	__u64 cpus;
	__u64 records; /* per ring, a power of two */
	__u64 pad[3];
};

/*
 * number: low bits of written before this record.
 * segments: of a GSO or GRO frame, otherwise 1.
 * tcp_flags: SYN alone for a SYN of the handover line, whatever ECE and CWR say.
 * place: interface_slot:5 hook:2 swapped:1
 * swapped: 0: the lower half of the ports in the tuple is the source port.
 * time: bytes:24 reason:6 time:34
 * bytes: of the frame, at most 2^24 - 1.
 * time: in 2^20 ns of the coarse monotonic clock, modulo 2^34.
 * tuple and addresses: as in struct flow_key, but source before destination;
 * all zero if the frame is no IP packet or ends before.
 */
#define RECORD_HOOK_SHIFT 5
#define RECORD_SWAPPED_SHIFT 7
#define RECORD_REASON_SHIFT 24
#define RECORD_TIME_SHIFT 30
#define RECORD_TIME_MASK 0x3ffffffffULL
#define RECORD_BYTES_MAX 0xffffffU
#define RECORD_SEGMENTS_MAX 0xffffU
struct record {
	__u32 number;
	__u16 segments;
	__u8 tcp_flags;
	__u8 place;
	__u64 time;
	__u64 tuple;
	__u64 source_be[2];
	__u64 destination_be[2];
	__u32 egress; /* cell: rule and CELL_DENY */
	__u32 ingress;
};

/* ---- capture --------------------------------------------------------------
 * While BLOCKS_CAPTURE is set, a copy of each chosen frame goes to the perf ring
 * of its CPU: a struct captured, then the first bytes of the frame. The rings
 * belong to the reader and end with it. A program that finds the time limit over
 * clears the bit.
 */
struct capture {
	/* ns of the monotonic clock; the reader moves it ahead while it lives */
	__u64 until;
	__u64 reasons; /* bit per reason */
	__u64 missed;  /* frames that found the ring of their CPU full */
	__u64 snaplen; /* bytes of a frame that are copied */
	/* Source or destination lies in this prefix. */
	__u64 addr_be[2];
	__u64 mask_be[2]; /* zero: any frame, also one that is not IP */
};
/* The size of a perf event has 16 bits, and the kernel does not check it. */
#define CAPTURE_SNAPLEN_MAX 65000
#define CAPTURE_CPUS 1024

/* record.number: the class. The reason may be one that the recorder omits. */
struct captured {
	struct record record;
	__u64 time; /* ns of the monotonic clock */
	__u32 bytes;  /* that follow */
	__u32 length; /* of the frame */
	/* Egress: the VLAN tag that the frame will get. */
	__u16 vlan_protocol_be; /* 0: none */
	__u16 vlan_tci;
	__u32 pad;
};

/* ---- interfaces -----------------------------------------------------------
 * Index: the low bits of the ifindex. Word: slot:5 high:3 flags:8 MAC:48,
 * 0: not attached. The low bits of all attached interfaces differ; the three
 * bits above them tell an attached interface from others. A slot belongs to an
 * interface name, so that the counters continue when an interface returns with
 * another ifindex.
 */
#define IFINDEX_MAX 65536
#define INTERFACE_SLOT_MASK 0x1fULL
#define INTERFACE_HIGH_SHIFT 5 /* the bits of the ifindex above IFINDEX_MAX */
#define INTERFACE_HIGH_MASK 0xe0ULL
#define INTERFACE_EVALUATED 0x100ULL /* XDP evaluates its packets */
#define INTERFACE_PROMISC 0x200ULL   /* Bailey enabled promiscuous mode */
#define INTERFACE_EXTERNAL 0x400ULL  /* internal addresses are spoofed here */
#define INTERFACE_RXVLAN 0x800ULL    /* Bailey disabled VLAN RX offload */
#define INTERFACE_MAC_SHIFT 16 /* router: MAC address, in network byte order */
/* Stacked on evaluated interfaces; has no slot. */
#define INTERFACE_UPPER 0x1000ULL
/* Router: the kernel checks the reverse path. */
#define INTERFACE_RP_FILTER 0x2000ULL
/* router: IPsec policies exist, the kernel forwards everything. */
#define INTERFACE_STACK 0x4000ULL
/* router: IPv6 forwarding is off, the kernel gets all IPv6. */
#define INTERFACE_STACK6 0x8000ULL

/* By slot: interface name, zero-padded, and the ifindex of the last attachment;
 * user space only. */
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
 * CIDR and port pairs that pass regardless of policy and flow table. The table
 * belongs to the entry programs and is frozen before they are attached.
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
	__u64 ports[65536 / 64]; /* one bit per port of any entry */
	struct failsafe_entry entry[FAILSAFE_MAX];
};

/* ---- probe ----------------------------------------------------------------
 * The probe evaluates a packet as the first of a new flow. It returns the
 * answer in front of the packet, not through a map, so that two concurrent
 * probes cannot mix up their answers.
 */
#define PROBE_MAGIC 0x4241494c45590002ULL
struct probe_answer {
	__u64 magic;
	struct flow_key key;
	__u32 verdict; /* VERDICT_* */
	__u32 reason;
	__u32 egress;  /* cell: rule and CELL_DENY */
	__u32 ingress; /* cell */
	__u32 steps;   /* PROBE_PARSED | PROBE_EVALUATED */
	/* First fragment: length; later fragment: offset. */
	__u16 fragment_bytes;
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
