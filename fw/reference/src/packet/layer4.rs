use std::net::{IpAddr, Ipv6Addr};

use etherparse::err::tcp::HeaderSliceError;
use etherparse::{IpNumber, TcpHeaderSlice, UdpHeaderSlice};

use crate::icmp::Message;
use crate::icmp_error::{self, Quoted};
use crate::network::Ip;
use crate::{Fragment, Frames};
use ipnet::IpNet;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;
/// The flags that say what a segment is for; PSH, ECE and CWR go with any.
const MEANING: u8 = FIN | SYN | RST | ACK | URG;
const SENT: [u8; 9] = [
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

/// What layer 4 says about a packet.
#[derive(Debug)]
pub(crate) enum Layer4 {
    /// It passes without policy, for this reason.
    Pass(&'static str),
    /// It belongs to a flow of these ports.
    Flow {
        source_port: u16,
        destination_port: u16,
        opens: bool,
    },
    /// It is an error about this packet.
    Related(Quoted),
}

/// Reads layer 4 of a packet that is whole or the first fragment.
///
/// # Errors
///
/// With the reason of the drop.
pub(crate) fn read(ip: &Ip<'_>, frames: &Frames) -> Result<Layer4, &'static str> {
    match (ip.protocol, ip.is_ipv6()) {
        (IpNumber::TCP, _) => tcp(ip),
        (IpNumber::UDP, _) => udp(ip, frames),
        (IpNumber::SCTP, _) => sctp(ip),
        (IpNumber::ICMP, false) | (IpNumber::IPV6_ICMP, true) => icmp(ip, frames),
        (IpNumber::IGMP, false) if is_igmp_of_the_link(ip) => Ok(Layer4::Pass("multicast-control")),
        _ => Ok(Layer4::Flow {
            source_port: 0,
            destination_port: 0,
            opens: true,
        }),
    }
}

/// The first bytes of layer 4.
fn head<'a>(ip: &Ip<'a>, count: usize) -> Result<&'a [u8], &'static str> {
    if ip.payload.len() < count && !ip.is_whole() {
        return Err("fragment-tiny");
    }
    ip.payload.read(count).ok_or("l4-truncated")
}

fn tcp(ip: &Ip<'_>) -> Result<Layer4, &'static str> {
    let fixed = head(ip, 20)?;
    let header = TcpHeaderSlice::from_slice(ip.payload.bytes()).map_err(|error| match error {
        HeaderSliceError::Len(_) if !ip.is_whole() => "fragment-tiny",
        HeaderSliceError::Len(_) | HeaderSliceError::Content(_) => "l4-header",
    })?;
    let flags = fixed[13] & MEANING;
    if !SENT.contains(&flags) {
        return Err("tcp-flags");
    }
    Ok(Layer4::Flow {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        opens: flags & (SYN | ACK | RST | FIN) == SYN,
    })
}

fn udp(ip: &Ip<'_>, frames: &Frames) -> Result<Layer4, &'static str> {
    let header = UdpHeaderSlice::from_slice(head(ip, 8)?).map_err(|_| "l4-truncated")?;
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
        opens: true,
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
    let header = head(ip, 16)?;
    let opens = [SCTP_INIT, SCTP_HEARTBEAT, SCTP_ASCONF].contains(&header[12]);
    let has_tag = header[4..8] != [0; 4];
    if header[12] == SCTP_INIT {
        head(ip, 32)?;
    }
    // The tag of an INIT is inside of it; whatever else opens knows that of its receiver.
    if opens && has_tag == (header[12] == SCTP_INIT) {
        return Err("l4-header");
    }
    Ok(Layer4::Flow {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        opens,
    })
}

fn icmp(ip: &Ip<'_>, frames: &Frames) -> Result<Layer4, &'static str> {
    let header = head(ip, 8)?;
    let message = Message::of(header[0], ip.is_ipv6());
    match message {
        Message::Error if !ip.is_whole() => return Err("fragment"),
        Message::Error => {
            return icmp_error::read(ip.payload.after(8), ip.destination)
                .map(Layer4::Related)
                .ok_or("icmp-error-payload");
        }
        Message::Neighbour if ip.hops != 255 => return Err("nd-hop-limit"),
        Message::Neighbour if matches!(ip.fragment, Fragment::First { .. }) => {
            return Err("fragment");
        }
        Message::Neighbour if stays_on_the_link(ip, header[0], frames) => {
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
        opens: message != Message::EchoReply,
    })
}

fn is_igmp_of_the_link(ip: &Ip<'_>) -> bool {
    ip.destination.is_multicast() && ip.hops == 1 && ip.is_whole()
}

/// Does neighbour discovery of this type go where only the link sees it?
fn stays_on_the_link(ip: &Ip<'_>, kind: u8, frames: &Frames) -> bool {
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
    let same_prefix = || frames.inside.iter().any(both);
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
