//! The steps after the IP header, which both families share.

use std::net::IpAddr;

use etherparse::IpNumber;

use super::layer4::{self, Layer4};
use super::tunnel;
use super::window::Window;
use crate::{Fragment, Frames, Packet, Parsed};

/// The receivers of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// One station.
    Station,
    /// A group of stations, or all.
    Group,
    /// A packet in a tunnel without a frame.
    None,
}

impl Delivery {
    /// Whether a packet to this address may arrive in such a frame (RFC 1122, 3.3.6).
    pub(super) fn may_carry(self, destination: IpAddr) -> bool {
        let group = match destination {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast(),
        };
        !(group && self == Self::Station)
    }
}

/// The carrier of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The link.
    Link,
    /// A tunnel. A further tunnel inside is read as an ordinary datagram.
    Tunnel,
}

/// An IP packet whose headers below layer 4 are read.
#[derive(Debug)]
pub(super) struct Ip<'a> {
    pub(super) delivery: Delivery,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// The TTL or hop limit.
    pub(super) hops: u8,
    pub(super) protocol: IpNumber,
    pub(super) fragment: Fragment,
    /// Layer 4, or the part of it in this fragment.
    pub(super) payload: Window<'a>,
}

impl Ip<'_> {
    pub(super) fn is_ipv6(&self) -> bool {
        self.source.is_ipv6()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.fragment == Fragment::Whole
    }
}

/// Reads the rest of a packet: layer 4, the unspecified source, tunnels.
pub(super) fn read(ip: &Ip<'_>, zone: u32, frames: &Frames, carrier: Carrier) -> Parsed {
    // Layer 4, unless this is a later fragment.
    let layer4 = match ip.fragment {
        Fragment::Later { .. } => Layer4::Flow {
            source_port: 0,
            destination_port: 0,
            may_create_flow: false,
        },
        Fragment::Whole | Fragment::First { .. } => match layer4::read(ip, frames) {
            Ok(layer4) => layer4,
            Err(reason) => return Parsed::Drop(reason),
        },
    };
    if ip.source.is_unspecified() && !may_be_unspecified(&layer4, ip.is_ipv6()) {
        return Parsed::Drop("martian");
    }

    // The flow, or the packet inside the tunnel.
    let is_for_group = ip.delivery == Delivery::Group;
    match layer4 {
        Layer4::Pass(reason) => Parsed::Pass(reason),
        Layer4::IcmpError(quoted) => Parsed::Packet(Packet {
            zone,
            protocol: quoted.protocol.0,
            source: quoted.destination,
            destination: quoted.source,
            source_port: quoted.destination_port,
            destination_port: quoted.source_port,
            may_create_flow: false,
            is_icmp_error: true,
            fragment: Fragment::Whole,
            is_for_group,
        }),
        Layer4::Flow {
            source_port,
            destination_port,
            may_create_flow,
        } => {
            if carrier == Carrier::Link
                && ip.protocol == IpNumber::UDP
                && let Some(tunnel) = frames.tunnels.iter().find(|t| t.port == destination_port)
                && !matches!(ip.fragment, Fragment::Later { .. })
            {
                return tunnel::read(tunnel, ip, frames);
            }
            Parsed::Packet(Packet {
                zone,
                protocol: ip.protocol.0,
                source: ip.source,
                destination: ip.destination,
                source_port,
                destination_port,
                may_create_flow,
                is_icmp_error: false,
                fragment: ip.fragment.clone(),
                is_for_group,
            })
        }
    }
}

/// Whether a packet with this layer 4 may have the unspecified address as its source.
fn may_be_unspecified(layer4: &Layer4, ipv6: bool) -> bool {
    match layer4 {
        Layer4::Pass("multicast-control") => true,
        Layer4::Pass("nd") => ipv6,
        // Only a DHCP client over IPv4 has no address; a DHCPv6 client has a link-local one.
        Layer4::Pass("dhcp") => !ipv6,
        _ => false,
    }
}
