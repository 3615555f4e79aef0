//! TCP, UDP, SCTP, ICMP and other protocols over IP.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::err::tcp::HeaderSliceError;
use etherparse::{IpNumber, TcpHeaderSlice, UdpHeaderSlice};

use super::icmp::Message;
use super::icmp_error::{self, Quoted};
use super::network::Ip;
use crate::{Fragment, Frames};
use ipnet::IpNet;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;
/// The flags that decide the purpose of a segment. PSH, ECE and CWR may accompany any of them.
const PURPOSE: u8 = FIN | SYN | RST | ACK | URG;
/// The combinations of these flags that a TCP implementation sends.
const VALID: [u8; 9] = [
    SYN,
    SYN | URG,
    SYN | ACK,
    RST,
    RST | ACK,
    FIN | ACK,
    FIN | ACK | URG,
    ACK,
    ACK | URG,
];

const SCTP_INIT: u8 = 1;
const SCTP_HEARTBEAT: u8 = 4;
const SCTP_ASCONF: u8 = 0xc1;

/// The result of reading layer 4.
#[derive(Debug)]
pub(super) enum Layer4 {
    /// The packet passes without policy, for this reason.
    Pass(&'static str),
    /// The packet belongs to a flow with these ports.
    Flow {
        source_port: u16,
        destination_port: u16,
        may_create_flow: bool,
    },
    /// The packet is an ICMP error about this packet.
    IcmpError(Quoted),
}

/// Reads layer 4 of a packet that is whole or the first fragment.
///
/// # Errors
///
/// The reason of the drop.
pub(super) fn read(ip: &Ip<'_>, frames: &Frames) -> Result<Layer4, &'static str> {
    match (ip.protocol, ip.is_ipv6()) {
        (IpNumber::TCP, _) => tcp(ip),
        (IpNumber::UDP, _) => udp(ip, frames),
        (IpNumber::SCTP, _) => sctp(ip),
        (IpNumber::ICMP, false) | (IpNumber::IPV6_ICMP, true) => icmp(ip, frames),
        (IpNumber::IGMP, false) if is_igmp_of_the_link(ip) => Ok(Layer4::Pass("multicast-control")),
        _ => Ok(Layer4::Flow {
            source_port: 0,
            destination_port: 0,
            may_create_flow: true,
        }),
    }
}

/// Reads the first bytes of layer 4.
fn read_header<'a>(ip: &Ip<'a>, count: usize) -> Result<&'a [u8], &'static str> {
    if ip.payload.len() < count && !ip.is_whole() {
        return Err("fragment-tiny");
    }
    ip.payload.read(count).ok_or("l4-truncated")
}

fn tcp(ip: &Ip<'_>) -> Result<Layer4, &'static str> {
    let fixed = read_header(ip, 20)?;
    let header = TcpHeaderSlice::from_slice(ip.payload.bytes()).map_err(|error| match error {
        HeaderSliceError::Len(_) if !ip.is_whole() => "fragment-tiny",
        HeaderSliceError::Len(_) | HeaderSliceError::Content(_) => "l4-header",
    })?;
    let flags = fixed[13] & PURPOSE;
    if !VALID.contains(&flags) {
        return Err("tcp-flags");
    }
    Ok(Layer4::Flow {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        may_create_flow: flags & (SYN | ACK | RST | FIN) == SYN,
    })
}

fn udp(ip: &Ip<'_>, frames: &Frames) -> Result<Layer4, &'static str> {
    let header = UdpHeaderSlice::from_slice(read_header(ip, 8)?).map_err(|_| "l4-truncated")?;
    let length = usize::from(header.length());
    // A fragment states the length of the whole datagram.
    if length < 8 || ip.is_whole() && length > ip.payload.len() {
        return Err("l4-header");
    }
    let (source_port, destination_port) = (header.source_port(), header.destination_port());
    if frames.dhcp && is_dhcp(ip, source_port, destination_port) && ip.is_whole() {
        return Ok(Layer4::Pass("dhcp"));
    }
    Ok(Layer4::Flow {
        source_port,
        destination_port,
        may_create_flow: true,
    })
}

/// Between the ports of a client and a server, and of no other than those of one link.
fn is_dhcp(ip: &Ip<'_>, source_port: u16, destination_port: u16) -> bool {
    let ports = [source_port, destination_port];
    match (ip.source, ip.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            (ports == [67, 68] || ports == [68, 67])
                && (source.is_unspecified()
                    || destination.is_broadcast()
                    || (source.is_link_local() && destination.is_link_local()))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let groups = [
                Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
                Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3),
            ];
            (ports == [546, 547] || ports == [547, 546])
                && !source.is_unspecified()
                && (source.is_unicast_link_local()
                    || destination.is_unicast_link_local()
                    || groups.contains(&destination))
        }
        _ => false,
    }
}

fn sctp(ip: &Ip<'_>) -> Result<Layer4, &'static str> {
    let header = read_header(ip, 16)?;
    let may_create_flow = [SCTP_INIT, SCTP_HEARTBEAT, SCTP_ASCONF].contains(&header[12]);
    let has_tag = header[4..8] != [0; 4];
    if header[12] == SCTP_INIT {
        read_header(ip, 32)?;
    }
    // The tag of an INIT is inside of it; whatever else may_create_flow knows that of its receiver.
    if may_create_flow && has_tag == (header[12] == SCTP_INIT) {
        return Err("l4-header");
    }
    Ok(Layer4::Flow {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        may_create_flow,
    })
}

fn icmp(ip: &Ip<'_>, frames: &Frames) -> Result<Layer4, &'static str> {
    let header = read_header(ip, 8)?;
    let message = Message::of(header[0], ip.is_ipv6());
    match message {
        Message::Error if !ip.is_whole() => return Err("fragment"),
        Message::Error => {
            return icmp_error::read(ip.payload.after(8), ip.destination)
                .map(Layer4::IcmpError)
                .ok_or("icmp-error-payload");
        }
        Message::Neighbour if ip.hops != 255 => return Err("nd-hop-limit"),
        Message::Neighbour if matches!(ip.fragment, Fragment::First { .. }) => {
            return Err("fragment");
        }
        Message::Neighbour if is_nd_of_the_link(ip, header[0], frames) => {
            return Ok(Layer4::Pass("nd"));
        }
        Message::Neighbour => return Err("nd-scope"),
        Message::Listener if is_mld_of_the_link(ip) && ip.is_whole() => {
            return Ok(Layer4::Pass("multicast-control"));
        }
        Message::Listener | Message::EchoRequest | Message::EchoReply | Message::Other => {}
    }
    let (source_port, destination_port) = message.ports(header);
    Ok(Layer4::Flow {
        source_port,
        destination_port,
        may_create_flow: message != Message::EchoReply,
    })
}

fn is_igmp_of_the_link(ip: &Ip<'_>) -> bool {
    ip.destination.is_multicast() && ip.hops == 1 && ip.is_whole()
}

/// Whether the addresses keep a neighbour discovery message of this type on the link.
fn is_nd_of_the_link(ip: &Ip<'_>, kind: u8, frames: &Frames) -> bool {
    const ROUTER_SOLICITATION: u8 = 133;
    const ROUTER_ADVERTISEMENT: u8 = 134;
    const REDIRECT: u8 = 137;
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (ip.source, ip.destination) else {
        return false;
    };
    let from_link = source.is_unicast_link_local();
    let to_link = destination.is_unicast_link_local() || destination.octets()[..2] == [0xff, 0x02];
    let both = |net: &IpNet| net.contains(&ip.source) && net.contains(&ip.destination);
    let same_subnet = source.segments()[..4] == destination.segments()[..4]
        && (frames.bridge || frames.subnets.iter().any(both));
    let same_prefix = || frames.internal.iter().any(both);
    match kind {
        ROUTER_SOLICITATION => to_link,
        ROUTER_ADVERTISEMENT | REDIRECT => from_link && to_link,
        _ if source.is_unspecified() => to_link,
        _ => to_link || from_link || same_subnet || same_prefix(),
    }
}

fn is_mld_of_the_link(ip: &Ip<'_>) -> bool {
    let IpAddr::V6(source) = ip.source else {
        return false;
    };
    (source.is_unicast_link_local() || source.is_unspecified()) && ip.hops == 1
}
