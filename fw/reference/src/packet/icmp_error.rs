use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::extension::{Chain, Extension};
use crate::icmp::Message;
use crate::ipv6::is_mapped;
use crate::window::Window;

/// The packet that an error is about, as it was sent.
#[derive(Debug)]
pub(crate) struct Quoted {
    pub(crate) protocol: IpNumber,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
}

/// Reads the quoted packet of an error to `destination`. None if that is no packet it sent, or
/// none that can be told.
pub(crate) fn read(quote: Window<'_>, destination: IpAddr) -> Option<Quoted> {
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
