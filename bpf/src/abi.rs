//! Generated from `abi.h` by `make abi`; do not edit.
#![allow(clippy::all, clippy::use_self, non_camel_case_types)]

pub const ABI_VERSION: u32 = 8;
pub const CONTROL_SLOT_SHIFT: u32 = 0;
pub const CONTROL_GENERATION_SHIFT: u32 = 8;
pub const CONTROL_EPOCH_SHIFT: u32 = 32;
pub const CONTROL_SLOT_MASK: u32 = 255;
pub const CONTROL_GENERATION_MASK: u32 = 16777215;
pub const CONTROL_EPOCH_MASK: u32 = 16777215;
pub const POLICY_SLOTS: u32 = 8;
pub const SCALE_ONE: u32 = 256;
pub const SCALE_MASK: u32 = 4294967295;
pub const SCALE_STAMP_SHIFT: u32 = 32;
pub const SCALE_TICKS: u32 = 64;
pub const TICK_SHIFT: u32 = 30;
pub const TICK_MASK: u32 = 16777215;
pub const TICK_FRACTION_SHIFT: u32 = 20;
pub const FLOW_SLOTS: u32 = 8;
pub const FLOW_HALF_OPEN_SLOTS: u32 = 6;
pub const FLOW_BUSY_TICKS: u32 = 8;
pub const META_STATE_SHIFT: u32 = 0;
pub const META_SERIAL_SHIFT: u32 = 6;
pub const META_FLAGS_SHIFT: u32 = 9;
pub const META_EPOCH_SHIFT: u32 = 16;
pub const META_SEEN_SHIFT: u32 = 32;
pub const META_STATE_MASK: u32 = 15;
pub const META_LOCKED: u32 = 16;
pub const META_IPV6: u32 = 32;
pub const META_SERIAL_MASK: u32 = 7;
pub const META_FLAGS_MASK: u32 = 127;
pub const META_EPOCH_MASK: u32 = 65535;
pub const META_SEEN_MASK: u32 = 16777215;
pub const FLOW_ORIG_LOW: u32 = 1;
pub const FLOW_REPLIED: u32 = 2;
pub const FLOW_FIN_LOW: u32 = 4;
pub const FLOW_FIN_HIGH: u32 = 8;
pub const FLOW_INSPECT: u32 = 16;
pub const FLOW_FROM_NIC: u32 = 32;
pub const FLOW_MIDSTREAM: u32 = 64;
pub const EPOCH_LAG_MAX: u32 = 8192;
pub const EPOCH_LEAD_MAX: u32 = 16384;
pub const TUPLE_PORT_LO_SHIFT: u32 = 0;
pub const TUPLE_PORT_HI_SHIFT: u32 = 16;
pub const TUPLE_PROTOCOL_SHIFT: u32 = 32;
pub const TUPLE_ZONE_SHIFT: u32 = 40;
pub const KIND_IPV4: u32 = 4;
pub const KIND_IPV6: u32 = 6;
pub const V4_MAPPED_WORD: u32 = 4294901760;
pub const RULES_EGRESS_SHIFT: u32 = 0;
pub const RULES_INGRESS_SHIFT: u32 = 24;
pub const RULES_MASK: u32 = 16777215;
pub const RULES_DENY_EGRESS: u64 = 281474976710656;
pub const RULES_DENY_INGRESS: u64 = 562949953421312;
pub const RULES_OPENED_SHIFT: u32 = 50;
pub const RULES_OPENED_MASK: u32 = 1023;
pub const RULES_AUDIT: u64 = 1152921504606846976;
pub const COUNT_BYTES_MASK: u64 = 72057594037927935;
pub const COUNT_CARRY_SHIFT: u32 = 56;
pub const DIRECT_VALUE_MAX: u32 = 536870912;
pub const SOURCE_BITS: u32 = 16;
pub const FLOW_EVENT_LINE: u32 = 16;
pub const FLOW_NH_WORDS: u32 = 10;
pub const HEADERS_MAX: u32 = 512;
pub const HEADERS_SIZE: u32 = 1024;
pub const EXTENSION_HEADERS_MAX: u32 = 8;
pub const GROUPS_MAX: u32 = 16;
pub const LINK_SERVICES_MAX: u32 = 16;
pub const OWN_HOST: u32 = 1;
pub const OWN_BROADCAST: u32 = 2;
pub const OWN_SUBNET: u32 = 4;
pub const OWN_STATION: u32 = 8;
pub const OWN_ADDRESSES: u32 = 65536;
pub const OWN_FILTER_BITS: u32 = 15;
pub const OWN_FILTER_MUL: i64 = -7046029254386353131;
pub const ETHERTYPES_MAX: u32 = 16;
pub const TUNNEL_VXLAN: u32 = 1;
pub const TUNNEL_GENEVE: u32 = 2;
pub const TUNNELS_MAX: u32 = 4;
pub const TUNNEL_PEERS_MAX: u32 = 16;
pub const FRAGMENT_RECORDS: u32 = 16384;
pub const FRAGMENT_TICKS: u32 = 28;
pub const FRAGMENT_NONE: u32 = 0;
pub const FRAGMENT_FIRST: u32 = 1;
pub const FRAGMENT_LATER: u32 = 2;
pub const FRAGMENT_HOOK_SHIFT: u32 = 8;
pub const BLOCK_HOSTS: u32 = 131072;
pub const BLOCK_PREFIXES: u32 = 4096;
pub const BLOCKS_HOSTS: u32 = 1;
pub const BLOCKS_PREFIXES: u32 = 2;
pub const BLOCKS_TABLES: u32 = 3;
pub const BLOCKS_CAPTURE: u32 = 4;
pub const BLOCK_NOTE: u32 = 40;
pub const WARM_TICKS_MAX: u32 = 4096;
pub const BUCKET_DRY: u32 = 1;
pub const FLOOD_WINDOW_SHIFT: u32 = 27;
pub const FLOOD_CALM_WINDOWS: u32 = 16;
pub const PROVEN_CLIENTS: u32 = 65536;
pub const PROVEN_TICKS: u32 = 112;
pub const PROOF_SLOT_SHIFT: u32 = 5;
pub const PROOF_TICKS: u32 = 64;
pub const SYN_RECORD_BITS: u32 = 19;
pub const SYN_RETRY_SHIFT: u32 = 24;
pub const SYN_RETRY_MIN: u32 = 24;
pub const SYN_RETRY_MAX: u32 = 960;
pub const PROVEN_BY_RST: u32 = 8;
pub const PROVEN_BY_COOKIE: u32 = 4096;
pub const HOST_SLOTS: u32 = 8;
pub const HOST_NH_WORDS: u32 = 4;
pub const LPM_DIRECT_BITS: u32 = 17;
pub const LPM_STRIDE: u32 = 6;
pub const LPM_LEVELS_V4: u32 = 3;
pub const LPM_LEVELS_V6: u32 = 19;
pub const HOST_FILTER_WORDS: u32 = 2048;
pub const LPM_LEAF: u32 = 2147483648;
pub const LPM_RANGES: u32 = 1073741824;
pub const LPM_ONE: u32 = 536870912;
pub const LPM_INDEX: u32 = 536870911;
pub const ONE_BITS_MASK: u32 = 32767;
pub const ONE_HOST_SHIFT: u32 = 15;
pub const ONE_HOST_MASK: u32 = 15;
pub const ONE_PAIR_SHIFT: u32 = 19;
pub const ONE_PAIRS: u32 = 1024;
pub const RANGES4_BITS: u32 = 15;
pub const RANGES4_WORDS: u32 = 5;
pub const RANGES4_LAST: u32 = 20;
pub const RANGES4_CLASSES: u32 = 4;
pub const RANGES6_BITS: u32 = 63;
pub const RANGES6_LAST: u32 = 6;
pub const RANGES6_CLASSES: u32 = 3;
pub const U32_CHUNK: u32 = 16;
pub const PAGE_CELLS: u32 = 64;
pub const CLASS_NODE: u32 = 1;
pub const CLASS_ALSO_SHIFT: u32 = 8;
pub const CLASS_OWNERS_MAX: u32 = 4;
pub const CLASS_UNKNOWN: u32 = 2;
pub const SUBJECT_UNKNOWN: u32 = 4294967295;
pub const PORT_TCP: u32 = 0;
pub const PORT_UDP: u32 = 1;
pub const PORT_SCTP: u32 = 2;
pub const PORT_PROTOCOLS: u32 = 3;
pub const CELL_DENY: u32 = 2147483648;
pub const CELL_RULE_MASK: u32 = 16777215;
pub const RULE_NONE: u32 = 0;
pub const RULE_NOT_ISOLATED: u32 = 1;
pub const RULE_OWN_NODE: u32 = 2;
pub const RULE_SELF: u32 = 3;
pub const RULE_UNKNOWN_ADDRESS: u32 = 4;
pub const ISOLATES_INGRESS: u32 = 1;
pub const ISOLATES_EGRESS: u32 = 2;
pub const ISOLATES_UNKNOWN: u32 = 4;
pub const RULE_FIRST: u32 = 16;
pub const HOOK_XDP: u32 = 0;
pub const HOOK_TC: u32 = 1;
pub const HOOK_PROBE: u32 = 2;
pub const HOOKS: u32 = 3;
pub const INTERFACE_SLOTS: u32 = 32;
pub const RECORD_HOOK_SHIFT: u32 = 5;
pub const RECORD_SWAPPED_SHIFT: u32 = 7;
pub const RECORD_REASON_SHIFT: u32 = 24;
pub const RECORD_TIME_SHIFT: u32 = 30;
pub const RECORD_TIME_MASK: u64 = 17179869183;
pub const RECORD_BYTES_MAX: u32 = 16777215;
pub const RECORD_SEGMENTS_MAX: u32 = 65535;
pub const CAPTURE_SNAPLEN_MAX: u32 = 65000;
pub const CAPTURE_CPUS: u32 = 1024;
pub const IFINDEX_MAX: u32 = 65536;
pub const INTERFACE_SLOT_MASK: u32 = 31;
pub const INTERFACE_HIGH_SHIFT: u32 = 5;
pub const INTERFACE_HIGH_MASK: u32 = 224;
pub const INTERFACE_EVALUATED: u32 = 256;
pub const INTERFACE_PROMISC: u32 = 512;
pub const INTERFACE_EXTERNAL: u32 = 1024;
pub const INTERFACE_RXVLAN: u32 = 2048;
pub const INTERFACE_MAC_SHIFT: u32 = 16;
pub const INTERFACE_UPPER: u32 = 4096;
pub const INTERFACE_RP_FILTER: u32 = 8192;
pub const INTERFACE_STACK: u32 = 16384;
pub const INTERFACE_STACK6: u32 = 32768;
pub const INTERNAL_MAX: u32 = 16;
pub const FAILSAFE_MAX: u32 = 64;
pub const PROBE_MAGIC: u64 = 4774177671919239170;
pub const PROBE_PARSED: u32 = 1;
pub const PROBE_EVALUATED: u32 = 2;
pub const VERDICT_NONE: u32 = 0;
pub const VERDICT_PASS: u32 = 1;
pub const VERDICT_DROP: u32 = 2;
pub const VERDICT_ANSWER: u32 = 3;
pub type __u8 = ::core::ffi::c_uchar;
pub type __u16 = ::core::ffi::c_ushort;
pub type __s32 = ::core::ffi::c_int;
pub type __u32 = ::core::ffi::c_uint;
pub type __u64 = ::core::ffi::c_ulonglong;
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct control {
    pub word: __u64,
    pub scale: __u64,
    pub build: __u64,
    pub namespace: __u64,
    pub warm_until: __u64,
    pub blocks: __u64,
    pub flooded: __u64,
    pub receivers: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of control"][::core::mem::size_of::<control>() - 64usize];
    ["Alignment of control"][::core::mem::align_of::<control>() - 8usize];
    ["Offset of field: control::word"][::core::mem::offset_of!(control, word) - 0usize];
    ["Offset of field: control::scale"][::core::mem::offset_of!(control, scale) - 8usize];
    ["Offset of field: control::build"][::core::mem::offset_of!(control, build) - 16usize];
    ["Offset of field: control::namespace"][::core::mem::offset_of!(control, namespace) - 24usize];
    ["Offset of field: control::warm_until"]
        [::core::mem::offset_of!(control, warm_until) - 32usize];
    ["Offset of field: control::blocks"][::core::mem::offset_of!(control, blocks) - 40usize];
    ["Offset of field: control::flooded"][::core::mem::offset_of!(control, flooded) - 48usize];
    ["Offset of field: control::receivers"][::core::mem::offset_of!(control, receivers) - 56usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flow_key {
    pub tuple: __u64,
    pub addr_lo_be: [__u64; 2usize],
    pub addr_hi_be: [__u64; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flow_key"][::core::mem::size_of::<flow_key>() - 40usize];
    ["Alignment of flow_key"][::core::mem::align_of::<flow_key>() - 8usize];
    ["Offset of field: flow_key::tuple"][::core::mem::offset_of!(flow_key, tuple) - 0usize];
    ["Offset of field: flow_key::addr_lo_be"]
        [::core::mem::offset_of!(flow_key, addr_lo_be) - 8usize];
    ["Offset of field: flow_key::addr_hi_be"]
        [::core::mem::offset_of!(flow_key, addr_hi_be) - 24usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flow_entry {
    pub meta: __u64,
    pub tuple: __u64,
    pub rules: __u64,
    pub ack: [__u32; 2usize],
    pub body: [__u64; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flow_entry"][::core::mem::size_of::<flow_entry>() - 64usize];
    ["Alignment of flow_entry"][::core::mem::align_of::<flow_entry>() - 8usize];
    ["Offset of field: flow_entry::meta"][::core::mem::offset_of!(flow_entry, meta) - 0usize];
    ["Offset of field: flow_entry::tuple"][::core::mem::offset_of!(flow_entry, tuple) - 8usize];
    ["Offset of field: flow_entry::rules"][::core::mem::offset_of!(flow_entry, rules) - 16usize];
    ["Offset of field: flow_entry::ack"][::core::mem::offset_of!(flow_entry, ack) - 24usize];
    ["Offset of field: flow_entry::body"][::core::mem::offset_of!(flow_entry, body) - 32usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flow_ipv4 {
    pub addr_lo_be: __u32,
    pub addr_hi_be: __u32,
    pub packets: [__u32; 2usize],
    pub bytes: [__u64; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flow_ipv4"][::core::mem::size_of::<flow_ipv4>() - 32usize];
    ["Alignment of flow_ipv4"][::core::mem::align_of::<flow_ipv4>() - 8usize];
    ["Offset of field: flow_ipv4::addr_lo_be"]
        [::core::mem::offset_of!(flow_ipv4, addr_lo_be) - 0usize];
    ["Offset of field: flow_ipv4::addr_hi_be"]
        [::core::mem::offset_of!(flow_ipv4, addr_hi_be) - 4usize];
    ["Offset of field: flow_ipv4::packets"][::core::mem::offset_of!(flow_ipv4, packets) - 8usize];
    ["Offset of field: flow_ipv4::bytes"][::core::mem::offset_of!(flow_ipv4, bytes) - 16usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flow_ipv6 {
    pub addr_lo_be: [__u64; 2usize],
    pub addr_hi_be: [__u64; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flow_ipv6"][::core::mem::size_of::<flow_ipv6>() - 32usize];
    ["Alignment of flow_ipv6"][::core::mem::align_of::<flow_ipv6>() - 8usize];
    ["Offset of field: flow_ipv6::addr_lo_be"]
        [::core::mem::offset_of!(flow_ipv6, addr_lo_be) - 0usize];
    ["Offset of field: flow_ipv6::addr_hi_be"]
        [::core::mem::offset_of!(flow_ipv6, addr_hi_be) - 16usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flow_count {
    pub packets: __u64,
    pub bytes: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flow_count"][::core::mem::size_of::<flow_count>() - 16usize];
    ["Alignment of flow_count"][::core::mem::align_of::<flow_count>() - 8usize];
    ["Offset of field: flow_count::packets"][::core::mem::offset_of!(flow_count, packets) - 0usize];
    ["Offset of field: flow_count::bytes"][::core::mem::offset_of!(flow_count, bytes) - 8usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flow_bucket {
    pub entry: [flow_entry; 8usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flow_bucket"][::core::mem::size_of::<flow_bucket>() - 512usize];
    ["Alignment of flow_bucket"][::core::mem::align_of::<flow_bucket>() - 8usize];
    ["Offset of field: flow_bucket::entry"][::core::mem::offset_of!(flow_bucket, entry) - 0usize];
};
pub const FLOW_INSERTED: flow_event = 0;
pub const FLOW_EVICTED_EXPIRED: flow_event = 1;
pub const FLOW_EVICTED_CLOSED: flow_event = 2;
pub const FLOW_EVICTED_HALF_OPEN: flow_event = 3;
pub const FLOW_EVICTED_IDLE: flow_event = 4;
pub const FLOW_SOURCE_LIMITED: flow_event = 5;
pub const FLOW_REFUSED_FULL: flow_event = 6;
pub const FLOW_REFUSED_CONTENTION: flow_event = 7;
pub const FLOW_SWEPT: flow_event = 8;
pub const FLOW_RESTAMPED: flow_event = 9;
pub const FLOW_RECOVERED: flow_event = 10;
pub const FLOW_FLOOD_BEGAN: flow_event = 11;
pub const FLOW_FLOOD_ENDED: flow_event = 12;
pub const FLOW_CHALLENGE_PASSED: flow_event = 13;
pub const FLOW_SYN_RETRANSMITTED: flow_event = 14;
pub const FLOW_COOKIE: flow_event = 15;
pub const FLOW_EVENTS: flow_event = 16;
pub type flow_event = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flow_events {
    pub count: [__u64; 16usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flow_events"][::core::mem::size_of::<flow_events>() - 128usize];
    ["Alignment of flow_events"][::core::mem::align_of::<flow_events>() - 8usize];
    ["Offset of field: flow_events::count"][::core::mem::offset_of!(flow_events, count) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flow_keys {
    pub nh: [__u32; 10usize],
    pub mul: [__u64; 2usize],
    pub proof: [__u64; 2usize],
    pub pass_epoch: __u64,
    pub pad: [__u64; 5usize],
    pub abi: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flow_keys"][::core::mem::size_of::<flow_keys>() - 128usize];
    ["Alignment of flow_keys"][::core::mem::align_of::<flow_keys>() - 8usize];
    ["Offset of field: flow_keys::nh"][::core::mem::offset_of!(flow_keys, nh) - 0usize];
    ["Offset of field: flow_keys::mul"][::core::mem::offset_of!(flow_keys, mul) - 40usize];
    ["Offset of field: flow_keys::proof"][::core::mem::offset_of!(flow_keys, proof) - 56usize];
    ["Offset of field: flow_keys::pass_epoch"]
        [::core::mem::offset_of!(flow_keys, pass_epoch) - 72usize];
    ["Offset of field: flow_keys::pad"][::core::mem::offset_of!(flow_keys, pad) - 80usize];
    ["Offset of field: flow_keys::abi"][::core::mem::offset_of!(flow_keys, abi) - 120usize];
};
pub const STATE_BUSY: flow_state = 0;
pub const STATE_TCP_SYN_SENT: flow_state = 1;
pub const STATE_TCP_SYN_RECV: flow_state = 2;
pub const STATE_TCP_ESTABLISHED: flow_state = 3;
pub const STATE_TCP_FIN_WAIT: flow_state = 4;
pub const STATE_TCP_TIME_WAIT: flow_state = 5;
pub const STATE_CLOSED: flow_state = 6;
pub const STATE_UDP_NEW: flow_state = 7;
pub const STATE_UDP_REPLIED: flow_state = 8;
pub const STATE_ICMP_NEW: flow_state = 9;
pub const STATE_ICMP_REPLIED: flow_state = 10;
pub const STATE_SCTP_NEW: flow_state = 11;
pub const STATE_SCTP_REPLIED: flow_state = 12;
pub const STATE_OTHER_NEW: flow_state = 13;
pub const STATE_OTHER_REPLIED: flow_state = 14;
pub const STATE_DENIED: flow_state = 15;
pub const STATE_COUNT: flow_state = 16;
pub type flow_state = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct headers {
    pub bytes: [__u8; 1024usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of headers"][::core::mem::size_of::<headers>() - 1024usize];
    ["Alignment of headers"][::core::mem::align_of::<headers>() - 1usize];
    ["Offset of field: headers::bytes"][::core::mem::offset_of!(headers, bytes) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct group_prefix {
    pub addr_be: [__u64; 2usize],
    pub mask_be: [__u64; 2usize],
    pub kind: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of group_prefix"][::core::mem::size_of::<group_prefix>() - 40usize];
    ["Alignment of group_prefix"][::core::mem::align_of::<group_prefix>() - 8usize];
    ["Offset of field: group_prefix::addr_be"]
        [::core::mem::offset_of!(group_prefix, addr_be) - 0usize];
    ["Offset of field: group_prefix::mask_be"]
        [::core::mem::offset_of!(group_prefix, mask_be) - 16usize];
    ["Offset of field: group_prefix::kind"][::core::mem::offset_of!(group_prefix, kind) - 32usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct link_service {
    pub port: __u16,
    pub protocol: __u8,
    pub any: __u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of link_service"][::core::mem::size_of::<link_service>() - 4usize];
    ["Alignment of link_service"][::core::mem::align_of::<link_service>() - 2usize];
    ["Offset of field: link_service::port"][::core::mem::offset_of!(link_service, port) - 0usize];
    ["Offset of field: link_service::protocol"]
        [::core::mem::offset_of!(link_service, protocol) - 2usize];
    ["Offset of field: link_service::any"][::core::mem::offset_of!(link_service, any) - 3usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct own_address {
    pub addr_be: [__u64; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of own_address"][::core::mem::size_of::<own_address>() - 16usize];
    ["Alignment of own_address"][::core::mem::align_of::<own_address>() - 8usize];
    ["Offset of field: own_address::addr_be"]
        [::core::mem::offset_of!(own_address, addr_be) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct own_filter {
    pub word: [__u64; 512usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of own_filter"][::core::mem::size_of::<own_filter>() - 4096usize];
    ["Alignment of own_filter"][::core::mem::align_of::<own_filter>() - 8usize];
    ["Offset of field: own_filter::word"][::core::mem::offset_of!(own_filter, word) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct tunnel_peer {
    pub addr_be: [__u64; 2usize],
    pub mask_be: [__u64; 2usize],
    pub kind: __u32,
    pub tunnel: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of tunnel_peer"][::core::mem::size_of::<tunnel_peer>() - 40usize];
    ["Alignment of tunnel_peer"][::core::mem::align_of::<tunnel_peer>() - 8usize];
    ["Offset of field: tunnel_peer::addr_be"]
        [::core::mem::offset_of!(tunnel_peer, addr_be) - 0usize];
    ["Offset of field: tunnel_peer::mask_be"]
        [::core::mem::offset_of!(tunnel_peer, mask_be) - 16usize];
    ["Offset of field: tunnel_peer::kind"][::core::mem::offset_of!(tunnel_peer, kind) - 32usize];
    ["Offset of field: tunnel_peer::tunnel"]
        [::core::mem::offset_of!(tunnel_peer, tunnel) - 36usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct fragment_key {
    pub source_be: [__u64; 2usize],
    pub destination_be: [__u64; 2usize],
    pub id: __u32,
    pub protocol: __u32,
    pub zone: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of fragment_key"][::core::mem::size_of::<fragment_key>() - 48usize];
    ["Alignment of fragment_key"][::core::mem::align_of::<fragment_key>() - 8usize];
    ["Offset of field: fragment_key::source_be"]
        [::core::mem::offset_of!(fragment_key, source_be) - 0usize];
    ["Offset of field: fragment_key::destination_be"]
        [::core::mem::offset_of!(fragment_key, destination_be) - 16usize];
    ["Offset of field: fragment_key::id"][::core::mem::offset_of!(fragment_key, id) - 32usize];
    ["Offset of field: fragment_key::protocol"]
        [::core::mem::offset_of!(fragment_key, protocol) - 36usize];
    ["Offset of field: fragment_key::zone"][::core::mem::offset_of!(fragment_key, zone) - 40usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct fragment_record {
    pub seen: __u32,
    pub bytes: __u16,
    pub source_port: __u16,
    pub destination_port: __u16,
    pub protocol: __u8,
    pub may_create_flow: __u8,
    pub pad: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of fragment_record"][::core::mem::size_of::<fragment_record>() - 16usize];
    ["Alignment of fragment_record"][::core::mem::align_of::<fragment_record>() - 4usize];
    ["Offset of field: fragment_record::seen"]
        [::core::mem::offset_of!(fragment_record, seen) - 0usize];
    ["Offset of field: fragment_record::bytes"]
        [::core::mem::offset_of!(fragment_record, bytes) - 4usize];
    ["Offset of field: fragment_record::source_port"]
        [::core::mem::offset_of!(fragment_record, source_port) - 6usize];
    ["Offset of field: fragment_record::destination_port"]
        [::core::mem::offset_of!(fragment_record, destination_port) - 8usize];
    ["Offset of field: fragment_record::protocol"]
        [::core::mem::offset_of!(fragment_record, protocol) - 10usize];
    ["Offset of field: fragment_record::may_create_flow"]
        [::core::mem::offset_of!(fragment_record, may_create_flow) - 11usize];
    ["Offset of field: fragment_record::pad"]
        [::core::mem::offset_of!(fragment_record, pad) - 12usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct block_host {
    pub addr_be: [__u64; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of block_host"][::core::mem::size_of::<block_host>() - 16usize];
    ["Alignment of block_host"][::core::mem::align_of::<block_host>() - 8usize];
    ["Offset of field: block_host::addr_be"][::core::mem::offset_of!(block_host, addr_be) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct block_prefix {
    pub bits: __u32,
    pub kind: __u32,
    pub addr: [__u32; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of block_prefix"][::core::mem::size_of::<block_prefix>() - 24usize];
    ["Alignment of block_prefix"][::core::mem::align_of::<block_prefix>() - 4usize];
    ["Offset of field: block_prefix::bits"][::core::mem::offset_of!(block_prefix, bits) - 0usize];
    ["Offset of field: block_prefix::kind"][::core::mem::offset_of!(block_prefix, kind) - 4usize];
    ["Offset of field: block_prefix::addr"][::core::mem::offset_of!(block_prefix, addr) - 8usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct block {
    pub until: __u64,
    pub own: __u64,
    pub added: __u64,
    pub note: [__u8; 40usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of block"][::core::mem::size_of::<block>() - 64usize];
    ["Alignment of block"][::core::mem::align_of::<block>() - 8usize];
    ["Offset of field: block::until"][::core::mem::offset_of!(block, until) - 0usize];
    ["Offset of field: block::own"][::core::mem::offset_of!(block, own) - 8usize];
    ["Offset of field: block::added"][::core::mem::offset_of!(block, added) - 16usize];
    ["Offset of field: block::note"][::core::mem::offset_of!(block, note) - 24usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct flood_cpu {
    pub window: __u64,
    pub opened: __u64,
    pub calm: __u64,
    pub flood: __u64,
    pub retried: __u64,
    pub unproven: __u64,
    pub pad: [__u64; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flood_cpu"][::core::mem::size_of::<flood_cpu>() - 64usize];
    ["Alignment of flood_cpu"][::core::mem::align_of::<flood_cpu>() - 8usize];
    ["Offset of field: flood_cpu::window"][::core::mem::offset_of!(flood_cpu, window) - 0usize];
    ["Offset of field: flood_cpu::opened"][::core::mem::offset_of!(flood_cpu, opened) - 8usize];
    ["Offset of field: flood_cpu::calm"][::core::mem::offset_of!(flood_cpu, calm) - 16usize];
    ["Offset of field: flood_cpu::flood"][::core::mem::offset_of!(flood_cpu, flood) - 24usize];
    ["Offset of field: flood_cpu::retried"][::core::mem::offset_of!(flood_cpu, retried) - 32usize];
    ["Offset of field: flood_cpu::unproven"]
        [::core::mem::offset_of!(flood_cpu, unproven) - 40usize];
    ["Offset of field: flood_cpu::pad"][::core::mem::offset_of!(flood_cpu, pad) - 48usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct client {
    pub addr_be: [__u64; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of client"][::core::mem::size_of::<client>() - 16usize];
    ["Alignment of client"][::core::mem::align_of::<client>() - 8usize];
    ["Offset of field: client::addr_be"][::core::mem::offset_of!(client, addr_be) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct proof {
    pub since: __u32,
    pub flows: __s32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of proof"][::core::mem::size_of::<proof>() - 8usize];
    ["Alignment of proof"][::core::mem::align_of::<proof>() - 4usize];
    ["Offset of field: proof::since"][::core::mem::offset_of!(proof, since) - 0usize];
    ["Offset of field: proof::flows"][::core::mem::offset_of!(proof, flows) - 4usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct host_entry {
    pub addr_be: [__u64; 2usize],
    pub class_id: __u32,
    pub pad: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of host_entry"][::core::mem::size_of::<host_entry>() - 24usize];
    ["Alignment of host_entry"][::core::mem::align_of::<host_entry>() - 8usize];
    ["Offset of field: host_entry::addr_be"][::core::mem::offset_of!(host_entry, addr_be) - 0usize];
    ["Offset of field: host_entry::class_id"]
        [::core::mem::offset_of!(host_entry, class_id) - 16usize];
    ["Offset of field: host_entry::pad"][::core::mem::offset_of!(host_entry, pad) - 20usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct host_bucket {
    pub entry: [host_entry; 8usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of host_bucket"][::core::mem::size_of::<host_bucket>() - 192usize];
    ["Alignment of host_bucket"][::core::mem::align_of::<host_bucket>() - 8usize];
    ["Offset of field: host_bucket::entry"][::core::mem::offset_of!(host_bucket, entry) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct lpm_pair {
    pub outside: __u32,
    pub inside: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of lpm_pair"][::core::mem::size_of::<lpm_pair>() - 8usize];
    ["Alignment of lpm_pair"][::core::mem::align_of::<lpm_pair>() - 4usize];
    ["Offset of field: lpm_pair::outside"][::core::mem::offset_of!(lpm_pair, outside) - 0usize];
    ["Offset of field: lpm_pair::inside"][::core::mem::offset_of!(lpm_pair, inside) - 4usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct lpm_node {
    pub children: __u64,
    pub leaves: __u64,
    pub child_base: __u32,
    pub leaf_base: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of lpm_node"][::core::mem::size_of::<lpm_node>() - 24usize];
    ["Alignment of lpm_node"][::core::mem::align_of::<lpm_node>() - 8usize];
    ["Offset of field: lpm_node::children"][::core::mem::offset_of!(lpm_node, children) - 0usize];
    ["Offset of field: lpm_node::leaves"][::core::mem::offset_of!(lpm_node, leaves) - 8usize];
    ["Offset of field: lpm_node::child_base"]
        [::core::mem::offset_of!(lpm_node, child_base) - 16usize];
    ["Offset of field: lpm_node::leaf_base"]
        [::core::mem::offset_of!(lpm_node, leaf_base) - 20usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct lpm_ranges4 {
    pub last: [__u64; 5usize],
    pub which: __u64,
    pub classes: [__u32; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of lpm_ranges4"][::core::mem::size_of::<lpm_ranges4>() - 64usize];
    ["Alignment of lpm_ranges4"][::core::mem::align_of::<lpm_ranges4>() - 8usize];
    ["Offset of field: lpm_ranges4::last"][::core::mem::offset_of!(lpm_ranges4, last) - 0usize];
    ["Offset of field: lpm_ranges4::which"][::core::mem::offset_of!(lpm_ranges4, which) - 40usize];
    ["Offset of field: lpm_ranges4::classes"]
        [::core::mem::offset_of!(lpm_ranges4, classes) - 48usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct lpm_ranges6 {
    pub last: [__u64; 6usize],
    pub which: __u32,
    pub classes: [__u32; 3usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of lpm_ranges6"][::core::mem::size_of::<lpm_ranges6>() - 64usize];
    ["Alignment of lpm_ranges6"][::core::mem::align_of::<lpm_ranges6>() - 8usize];
    ["Offset of field: lpm_ranges6::last"][::core::mem::offset_of!(lpm_ranges6, last) - 0usize];
    ["Offset of field: lpm_ranges6::which"][::core::mem::offset_of!(lpm_ranges6, which) - 48usize];
    ["Offset of field: lpm_ranges6::classes"]
        [::core::mem::offset_of!(lpm_ranges6, classes) - 52usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct u32_chunk {
    pub v: [__u32; 16usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of u32_chunk"][::core::mem::size_of::<u32_chunk>() - 64usize];
    ["Alignment of u32_chunk"][::core::mem::align_of::<u32_chunk>() - 4usize];
    ["Offset of field: u32_chunk::v"][::core::mem::offset_of!(u32_chunk, v) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct page {
    pub v: [__u32; 64usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of page"][::core::mem::size_of::<page>() - 256usize];
    ["Alignment of page"][::core::mem::align_of::<page>() - 4usize];
    ["Offset of field: page::v"][::core::mem::offset_of!(page, v) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct class_record {
    pub egress_subject: __u32,
    pub ingress_subject: __u32,
    pub peer: __u32,
    pub node: __u32,
    pub endpoint: __u32,
    pub flags: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of class_record"][::core::mem::size_of::<class_record>() - 24usize];
    ["Alignment of class_record"][::core::mem::align_of::<class_record>() - 4usize];
    ["Offset of field: class_record::egress_subject"]
        [::core::mem::offset_of!(class_record, egress_subject) - 0usize];
    ["Offset of field: class_record::ingress_subject"]
        [::core::mem::offset_of!(class_record, ingress_subject) - 4usize];
    ["Offset of field: class_record::peer"][::core::mem::offset_of!(class_record, peer) - 8usize];
    ["Offset of field: class_record::node"][::core::mem::offset_of!(class_record, node) - 12usize];
    ["Offset of field: class_record::endpoint"]
        [::core::mem::offset_of!(class_record, endpoint) - 16usize];
    ["Offset of field: class_record::flags"]
        [::core::mem::offset_of!(class_record, flags) - 20usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct port_chunk {
    pub v: [__u16; 65536usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of port_chunk"][::core::mem::size_of::<port_chunk>() - 131072usize];
    ["Alignment of port_chunk"][::core::mem::align_of::<port_chunk>() - 2usize];
    ["Offset of field: port_chunk::v"][::core::mem::offset_of!(port_chunk, v) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct rule_limit {
    pub interval: __u64,
    pub burst: __u64,
    pub source_interval: __u64,
    pub source_burst: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of rule_limit"][::core::mem::size_of::<rule_limit>() - 32usize];
    ["Alignment of rule_limit"][::core::mem::align_of::<rule_limit>() - 8usize];
    ["Offset of field: rule_limit::interval"]
        [::core::mem::offset_of!(rule_limit, interval) - 0usize];
    ["Offset of field: rule_limit::burst"][::core::mem::offset_of!(rule_limit, burst) - 8usize];
    ["Offset of field: rule_limit::source_interval"]
        [::core::mem::offset_of!(rule_limit, source_interval) - 16usize];
    ["Offset of field: rule_limit::source_burst"]
        [::core::mem::offset_of!(rule_limit, source_burst) - 24usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct limit_state {
    pub bucket: __u64,
    pub limited: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of limit_state"][::core::mem::size_of::<limit_state>() - 16usize];
    ["Alignment of limit_state"][::core::mem::align_of::<limit_state>() - 8usize];
    ["Offset of field: limit_state::bucket"][::core::mem::offset_of!(limit_state, bucket) - 0usize];
    ["Offset of field: limit_state::limited"]
        [::core::mem::offset_of!(limit_state, limited) - 8usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct reason_counter {
    pub packets: __u64,
    pub bytes: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of reason_counter"][::core::mem::size_of::<reason_counter>() - 16usize];
    ["Alignment of reason_counter"][::core::mem::align_of::<reason_counter>() - 8usize];
    ["Offset of field: reason_counter::packets"]
        [::core::mem::offset_of!(reason_counter, packets) - 0usize];
    ["Offset of field: reason_counter::bytes"]
        [::core::mem::offset_of!(reason_counter, bytes) - 8usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct rule_counter {
    pub hits: __u64,
    pub packets: __u64,
    pub bytes: __u64,
    pub seen: __u64,
    pub moved_packets: __u64,
    pub moved_bytes: __u64,
    pub carried_packets: __u64,
    pub carried_bytes: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of rule_counter"][::core::mem::size_of::<rule_counter>() - 64usize];
    ["Alignment of rule_counter"][::core::mem::align_of::<rule_counter>() - 8usize];
    ["Offset of field: rule_counter::hits"][::core::mem::offset_of!(rule_counter, hits) - 0usize];
    ["Offset of field: rule_counter::packets"]
        [::core::mem::offset_of!(rule_counter, packets) - 8usize];
    ["Offset of field: rule_counter::bytes"]
        [::core::mem::offset_of!(rule_counter, bytes) - 16usize];
    ["Offset of field: rule_counter::seen"][::core::mem::offset_of!(rule_counter, seen) - 24usize];
    ["Offset of field: rule_counter::moved_packets"]
        [::core::mem::offset_of!(rule_counter, moved_packets) - 32usize];
    ["Offset of field: rule_counter::moved_bytes"]
        [::core::mem::offset_of!(rule_counter, moved_bytes) - 40usize];
    ["Offset of field: rule_counter::carried_packets"]
        [::core::mem::offset_of!(rule_counter, carried_packets) - 48usize];
    ["Offset of field: rule_counter::carried_bytes"]
        [::core::mem::offset_of!(rule_counter, carried_bytes) - 56usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct rule_total {
    pub packets: __u64,
    pub bytes: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of rule_total"][::core::mem::size_of::<rule_total>() - 16usize];
    ["Alignment of rule_total"][::core::mem::align_of::<rule_total>() - 8usize];
    ["Offset of field: rule_total::packets"][::core::mem::offset_of!(rule_total, packets) - 0usize];
    ["Offset of field: rule_total::bytes"][::core::mem::offset_of!(rule_total, bytes) - 8usize];
};
pub const REASON_NONE: reason = 0;
pub const REASON_PASS_FLOW: reason = 1;
pub const REASON_PASS_NEW: reason = 2;
pub const REASON_PASS_ARP: reason = 3;
pub const REASON_PASS_ND: reason = 4;
pub const REASON_PASS_LINK_LOCAL_CONTROL: reason = 5;
pub const REASON_PASS_EVALUATED: reason = 6;
pub const REASON_PASS_FAILSAFE: reason = 7;
pub const REASON_PASS_LLC: reason = 8;
pub const REASON_PASS_RELATED: reason = 9;
pub const REASON_PASS_MULTICAST_CONTROL: reason = 10;
pub const REASON_PASS_DHCP: reason = 11;
pub const REASON_PASS_ETHERTYPE: reason = 12;
pub const REASON_PASS_WARM_UP: reason = 13;
pub const REASON_DROP_POLICY: reason = 16;
pub const REASON_DROP_FLOW_DENIED: reason = 17;
pub const REASON_DROP_TCP_NO_FLOW: reason = 18;
pub const REASON_DROP_TCP_STATE: reason = 19;
pub const REASON_DROP_ICMP_NO_FLOW: reason = 20;
pub const REASON_DROP_FLOW_TABLE_FULL: reason = 21;
pub const REASON_DROP_FLOW_CONTENTION: reason = 22;
pub const REASON_DROP_NO_POLICY: reason = 23;
pub const REASON_DROP_GENERATION_MISMATCH: reason = 24;
pub const REASON_DROP_MAP_ERROR: reason = 25;
pub const REASON_DROP_BRIDGE_PORT: reason = 26;
pub const REASON_DROP_BLOCKED: reason = 27;
pub const REASON_DROP_SPOOFED: reason = 28;
pub const REASON_DROP_FLOOD: reason = 29;
pub const REASON_DROP_FLOOD_SOURCE: reason = 30;
pub const REASON_DROP_RATE_LIMIT: reason = 31;
pub const REASON_DROP_ETH_TRUNCATED: reason = 32;
pub const REASON_DROP_ETHERTYPE: reason = 33;
pub const REASON_DROP_IP_TRUNCATED: reason = 34;
pub const REASON_DROP_IP_HEADER: reason = 35;
pub const REASON_DROP_IP_LENGTH: reason = 36;
pub const REASON_DROP_L4_TRUNCATED: reason = 37;
pub const REASON_DROP_L4_HEADER: reason = 38;
pub const REASON_DROP_MARTIAN: reason = 39;
pub const REASON_DROP_ND_HOP_LIMIT: reason = 40;
pub const REASON_DROP_TCP_FLAGS: reason = 41;
pub const REASON_DROP_SOURCE_ROUTE: reason = 42;
pub const REASON_DROP_SCTP_NO_FLOW: reason = 43;
pub const REASON_CHALLENGED: reason = 44;
pub const REASON_SYN_COOKIE: reason = 45;
pub const REASON_CHALLENGE_ANSWER: reason = 46;
pub const REASON_DROP_VLAN: reason = 48;
pub const REASON_DROP_FRAGMENT: reason = 49;
pub const REASON_DROP_EXTENSION_HEADER: reason = 50;
pub const REASON_DROP_ICMP_ERROR: reason = 51;
pub const REASON_DROP_ICMP_ERROR_PAYLOAD: reason = 52;
pub const REASON_DROP_FRAGMENT_TINY: reason = 53;
pub const REASON_DROP_FRAGMENT_OVERLAP: reason = 54;
pub const REASON_DROP_FRAGMENT_NO_FIRST: reason = 55;
pub const REASON_DROP_TUNNEL_PEER: reason = 56;
pub const REASON_DROP_TUNNEL_HEADER: reason = 57;
pub const REASON_DROP_GROUP_MAC: reason = 58;
pub const REASON_DROP_GROUP: reason = 59;
pub const REASON_DROP_LINK_LOCAL: reason = 60;
pub const REASON_DROP_ND_SCOPE: reason = 61;
pub const REASON_MAX: reason = 64;
pub type reason = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct reason_counters {
    pub reason: [reason_counter; 64usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of reason_counters"][::core::mem::size_of::<reason_counters>() - 1024usize];
    ["Alignment of reason_counters"][::core::mem::align_of::<reason_counters>() - 8usize];
    ["Offset of field: reason_counters::reason"]
        [::core::mem::offset_of!(reason_counters, reason) - 0usize];
};
pub const RECORD_POLICY: record_class = 0;
pub const RECORD_DROP: record_class = 1;
pub const RECORD_DEFENCE: record_class = 2;
pub const RECORD_PASS: record_class = 3;
pub const RECORD_CLASSES: record_class = 4;
pub type record_class = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct record_ring {
    pub packets: __u64,
    pub written: __u64,
    pub sampling: __u64,
    pub cpus: __u64,
    pub records: __u64,
    pub pad: [__u64; 3usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of record_ring"][::core::mem::size_of::<record_ring>() - 64usize];
    ["Alignment of record_ring"][::core::mem::align_of::<record_ring>() - 8usize];
    ["Offset of field: record_ring::packets"]
        [::core::mem::offset_of!(record_ring, packets) - 0usize];
    ["Offset of field: record_ring::written"]
        [::core::mem::offset_of!(record_ring, written) - 8usize];
    ["Offset of field: record_ring::sampling"]
        [::core::mem::offset_of!(record_ring, sampling) - 16usize];
    ["Offset of field: record_ring::cpus"][::core::mem::offset_of!(record_ring, cpus) - 24usize];
    ["Offset of field: record_ring::records"]
        [::core::mem::offset_of!(record_ring, records) - 32usize];
    ["Offset of field: record_ring::pad"][::core::mem::offset_of!(record_ring, pad) - 40usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct record {
    pub number: __u32,
    pub segments: __u16,
    pub tcp_flags: __u8,
    pub place: __u8,
    pub time: __u64,
    pub tuple: __u64,
    pub source_be: [__u64; 2usize],
    pub destination_be: [__u64; 2usize],
    pub egress: __u32,
    pub ingress: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of record"][::core::mem::size_of::<record>() - 64usize];
    ["Alignment of record"][::core::mem::align_of::<record>() - 8usize];
    ["Offset of field: record::number"][::core::mem::offset_of!(record, number) - 0usize];
    ["Offset of field: record::segments"][::core::mem::offset_of!(record, segments) - 4usize];
    ["Offset of field: record::tcp_flags"][::core::mem::offset_of!(record, tcp_flags) - 6usize];
    ["Offset of field: record::place"][::core::mem::offset_of!(record, place) - 7usize];
    ["Offset of field: record::time"][::core::mem::offset_of!(record, time) - 8usize];
    ["Offset of field: record::tuple"][::core::mem::offset_of!(record, tuple) - 16usize];
    ["Offset of field: record::source_be"][::core::mem::offset_of!(record, source_be) - 24usize];
    ["Offset of field: record::destination_be"]
        [::core::mem::offset_of!(record, destination_be) - 40usize];
    ["Offset of field: record::egress"][::core::mem::offset_of!(record, egress) - 56usize];
    ["Offset of field: record::ingress"][::core::mem::offset_of!(record, ingress) - 60usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct capture {
    pub until: __u64,
    pub reasons: __u64,
    pub missed: __u64,
    pub snaplen: __u64,
    pub addr_be: [__u64; 2usize],
    pub mask_be: [__u64; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of capture"][::core::mem::size_of::<capture>() - 64usize];
    ["Alignment of capture"][::core::mem::align_of::<capture>() - 8usize];
    ["Offset of field: capture::until"][::core::mem::offset_of!(capture, until) - 0usize];
    ["Offset of field: capture::reasons"][::core::mem::offset_of!(capture, reasons) - 8usize];
    ["Offset of field: capture::missed"][::core::mem::offset_of!(capture, missed) - 16usize];
    ["Offset of field: capture::snaplen"][::core::mem::offset_of!(capture, snaplen) - 24usize];
    ["Offset of field: capture::addr_be"][::core::mem::offset_of!(capture, addr_be) - 32usize];
    ["Offset of field: capture::mask_be"][::core::mem::offset_of!(capture, mask_be) - 48usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct captured {
    pub record: record,
    pub time: __u64,
    pub bytes: __u32,
    pub length: __u32,
    pub vlan_protocol_be: __u16,
    pub vlan_tci: __u16,
    pub pad: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of captured"][::core::mem::size_of::<captured>() - 88usize];
    ["Alignment of captured"][::core::mem::align_of::<captured>() - 8usize];
    ["Offset of field: captured::record"][::core::mem::offset_of!(captured, record) - 0usize];
    ["Offset of field: captured::time"][::core::mem::offset_of!(captured, time) - 64usize];
    ["Offset of field: captured::bytes"][::core::mem::offset_of!(captured, bytes) - 72usize];
    ["Offset of field: captured::length"][::core::mem::offset_of!(captured, length) - 76usize];
    ["Offset of field: captured::vlan_protocol_be"]
        [::core::mem::offset_of!(captured, vlan_protocol_be) - 80usize];
    ["Offset of field: captured::vlan_tci"][::core::mem::offset_of!(captured, vlan_tci) - 82usize];
    ["Offset of field: captured::pad"][::core::mem::offset_of!(captured, pad) - 84usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct interface_name {
    pub word: [__u64; 2usize],
    pub ifindex: __u64,
    pub spare: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of interface_name"][::core::mem::size_of::<interface_name>() - 32usize];
    ["Alignment of interface_name"][::core::mem::align_of::<interface_name>() - 8usize];
    ["Offset of field: interface_name::word"]
        [::core::mem::offset_of!(interface_name, word) - 0usize];
    ["Offset of field: interface_name::ifindex"]
        [::core::mem::offset_of!(interface_name, ifindex) - 16usize];
    ["Offset of field: interface_name::spare"]
        [::core::mem::offset_of!(interface_name, spare) - 24usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct internal_prefix {
    pub addr_be: [__u64; 2usize],
    pub mask_be: [__u64; 2usize],
    pub kind: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of internal_prefix"][::core::mem::size_of::<internal_prefix>() - 40usize];
    ["Alignment of internal_prefix"][::core::mem::align_of::<internal_prefix>() - 8usize];
    ["Offset of field: internal_prefix::addr_be"]
        [::core::mem::offset_of!(internal_prefix, addr_be) - 0usize];
    ["Offset of field: internal_prefix::mask_be"]
        [::core::mem::offset_of!(internal_prefix, mask_be) - 16usize];
    ["Offset of field: internal_prefix::kind"]
        [::core::mem::offset_of!(internal_prefix, kind) - 32usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct failsafe_entry {
    pub addr_be: [__u64; 2usize],
    pub mask_be: [__u64; 2usize],
    pub port: __u16,
    pub protocol: __u8,
    pub kind: __u8,
    pub pad: [__u8; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of failsafe_entry"][::core::mem::size_of::<failsafe_entry>() - 40usize];
    ["Alignment of failsafe_entry"][::core::mem::align_of::<failsafe_entry>() - 8usize];
    ["Offset of field: failsafe_entry::addr_be"]
        [::core::mem::offset_of!(failsafe_entry, addr_be) - 0usize];
    ["Offset of field: failsafe_entry::mask_be"]
        [::core::mem::offset_of!(failsafe_entry, mask_be) - 16usize];
    ["Offset of field: failsafe_entry::port"]
        [::core::mem::offset_of!(failsafe_entry, port) - 32usize];
    ["Offset of field: failsafe_entry::protocol"]
        [::core::mem::offset_of!(failsafe_entry, protocol) - 34usize];
    ["Offset of field: failsafe_entry::kind"]
        [::core::mem::offset_of!(failsafe_entry, kind) - 35usize];
    ["Offset of field: failsafe_entry::pad"]
        [::core::mem::offset_of!(failsafe_entry, pad) - 36usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct failsafe {
    pub ports: [__u64; 1024usize],
    pub entry: [failsafe_entry; 64usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of failsafe"][::core::mem::size_of::<failsafe>() - 10752usize];
    ["Alignment of failsafe"][::core::mem::align_of::<failsafe>() - 8usize];
    ["Offset of field: failsafe::ports"][::core::mem::offset_of!(failsafe, ports) - 0usize];
    ["Offset of field: failsafe::entry"][::core::mem::offset_of!(failsafe, entry) - 8192usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone, bytemuck :: Zeroable, bytemuck :: Pod, PartialEq, Eq, Hash)]
pub struct probe_answer {
    pub magic: __u64,
    pub key: flow_key,
    pub verdict: __u32,
    pub reason: __u32,
    pub egress: __u32,
    pub ingress: __u32,
    pub steps: __u32,
    pub fragment_bytes: __u16,
    pub fragment: __u8,
    pub sender_is_lower: __u8,
    pub may_create_flow: __u8,
    pub is_icmp_error: __u8,
    pub pad: [__u8; 6usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of probe_answer"][::core::mem::size_of::<probe_answer>() - 80usize];
    ["Alignment of probe_answer"][::core::mem::align_of::<probe_answer>() - 8usize];
    ["Offset of field: probe_answer::magic"][::core::mem::offset_of!(probe_answer, magic) - 0usize];
    ["Offset of field: probe_answer::key"][::core::mem::offset_of!(probe_answer, key) - 8usize];
    ["Offset of field: probe_answer::verdict"]
        [::core::mem::offset_of!(probe_answer, verdict) - 48usize];
    ["Offset of field: probe_answer::reason"]
        [::core::mem::offset_of!(probe_answer, reason) - 52usize];
    ["Offset of field: probe_answer::egress"]
        [::core::mem::offset_of!(probe_answer, egress) - 56usize];
    ["Offset of field: probe_answer::ingress"]
        [::core::mem::offset_of!(probe_answer, ingress) - 60usize];
    ["Offset of field: probe_answer::steps"]
        [::core::mem::offset_of!(probe_answer, steps) - 64usize];
    ["Offset of field: probe_answer::fragment_bytes"]
        [::core::mem::offset_of!(probe_answer, fragment_bytes) - 68usize];
    ["Offset of field: probe_answer::fragment"]
        [::core::mem::offset_of!(probe_answer, fragment) - 70usize];
    ["Offset of field: probe_answer::sender_is_lower"]
        [::core::mem::offset_of!(probe_answer, sender_is_lower) - 71usize];
    ["Offset of field: probe_answer::may_create_flow"]
        [::core::mem::offset_of!(probe_answer, may_create_flow) - 72usize];
    ["Offset of field: probe_answer::is_icmp_error"]
        [::core::mem::offset_of!(probe_answer, is_icmp_error) - 73usize];
    ["Offset of field: probe_answer::pad"][::core::mem::offset_of!(probe_answer, pad) - 74usize];
};
