//! Packets that firewalls commonly mishandle, as docs/packets.md defines them: through the loaded
//! programs, with every counter.

#[path = "../harness/mod.rs"]
mod harness;

/// Fragments.
mod fragmentation;
/// IPv4 options, IPv6 extension headers, unknown protocols, lengths and padding.
mod headers;
/// ICMP errors and the flows that they quote.
mod icmp_errors;
/// Control protocols, multicast groups, link-local and impossible addresses, configured EtherTypes.
mod scope;
/// SCTP associations and verification tags.
mod sctp;
/// TCP flags, sequence numbers and reuse of ports.
mod tcp;
/// Timeouts of UDP flows.
mod timeouts;
/// VXLAN and Geneve tunnels.
mod tunnel;
/// VLAN tags and zones.
mod vlan;

use std::net::IpAddr;

use bailey_bpf::abi::*;
use bailey_config::{Frames, Settings, Timeouts, Topology, Tunnel, TunnelKind};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_datapath::program::frame::malformed::{
    Fragment, TcpSegment, ethernet, fragment, ipv6_chain, sctp_chunk, tagged,
};
use bailey_policy::{Protocol, Snapshot};
use harness::*;

const FAMILIES: [usize; 2] = [0, 1];

fn with_frames(frames: Frames) -> Harness {
    Harness::new(Settings {
        flows: 1024,
        rules: 256,
        frames,
        ..without_flood_defence()
    })
}

/// The packet in a frame: all bytes after the Ethernet header.
fn packet(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

/// A frame with the bytes from an offset on replaced.
fn patched(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// A UDP datagram of `bytes` in fragments at these offsets.
fn fragments(
    from: &str,
    to: &str,
    dport: u16,
    id: u32,
    bytes: usize,
    cuts: &[usize],
) -> Vec<Vec<u8>> {
    let mut datagram = frame::udp(40000, dport);
    datagram.resize(bytes, 0);
    let length = (bytes as u16).to_be_bytes();
    datagram[4..6].copy_from_slice(&length);
    let ends = cuts[1..].iter().copied().chain([bytes]);
    let parts = cuts.iter().zip(ends).map(|(&start, end)| {
        let part = Fragment {
            id,
            offset: start as u16,
            more: end != bytes,
        };
        fragment(ip(from), ip(to), Protocol::UDP, part, &datagram[start..end])
    });
    parts.collect()
}

/// An ICMP or ICMPv6 error (fragmentation needed, packet too big) that quotes a packet.
fn error(from: &str, to: &str, quoted: &[u8]) -> Vec<u8> {
    let (protocol, kind, code) = if ip(from).is_ipv4() {
        (Protocol::ICMP, 3, 4)
    } else {
        (Protocol::ICMPV6, 2, 0)
    };
    let mut message = vec![kind, code, 0, 0, 0, 0, 5, 0];
    message.extend(quoted);
    frame::ip(ip(from), ip(to), protocol, &message)
}
