//! A second parser of frames, written from docs/packets.md alone; not shipped and not fast.
//!
//! [`parse`] shares no code with the BPF parser. A fuzzer compares the two with frames of
//! [`Generator`], and so finds where one of them differs from the page. No I/O and no state:
//! decisions that need flows, records of fragments or policy are left to the caller.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use ipnet::IpNet;

/// The generator of frames to compare parsers with.
mod generate;
/// The parser.
mod packet;

pub use generate::{Generator, Pools};
pub use packet::parse;

/// The settings of the configuration about frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// Whether the VLAN is part of a flow's key.
    pub vlan_zones: bool,
    /// Whether DHCP passes without policy.
    pub dhcp: bool,
    /// Whether the topology is `bridge`.
    pub bridge: bool,
    /// EtherTypes that pass unread.
    pub ethertypes: Vec<u16>,
    /// The tunnels whose content is read.
    pub tunnels: Vec<Tunnel>,
    /// Internal prefixes; both ends of neighbour discovery may be in one of them.
    pub internal: Vec<IpNet>,
    /// The subnets of the machine. On a bridge, any /64 counts as one.
    pub subnets: Vec<IpNet>,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            vlan_zones: false,
            dhcp: true,
            bridge: false,
            ethertypes: Vec::new(),
            tunnels: Vec::new(),
            internal: Vec::new(),
            subnets: Vec::new(),
        }
    }
}

/// The encapsulation of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelKind {
    /// VXLAN, RFC 7348.
    Vxlan,
    /// Geneve, RFC 8926.
    Geneve,
}

/// A tunnel that ends on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The encapsulation.
    pub kind: TunnelKind,
    /// The UDP destination port of its datagrams.
    pub port: u16,
    /// Prefixes of the permitted senders.
    pub peers: Vec<IpNet>,
}

/// The decision that a frame alone allows. Reasons are named as in docs/packets.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// The frame passes without policy, for this reason.
    Pass(&'static str),
    /// The frame is dropped, for this reason.
    Drop(&'static str),
    /// Policy decides about this packet.
    Packet(Packet),
}

/// The fields of a packet that policy, flows and records of fragments use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The zone of the flow, made of its VLAN ids.
    pub zone: u32,
    /// The IP protocol; 0 for a later fragment over IPv6, because only the first one contains it.
    pub protocol: u8,
    /// The sender.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// The sender's port, 0 if there is none.
    pub source_port: u16,
    /// The receiver's port, 0 if there is none.
    pub destination_port: u16,
    /// Whether the packet may create a flow.
    pub may_create_flow: bool,
    /// Whether this is an ICMP error. All other fields except the zone are then those of an answer
    /// to the quoted packet.
    pub is_icmp_error: bool,
    /// The part of the packet that was received.
    pub fragment: Fragment,
    /// Whether the innermost frame goes to a group of stations, or to all.
    pub is_for_group: bool,
}

/// The part of a packet that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fragment {
    /// The whole packet.
    Whole,
    /// The first fragment.
    First {
        /// Its number of bytes.
        bytes: u16,
    },
    /// A fragment after the first, without ports.
    Later {
        /// Its offset in the packet, in bytes.
        offset: u16,
    },
}
