//! The published flow.proto, as far as the flow log uses it, in proto3's JSON form. Another field, another name
//! or another type is an error.
#![expect(
    dead_code,
    non_snake_case,
    clippy::upper_case_acronyms,
    reason = "names of flow.proto, some of which are decoded only"
)]

use std::collections::BTreeMap;

use serde::Deserialize;

/// A line. Only the fields that flow.proto has may appear, with their types.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) flow: Flow,
    pub(crate) node_name: String,
    pub(crate) time: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flow {
    pub(crate) time: String,
    pub(crate) verdict: Verdict,
    pub(crate) drop_reason: Option<u32>,
    pub(crate) drop_reason_desc: Option<String>,
    pub(crate) IP: Addresses,
    pub(crate) l4: Option<Layer4>,
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    pub(crate) Type: FlowType,
    pub(crate) node_name: String,
    pub(crate) event_type: EventType,
    pub(crate) traffic_direction: TrafficDirection,
    pub(crate) is_reply: Option<bool>,
    pub(crate) interface: Option<Interface>,
    #[serde(default)]
    pub(crate) ingress_allowed_by: Vec<Policy>,
    #[serde(default)]
    pub(crate) ingress_denied_by: Vec<Policy>,
    #[serde(default)]
    pub(crate) egress_allowed_by: Vec<Policy>,
    #[serde(default)]
    pub(crate) egress_denied_by: Vec<Policy>,
    pub(crate) Summary: String,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) enum Verdict {
    FORWARDED,
    DROPPED,
    AUDIT,
}

#[derive(Debug, Deserialize)]
pub(crate) enum FlowType {
    #[serde(rename = "L3_L4")]
    L3L4,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) enum TrafficDirection {
    INGRESS,
    EGRESS,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Addresses {
    pub(crate) source: String,
    pub(crate) destination: String,
    #[serde(rename = "ipVersion")]
    pub(crate) version: String,
}

#[derive(Debug, Deserialize)]
pub(crate) enum Layer4 {
    TCP(Tcp),
    UDP(Ports),
    SCTP(Ports),
    ICMPv4(Icmp),
    ICMPv6(Icmp),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tcp {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    #[serde(default)]
    pub(crate) flags: BTreeMap<TcpFlag, bool>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum TcpFlag {
    FIN,
    SYN,
    RST,
    PSH,
    ACK,
    URG,
    ECE,
    CWR,
    NS,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ports {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Icmp {
    pub(crate) r#type: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    pub(crate) identity: u32,
    pub(crate) namespace: Option<String>,
    pub(crate) pod_name: Option<String>,
    pub(crate) labels: Vec<String>,
    #[serde(default)]
    pub(crate) workloads: Vec<Workload>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventType {
    pub(crate) r#type: i32,
    pub(crate) sub_type: Option<i32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interface {
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) kind: String,
    /// A 64-bit number, which proto3 writes as text.
    pub(crate) revision: String,
    pub(crate) labels: Vec<String>,
}
