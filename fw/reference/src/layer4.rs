use std::net::IpAddr;

use etherparse::err::tcp::HeaderSliceError;
use etherparse::{IpNumber, TcpHeaderSlice, UdpHeaderSlice};

use crate::icmp::Message;
use crate::icmp_error::{self, Quoted};
use crate::network::Ip;
use crate::{Fragment, Frames};

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
        (IpNumber::ICMP, false) | (IpNumber::IPV6_ICMP, true) => icmp(ip),
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
    let is_dhcp = match (source_port, destination_port) {
        (67, 68) | (68, 67) => !ip.is_ipv6(),
        (546, 547) | (547, 546) => ip.is_ipv6(),
        _ => false,
    };
    if frames.dhcp && is_dhcp && ip.is_whole() {
        return Ok(Layer4::Pass("dhcp"));
    }
    Ok(Layer4::Flow {
        source_port,
        destination_port,
        opens: true,
    })
}

fn sctp(ip: &Ip<'_>) -> Result<Layer4, &'static str> {
    let header = head(ip, 16)?;
    let opens = header[12] == SCTP_INIT;
    if opens {
        head(ip, 32)?;
        if header[4..8] != [0; 4] {
            return Err("l4-header");
        }
    }
    Ok(Layer4::Flow {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        opens,
    })
}

fn icmp(ip: &Ip<'_>) -> Result<Layer4, &'static str> {
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
        Message::Neighbour => return Ok(Layer4::Pass("nd")),
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

fn is_mld_of_the_link(ip: &Ip<'_>) -> bool {
    let IpAddr::V6(source) = ip.source else {
        return false;
    };
    (source.is_unicast_link_local() || source.is_unspecified()) && ip.hops == 1
}
