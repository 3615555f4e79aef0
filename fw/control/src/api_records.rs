//! Records of packets, and the filter that selects them.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::api::RuleName;

/// A packet that no flow has decided, as the recorder has noted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Source port; the identifier of an ICMP echo request; 0 without ports.
    pub source_port: Option<u16>,
    /// Destination address.
    pub destination: Option<String>,
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

/// A rule in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(default)]
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
}
