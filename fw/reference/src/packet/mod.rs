//! The parser. Its files import each other in a circle, because protocols contain each other: a
//! frame carries IP, IP carries UDP, and UDP may carry a tunnel with a frame again. An ICMP error
//! carries an IP packet. That is why the parser is one folder; the other files of the crate call
//! [`parse`] only.

use crate::{Frames, Parsed};

/// Ethernet frames.
mod ethernet;
/// The chain of IPv6 extension headers.
mod extension;
/// The part of a packet that a fragment holds.
mod fragment;
/// Kinds of ICMP and ICMPv6 messages.
mod icmp;
/// The packet that an ICMP error quotes.
mod icmp_error;
/// The IPv4 header and its options.
mod ipv4;
/// The IPv6 header and its extension headers.
mod ipv6;
/// TCP, UDP, SCTP, ICMP and other protocols over IP.
mod layer4;
/// The steps after the IP header.
mod network;
/// VXLAN and Geneve.
mod tunnel;
/// A part of the outermost frame.
mod window;

/// Decides about a frame as it was received, tags included.
#[must_use]
pub fn parse(frame: &[u8], frames: &Frames) -> Parsed {
    ethernet::read(window::Window::of(frame), frames, network::Carrier::Link)
}
