use std::net::Ipv6Addr;

use etherparse::{IpNumber, Ipv6HeaderSlice};

use crate::extension::{Chain, Extension, Fault};
use crate::network::{self, Delivery, Ip, Place};
use crate::window::Window;
use crate::{Fragment, Frames, Parsed, fragment};

/// The bytes of the header, without extensions.
const FIXED: usize = 40;

/// Reads an IPv6 packet, and what follows it.
pub(crate) fn read(
    packet: Window<'_>,
    delivery: Delivery,
    zone: u32,
    frames: &Frames,
    place: Place,
) -> Parsed {
    match header(packet, delivery) {
        Ok(ip) => network::read(&ip, zone, frames, place),
        Err(reason) => Parsed::Drop(reason),
    }
}

/// Whether it stands for an IPv4 address, which would then have two names.
pub(crate) fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

fn header(packet: Window<'_>, delivery: Delivery) -> Result<Ip<'_>, &'static str> {
    let bytes = packet.read(FIXED).ok_or("ip-truncated")?;
    // The length is checked, what is left is the version.
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| "ip-header")?;
    let length = usize::from(header.payload_length());
    if FIXED + length > packet.len() {
        return Err("ip-length");
    }
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if is_martian(source, destination) {
        return Err("martian");
    }
    if !delivery.suits(destination.into()) {
        return Err("group-mac");
    }
    let (protocol, fragment, payload) = extensions(Chain::new(
        header.next_header(),
        packet.after(FIXED).first(length),
    ))?;
    Ok(Ip {
        delivery,
        source: source.into(),
        destination: destination.into(),
        hops: header.hop_limit(),
        protocol,
        fragment,
        payload,
    })
}

fn is_martian(source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    let nobody = |address: Ipv6Addr| address.is_loopback() || is_mapped(address);
    source.is_multicast()
        || nobody(source)
        || nobody(destination)
        || destination.is_unspecified()
        || source == destination
}

fn extensions(mut chain: Chain<'_>) -> Result<(IpNumber, Fragment, Window<'_>), &'static str> {
    let mut fragment = Fragment::Whole;
    loop {
        let extension = chain.step().map_err(|fault| match fragment {
            Fragment::First { .. } if fault == Fault::DoesNotFit => "fragment-tiny",
            _ => "extension-header",
        })?;
        match extension {
            None => return Ok((chain.next, fragment, chain.rest)),
            Some(
                Extension::Skipped
                | Extension::Fragment {
                    offset: 0,
                    more: false,
                },
            ) => {}
            Some(Extension::Routing {
                kind,
                segments_left,
            }) => {
                if kind == 0 || segments_left > 0 {
                    return Err("source-route");
                }
            }
            Some(Extension::Fragment { offset, more }) => {
                fragment = fragment::classify(offset, more, chain.rest.len(), 0)?;
                if let Fragment::Later { .. } = fragment {
                    // What follows is the middle of something; only the first says of what.
                    return Ok((IpNumber(0), fragment, chain.rest));
                }
            }
        }
    }
}
