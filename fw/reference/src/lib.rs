//! What becomes of a frame, as docs/packets.md defines it, read slowly and plainly.
//!
//! [`parse`] is written from that page alone and shares nothing with the BPF parser, so that a
//! fuzzer that compares the two finds where either departs from the page. [`Generator`] makes the
//! frames for it. No I/O, no state: what depends on records or policy is left to the caller.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use ipnet::IpNet;

/// Layer 2: tags, types, and what passes unread.
mod ethernet;
/// One chain of IPv6 extension headers.
mod extension;
/// Which part of a packet a fragment is.
mod fragment;
/// Frames to compare parsers on.
mod generate;
/// The kinds of ICMP and ICMPv6 messages.
mod icmp;
/// The packet that an ICMP error quotes.
mod icmp_error;
/// The IPv4 header.
mod ipv4;
/// The IPv6 header and what follows it.
mod ipv6;
/// TCP, UDP, SCTP, ICMP and the rest.
mod layer4;
/// What both families do once their headers are read.
mod network;
/// VXLAN and Geneve.
mod tunnel;
/// The part of a frame that a header may take.
mod window;

pub use generate::{Generator, Pools};

/// What the configuration says about frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// Whether flows of different VLANs are different flows.
    pub vlan_zones: bool,
    /// Whether DHCP passes without policy.
    pub dhcp: bool,
    /// Whether the topology is `bridge`.
    pub bridge: bool,
    /// Types that pass unread.
    pub ethertypes: Vec<u16>,
    /// The tunnels to look into.
    pub tunnels: Vec<Tunnel>,
    /// Prefixes of the inside; neighbours may be in one of them.
    pub inside: Vec<IpNet>,
    /// The subnets that the machine is in; of a bridge, any /64 may be one.
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
            inside: Vec::new(),
            subnets: Vec::new(),
        }
    }
}

/// How a tunnel wraps its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

/// A tunnel that ends here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// How it wraps its frames.
    pub kind: TunnelKind,
    /// The UDP port its datagrams go to.
    pub port: u16,
    /// Who may send them.
    pub peers: Vec<IpNet>,
}

/// What a frame is, as far as itself says it. Reasons are named as in docs/packets.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// It passes without policy, for this reason.
    Pass(&'static str),
    /// It is dropped, for this reason.
    Drop(&'static str),
    /// Policy decides.
    Packet(Packet),
}

/// What policy, flows and the records of fragments are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The VLANs that the flow belongs to.
    pub zone: u32,
    /// The IP protocol; 0 for a later fragment over IPv6, whose first says it.
    pub protocol: u8,
    /// Who sends it.
    pub source: IpAddr,
    /// Who it is for.
    pub destination: IpAddr,
    /// The sender's port, 0 if there is none.
    pub source_port: u16,
    /// The receiver's port, 0 if there is none.
    pub destination_port: u16,
    /// Whether it may open a flow.
    pub opens: bool,
    /// Whether this is an ICMP error. Everything but the zone is then that of an answer to the
    /// packet it quotes.
    pub related: bool,
    /// Which part of a packet it is.
    pub fragment: Fragment,
    /// Is its frame (within a tunnel, that frame) for a group of stations, or for all?
    pub for_group: bool,
}

/// Which part of a packet was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fragment {
    /// All of it.
    Whole,
    /// The first fragment.
    First {
        /// How many bytes of the packet it holds.
        bytes: u16,
    },
    /// A fragment after the first. It has no ports.
    Later {
        /// Where in the packet it begins, in bytes.
        offset: u16,
    },
}

/// Says what becomes of a frame as it was received, tags included.
#[must_use]
pub fn parse(frame: &[u8], frames: &Frames) -> Parsed {
    ethernet::read(window::Window::of(frame), frames, network::Place::Link)
}
