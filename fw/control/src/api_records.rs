//! Records of packets, and the filter that selects them.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::api_rule_name::RuleName;

/// A packet that no flow has decided, as the recorder has noted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PacketRecord {
    /// Time of the packet, RFC 3339, UTC, to the millisecond. The kernel's coarse clock advances every 1
    /// to 10 ms.
    pub time: String,
    /// Name of the interface; absent if Bailey was not attached to it.
    pub interface: Option<String>,
    /// `ingress` (XDP) or `egress` (tc), seen from this machine.
    pub traffic_direction: String,
    /// `pass` or `drop`.
    pub verdict: String,
    /// Name of the reason, as in [`Counter`](crate::api::Counter).
    pub reason: String,
    /// `policy`, `drop`, `defence` or `pass`: the ring that holds the record.
    pub class: String,
    /// Name of the IP protocol; absent if the frame is no IP packet, as are the next four.
    pub protocol: Option<String>,
    /// Source address.
    pub source: Option<String>,
    /// The endpoint that has the source address; absent without one, and without an inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_endpoint: Option<EndpointName>,
    /// Source port; the identifier of an ICMP echo request; 0 without ports.
    pub source_port: Option<u16>,
    /// Destination address.
    pub destination: Option<String>,
    /// The endpoint that has the destination address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_endpoint: Option<EndpointName>,
    /// Destination port.
    pub destination_port: Option<u16>,
    /// VLAN zone, if VLANs have separate flows: outer * 4096 + inner for two tags; otherwise 0.
    pub zone: u32,
    /// Flags of the TCP header, such as `SYN,ACK`; empty without any.
    pub tcp_flags: String,
    /// Segments of a GSO or GRO frame, otherwise 1.
    pub segments: u64,
    /// Bytes of the frame, without FCS.
    pub bytes: u64,
    /// The rule at the source that decided; absent if policy was not asked.
    pub egress_rule: Option<RecordedRule>,
    /// The rule at the destination that decided.
    pub ingress_rule: Option<RecordedRule>,
    /// CPU that processed the packet.
    pub cpu: usize,
    /// Number of the record among those of its CPU and class.
    pub number: u64,
}

impl PacketRecord {
    /// The rules that decided: those that deny, or else all.
    pub fn deciders(&self) -> Vec<&RecordedRule> {
        let rules = || {
            [&self.egress_rule, &self.ingress_rule]
                .into_iter()
                .flatten()
        };
        let is_denied = rules().any(|rule| rule.denies);
        rules().filter(|rule| rule.denies == is_denied).collect()
    }

    /// The names of these rules, separated by commas.
    pub fn decider_names(&self) -> String {
        let deciders = self.deciders().into_iter();
        let mut names: Vec<&str> = deciders.map(|rule| &*rule.name.rule).collect();
        names.dedup();
        names.join(", ")
    }
}

/// The name of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndpointName {
    /// `pod`, `workload` or `node`.
    pub kind: String,
    /// Namespace; empty for a node.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Its workload: the label `app.kubernetes.io/name`, `app` or `k8s-app`, else the name.
    pub workload: String,
    /// Labels as `key=value`, ascending by key.
    pub labels: Vec<String>,
}

/// `namespace/name`; a node by its name alone.
impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// A rule in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedRule {
    /// Whether the rule denied the packet.
    pub denies: bool,
    /// The rule.
    #[serde(flatten)]
    pub name: RuleName,
}

/// Selects records: all filters must match, and of each filter one value. An empty filter matches every
/// record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordFilter {
    /// Source or destination address.
    pub ip: Vec<IpNet>,
    /// Source address.
    pub from_ip: Vec<IpNet>,
    /// Destination address.
    pub to_ip: Vec<IpNet>,
    /// Source or destination port.
    pub port: Vec<u16>,
    /// Source port.
    pub from_port: Vec<u16>,
    /// Destination port.
    pub to_port: Vec<u16>,
    /// Protocol: TCP, UDP, SCTP, ICMP, ICMPv6 or a number.
    pub protocol: Vec<String>,
    /// TCP flags that are all set, such as `SYN,ACK`.
    pub tcp_flags: Vec<String>,
    /// `pass` (or `forwarded`), `drop` (or `dropped`).
    pub verdict: Vec<String>,
    /// Name of a reason.
    pub reason: Vec<String>,
    /// Name of a rule or of a policy (NAMESPACE/NAME).
    pub rule: Vec<String>,
    /// Name of an interface.
    pub interface: Vec<String>,
    /// `ingress` or `egress`.
    pub traffic_direction: Vec<String>,
    /// 4 or 6.
    pub ip_version: Vec<u8>,
    /// Namespace of either end.
    pub namespace: Vec<String>,
    /// Either end: `NAMESPACE/NAME`, `NAMESPACE/` or a part of a name from its beginning.
    pub pod: Vec<String>,
    /// Source, as for `pod`.
    pub from_pod: Vec<String>,
    /// Destination.
    pub to_pod: Vec<String>,
    /// Labels of either end: `key`, `key=value`, joined by `+` if one end must have all of them.
    pub label: Vec<String>,
    /// Workload of either end.
    pub workload: Vec<String>,
    /// Class of the record: `policy`, `drop`, `defence` or `pass`.
    pub class: Vec<String>,
    /// Filters that must not match.
    pub not: Option<Box<Self>>,
}

/// Selects and follows records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordsQuery {
    /// A [`RecordFilter`] as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Only the last records that match. 0 with `follow`: only later ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<usize>,
    /// Only the first records that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<usize>,
    /// Only records since this time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only records until this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Continue with later records.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
}

/// Number and age of all records, in the header of a list of records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordsSummary {
    /// Time of the oldest record, RFC 3339; absent without one.
    pub oldest: Option<String>,
    /// Packets of all classes since the recorder began.
    pub packets: u64,
    /// Records written of these packets; the others were not sampled.
    pub written: u64,
    /// Records that were overwritten before this reading.
    pub lost: u64,
}

/// A line among records: this reader was too slow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LostRecords {
    /// Records that were overwritten since the line before.
    pub lost: u64,
}
