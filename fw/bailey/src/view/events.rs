use bailey_bpf::abi;

/// `enum flow_event`, in words.
pub(super) const EVENTS: &[(u32, &str, &str)] = &[
    (abi::FLOW_INSERTED, "inserted", "flows opened"),
    (
        abi::FLOW_SWEPT,
        "expired",
        "idle for too long, and retired by the sweeper",
    ),
    (
        abi::FLOW_EVICTED_EXPIRED,
        "evicted-expired",
        "idle for too long, and replaced by a new flow",
    ),
    (
        abi::FLOW_EVICTED_OVER,
        "evicted-over",
        "closed or revoked, and replaced by a new flow",
    ),
    (
        abi::FLOW_EVICTED_HALF_OPEN,
        "evicted-half-open",
        "unanswered or over its source's limit, and replaced by a new flow",
    ),
    (
        abi::FLOW_EVICTED_IDLE,
        "evicted-idle",
        "live, idle for long, and replaced as the last resort",
    ),
    (
        abi::FLOW_SOURCE_LIMITED,
        "source-limited",
        "packets of flows that stay evictable because their source has enough",
    ),
    (
        abi::FLOW_REFUSED_FULL,
        "refused-full",
        "new flows that found no place: dropped",
    ),
    (
        abi::FLOW_REFUSED_CONTENTION,
        "refused-contention",
        "new flows that lost a race again and again: dropped",
    ),
    (
        abi::FLOW_RESTAMPED,
        "restamped",
        "idle flows whose epoch was so old that it could come round",
    ),
    (
        abi::FLOW_RECOVERED,
        "recovered",
        "places that a killed process had left unusable",
    ),
    (
        abi::FLOW_FLOOD_BEGAN,
        "flood-began",
        "times that a CPU saw more new flows than it may open",
    ),
    (
        abi::FLOW_FLOOD_ENDED,
        "flood-ended",
        "times that this was over",
    ),
    (
        abi::FLOW_PROVEN,
        "proven",
        "TCP clients that answered a challenge",
    ),
    (
        abi::FLOW_RETRIED,
        "retried",
        "SYNs that were let through because they came again",
    ),
    (
        abi::FLOW_COOKIE,
        "cookie-returned",
        "connections opened by the answer to a SYN cookie",
    ),
];
