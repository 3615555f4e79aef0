//! The IPv6 header and its extension headers.

use std::net::Ipv6Addr;

use etherparse::{IpNumber, Ipv6HeaderSlice};

use super::extension::{Chain, Extension, Fault};
use super::fragment;
use super::network::{self, Carrier, Delivery, Ip};
use super::window::Window;
use crate::{Fragment, Frames, Parsed};

/// The length of the header without extension headers, in bytes.
const FIXED: usize = 40;

/// Reads an IPv6 packet and its payload.
pub(super) fn read(
    packet: Window<'_>,
    delivery: Delivery,
    zone: u32,
    frames: &Frames,
    carrier: Carrier,
) -> Parsed {
    match header(packet, delivery) {
        Ok(ip) => network::read(&ip, zone, frames, carrier),
        Err(reason) => Parsed::Drop(reason),
    }
}

/// Whether this is an IPv4-mapped address. Such an address would give an IPv4 host a second name.
pub(super) fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

fn header(packet: Window<'_>, delivery: Delivery) -> Result<Ip<'_>, &'static str> {
    let bytes = packet.read(FIXED).ok_or("ip-truncated")?;
    // The length is checked, so that only the version can be wrong.
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| "ip-header")?;
    let length = usize::from(header.payload_length());
    if FIXED + length > packet.len() {
        return Err("ip-length");
    }
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if is_martian(source, destination) {
        return Err("martian");
    }
    if !delivery.may_carry(destination.into()) {
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

/// Whether an address of the packet is one that no host can use.
fn is_martian(source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    let is_no_host = |address: Ipv6Addr| address.is_loopback() || is_mapped(address);
    source.is_multicast()
        || is_no_host(source)
        || is_no_host(destination)
        || destination.is_unspecified()
        || source == destination
}

/// Walks the extension headers; returns the protocol, the fragment and the payload.
///
/// # Errors
///
/// The reason of the drop.
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
                    // Only the first fragment has the protocol.
                    return Ok((IpNumber(0), fragment, chain.rest));
                }
            }
        }
    }
}
