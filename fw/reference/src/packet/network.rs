use std::net::IpAddr;

use etherparse::IpNumber;

use crate::layer4::{self, Layer4};
use crate::window::Window;
use crate::{Fragment, Frames, Packet, Parsed, tunnel};

/// Whom a frame goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// One station.
    Station,
    /// A group of stations, or all.
    Group,
    /// There is no frame, within a tunnel.
    None,
}

impl Delivery {
    /// May a packet to this address come so? RFC 1122, 3.3.6.
    pub(crate) fn suits(self, destination: IpAddr) -> bool {
        let group = match destination {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast(),
        };
        !(group && self == Self::Station)
    }
}

/// Where a frame was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the link.
    Link,
    /// In a tunnel. A tunnel within is a datagram like any other.
    Tunnel,
}

/// An IP packet whose headers up to layer 4 are read.
#[derive(Debug)]
pub(crate) struct Ip<'a> {
    pub(crate) delivery: Delivery,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// The TTL or hop limit.
    pub(crate) hops: u8,
    pub(crate) protocol: IpNumber,
    pub(crate) fragment: Fragment,
    /// Layer 4, or as much of it as this fragment has.
    pub(crate) payload: Window<'a>,
}

impl Ip<'_> {
    pub(crate) fn is_ipv6(&self) -> bool {
        self.source.is_ipv6()
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.fragment == Fragment::Whole
    }
}

/// What is left to do when the headers are read: layer 4, the unspecified source, tunnels.
pub(crate) fn read(ip: &Ip<'_>, zone: u32, frames: &Frames, place: Place) -> Parsed {
    let layer4 = match ip.fragment {
        Fragment::Later { .. } => Layer4::Flow {
            source_port: 0,
            destination_port: 0,
            opens: false,
        },
        Fragment::Whole | Fragment::First { .. } => match layer4::read(ip, frames) {
            Ok(layer4) => layer4,
            Err(reason) => return Parsed::Drop(reason),
        },
    };
    if ip.source.is_unspecified() && !may_be_unspecified(&layer4, ip.is_ipv6()) {
        return Parsed::Drop("martian");
    }
    let for_group = ip.delivery == Delivery::Group;
    match layer4 {
        Layer4::Pass(reason) => Parsed::Pass(reason),
        Layer4::Related(quoted) => Parsed::Packet(Packet {
            zone,
            protocol: quoted.protocol.0,
            source: quoted.destination,
            destination: quoted.source,
            source_port: quoted.destination_port,
            destination_port: quoted.source_port,
            opens: false,
            related: true,
            fragment: Fragment::Whole,
            for_group,
        }),
        Layer4::Flow {
            source_port,
            destination_port,
            opens,
        } => {
            if place == Place::Link
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
                opens,
                related: false,
                fragment: ip.fragment.clone(),
                for_group,
            })
        }
    }
}

fn may_be_unspecified(layer4: &Layer4, ipv6: bool) -> bool {
    match layer4 {
        Layer4::Pass("multicast-control") => true,
        Layer4::Pass("nd") => ipv6,
        // A DHCPv6 client has a link-local address; only DHCP over IPv4 begins without any.
        Layer4::Pass("dhcp") => !ipv6,
        _ => false,
    }
}
