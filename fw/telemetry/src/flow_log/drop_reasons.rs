//! Names and numbers of drop reasons in Hubble's flow.proto, for Bailey's reasons.

/// Number and name of `enum DropReason` for a reason of Bailey; `None` for a reason that passes.
pub fn drop_reason(reason: &str) -> Option<(u32, &'static str)> {
    Some(match reason {
        "policy" | "flow-denied" => (133, "POLICY_DENIED"),
        "blocked" => (181, "POLICY_DENY"),
        "spoofed" | "martian" => (132, "INVALID_SOURCE_IP"),
        "flood" | "flood-source" | "rate-limit" | "challenged" | "syn-cookie"
        | "challenge-answer" => (198, "DROP_RATE_LIMITED"),
        "flow-table-full" | "flow-contention" => (155, "CT_MAP_INSERTION_FAILED"),
        "tcp-no-flow" | "tcp-state" | "icmp-no-flow" | "sctp-no-flow" | "icmp-error" => {
            (163, "UNKNOWN_CONNECTION_TRACKING_STATE")
        }
        "no-policy" | "generation-mismatch" | "map-error" => {
            (165, "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION")
        }
        "bridge-port" => (169, "FIB_LOOKUP_FAILED"),
        "ethertype" => (166, "UNSUPPORTED_L2_PROTOCOL"),
        "l4-truncated" | "l4-header" | "fragment-tiny" => (135, "CT_TRUNCATED_OR_INVALID_HEADER"),
        "eth-truncated" | "ip-truncated" | "ip-header" | "ip-length" | "tcp-flags"
        | "icmp-error-payload" | "source-route" => (134, "INVALID_PACKET_DROPPED"),
        "nd-hop-limit" | "nd-scope" => (176, "FORBIDDEN_ICMPV6_MESSAGE"),
        "vlan" => (182, "VLAN_FILTERED"),
        "fragment" | "fragment-overlap" => (157, "IP_FRAGMENTATION_NOT_SUPPORTED"),
        "fragment-no-first" => (175, "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND"),
        "extension-header" => (156, "INVALID_IPV6_EXTENSION_HEADER"),
        "tunnel-peer" => (170, "ENCAPSULATION_TRAFFIC_IS_PROHIBITED"),
        "tunnel-header" => (183, "INVALID_VNI"),
        "group" | "group-mac" | "link-local" => (151, "STALE_OR_UNROUTABLE_IP"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bailey_bpf::reason::REASONS;

    use super::*;

    #[test]
    fn every_drop_has_a_reason_of_the_proto() {
        for reason in REASONS {
            assert_eq!(
                drop_reason(reason.name).is_none(),
                reason.passes,
                "{}",
                reason.name
            );
        }
    }
}
