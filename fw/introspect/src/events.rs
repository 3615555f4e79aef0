//! Names and help texts of flow events; the counts are read by `flow_stats.rs`.

use bailey_bpf::abi;

/// Name and help text of each `enum flow_event`.
pub(crate) const EVENTS: &[(u32, &str, &str)] = &[
    (abi::FLOW_INSERTED, "inserted", "flows created"),
    (
        abi::FLOW_SWEPT,
        "expired",
        "idle flows that the sweeper retired",
    ),
    (
        abi::FLOW_EVICTED_EXPIRED,
        "evicted-expired",
        "expired flows that a new flow replaced",
    ),
    (
        abi::FLOW_EVICTED_CLOSED,
        "evicted-closed",
        "closed or denied flows that a new flow replaced",
    ),
    (
        abi::FLOW_EVICTED_HALF_OPEN,
        "evicted-half-open",
        "half-open flows, or flows beyond their source's limit, that a new flow replaced",
    ),
    (
        abi::FLOW_EVICTED_IDLE,
        "evicted-idle",
        "idle live flows that a new flow replaced (flow_table.evict_live_after_seconds)",
    ),
    (
        abi::FLOW_SOURCE_LIMITED,
        "source-limited",
        "packets of flows beyond their source's limit, which stay evictable",
    ),
    (
        abi::FLOW_REFUSED_FULL,
        "refused-full",
        "new flows dropped because both buckets hold only live flows",
    ),
    (
        abi::FLOW_REFUSED_CONTENTION,
        "refused-contention",
        "new flows dropped because other CPUs changed the bucket at every attempt",
    ),
    (
        abi::FLOW_RESTAMPED,
        "restamped",
        "idle flows whose old epoch was cleared before the epoch counter wraps",
    ),
    (
        abi::FLOW_RECOVERED,
        "recovered",
        "slots of a killed sweeper that were freed",
    ),
    (
        abi::FLOW_FLOOD_BEGAN,
        "flood-began",
        "floods: a CPU saw more new flows than its share of the rate",
    ),
    (abi::FLOW_FLOOD_ENDED, "flood-ended", "ends of floods"),
    (
        abi::FLOW_CHALLENGE_PASSED,
        "challenge-passed",
        "TCP clients that answered a challenge",
    ),
    (
        abi::FLOW_SYN_RETRANSMITTED,
        "syn-retransmitted",
        "retransmitted SYNs that were allowed",
    ),
    (
        abi::FLOW_COOKIE,
        "cookie-returned",
        "connections created by the answer to a SYN cookie",
    ),
];
