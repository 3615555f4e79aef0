//! The packet that an ICMP error quotes.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::extension::{Chain, Extension};
use super::icmp::Message;
use super::ipv6::is_mapped;
use super::window::Window;

/// The quoted packet, as its sender sent it.
#[derive(Debug)]
pub(super) struct Quoted {
    pub(super) protocol: IpNumber,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
}

/// Reads the quoted packet of an error to `destination`. Returns `None` if `destination` has not
/// sent the packet, or if the packet cannot be read.
pub(super) fn read(quote: Window<'_>, destination: IpAddr) -> Option<Quoted> {
    let (protocol, from, to, payload) = match destination {
        IpAddr::V4(_) => ipv4(quote)?,
        IpAddr::V6(_) => ipv6(quote)?,
    };
    if from != destination {
        return None;
    }
    let (source_port, destination_port) = ports(protocol, payload, destination.is_ipv6())?;
    Some(Quoted {
        protocol,
        source: from,
        destination: to,
        source_port,
        destination_port,
    })
}

/// Protocol, source, destination and payload of the quoted packet.
type Header<'a> = (IpNumber, IpAddr, IpAddr, Window<'a>);

fn ipv4(quote: Window<'_>) -> Option<Header<'_>> {
    quote.read(20)?;
    let header = Ipv4HeaderSlice::from_slice(quote.bytes()).ok()?;
    if header.fragments_offset().value() != 0 {
        return None;
    }
    let payload = quote.after(header.slice().len());
    Some((
        header.protocol(),
        header.source_addr().into(),
        header.destination_addr().into(),
        payload,
    ))
}

fn ipv6(quote: Window<'_>) -> Option<Header<'_>> {
    let header = Ipv6HeaderSlice::from_slice(quote.read(40)?).ok()?;
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if is_mapped(source) || is_mapped(destination) {
        return None;
    }
    let mut chain = Chain::new(header.next_header(), quote.after(40));
    while let Some(extension) = chain.step().ok()? {
        match extension {
            Extension::Routing { kind: 0, .. }
            | Extension::Routing {
                segments_left: 1.., ..
            }
            | Extension::Fragment { offset: 1.., .. } => return None,
            Extension::Routing { .. } | Extension::Fragment { .. } | Extension::Skipped => {}
        }
    }
    Some((chain.next, source.into(), destination.into(), chain.rest))
}

fn ports(protocol: IpNumber, payload: Window<'_>, ipv6: bool) -> Option<(u16, u16)> {
    match (protocol, ipv6) {
        (IpNumber::TCP | IpNumber::UDP | IpNumber::SCTP, _) => {
            let header = payload.read(8)?;
            let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
            Some((port(0), port(2)))
        }
        (IpNumber::ICMP, false) | (IpNumber::IPV6_ICMP, true) => {
            let header = payload.read(8)?;
            match Message::of(header[0], ipv6) {
                Message::Error => None,
                message => Some(message.ports(header)),
            }
        }
        _ => Some((0, 0)),
    }
}
