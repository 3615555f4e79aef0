//! Every reason of docs/packets.md that a frame alone can have, on frames made by hand.

use std::net::IpAddr;

use bailey_reference::{Fragment, Frames, Packet, Parsed, Tunnel, TunnelKind, parse};

const A4: [u8; 4] = [10, 0, 0, 1];
const B4: [u8; 4] = [10, 1, 0, 9];
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 0x02;

fn a6() -> [u8; 16] {
    address("fd00::1")
}

fn b6() -> [u8; 16] {
    address("fd01::9")
}

fn address(text: &str) -> [u8; 16] {
    match text.parse().unwrap() {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(_) => panic!("{text} is no IPv6 address"),
    }
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    ethernet_to([2, 0, 0, 0, 0, 1], ethertype, payload)
}

fn ethernet_to(destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend([2, 0, 0, 0, 0, 2]);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

struct Ipv4 {
    source: [u8; 4],
    destination: [u8; 4],
    ttl: u8,
    protocol: u8,
    fragment: u16,
    options: Vec<u8>,
}

fn ipv4(protocol: u8) -> Ipv4 {
    Ipv4 {
        source: A4,
        destination: B4,
        ttl: 64,
        protocol,
        fragment: 0,
        options: Vec::new(),
    }
}

impl Ipv4 {
    fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let total = (header + payload.len()) as u16;
        let mut packet = vec![0x40 | (header / 4) as u8, 0];
        packet.extend(total.to_be_bytes());
        packet.extend([0, 7]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.source);
        packet.extend(self.destination);
        packet.extend(&self.options);
        packet.extend(payload);
        packet
    }

    fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(0x0800, &self.packet(payload))
    }
}

struct Ipv6 {
    source: [u8; 16],
    destination: [u8; 16],
    hop_limit: u8,
    next: u8,
}

fn ipv6(next: u8) -> Ipv6 {
    Ipv6 {
        source: a6(),
        destination: b6(),
        hop_limit: 64,
        next,
    }
}

impl Ipv6 {
    fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([self.next, self.hop_limit]);
        packet.extend(self.source);
        packet.extend(self.destination);
        packet.extend(payload);
        packet
    }

    fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(0x86dd, &self.packet(payload))
    }
}

fn tcp(flags: u8) -> Vec<u8> {
    let mut segment = vec![0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags];
    segment.extend([0; 6]);
    segment
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = source.to_be_bytes().to_vec();
    datagram.extend(destination.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

fn icmp(kind: u8, identifier: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend([0, 1]);
    message.extend(payload);
    message
}

/// An extension header of one unit.
fn extension(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}

fn fragment_header(next: u8, field: u16) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend(field.to_be_bytes());
    header.extend([0, 0, 0, 7]);
    header
}

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn tunnels() -> Frames {
    let peers = vec!["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()];
    Frames {
        vlan_zones: true,
        tunnels: vec![
            Tunnel {
                kind: TunnelKind::Vxlan,
                port: 4789,
                peers: peers.clone(),
            },
            Tunnel {
                kind: TunnelKind::Geneve,
                port: 6081,
                peers,
            },
        ],
        ..Frames::default()
    }
}

fn vxlan(frame: &[u8]) -> Vec<u8> {
    ipv4(UDP).frame(&udp(1, 4789, &concat(&[&[8, 0, 0, 0, 0, 0, 1, 0], frame])))
}

fn geneve(header: [u8; 8], rest: &[u8]) -> Vec<u8> {
    ipv6(UDP).frame(&udp(1, 6081, &concat(&[&header, rest])))
}

#[track_caller]
fn drops(frame: &[u8], reason: &'static str) {
    assert_eq!(parse(frame, &Frames::default()), Parsed::Drop(reason));
}

#[track_caller]
fn passes(frame: &[u8], reason: &'static str) {
    assert_eq!(parse(frame, &Frames::default()), Parsed::Pass(reason));
}

#[track_caller]
fn packet(frame: &[u8]) -> Packet {
    packet_of(frame, &Frames::default())
}

#[track_caller]
fn packet_of(frame: &[u8], frames: &Frames) -> Packet {
    match parse(frame, frames) {
        Parsed::Packet(packet) => packet,
        other => panic!("{other:?}"),
    }
}

#[test]
fn eth_truncated() {
    drops(&[0; 13], "eth-truncated");
    drops(&ethernet(0x8100, &[0, 5, 8]), "eth-truncated");
}

#[test]
fn vlan() {
    drops(&ethernet(0x88a8, &[0, 5, 0x81, 0, 0, 6, 0x91, 0]), "vlan");
}

#[test]
fn vlans_are_zones() {
    let tagged = |tags: &[u8]| ethernet(0x8100, &concat(&[tags, &ipv4(TCP).packet(&tcp(SYN))]));
    let one = tagged(&[0xe0, 5, 8, 0]);
    let zones = Frames {
        vlan_zones: true,
        ..Frames::default()
    };
    assert_eq!(packet(&one).zone, 0);
    assert_eq!(packet_of(&one, &zones).zone, 5);
    assert_eq!(
        packet_of(&tagged(&[0, 5, 0x91, 0, 0, 6, 8, 0]), &zones).zone,
        5 * 4096 + 6
    );
    assert_eq!(
        packet_of(&tagged(&[0, 5, 0x91, 0, 0, 0, 8, 0]), &zones).zone,
        5
    );
    assert_eq!(
        packet_of(&tagged(&[0, 0, 0x91, 0, 0, 6, 8, 0]), &zones).zone,
        6
    );
}

#[test]
fn arp() {
    passes(&ethernet(0x0806, &[]), "arp");
}

#[test]
fn link_local_control() {
    passes(
        &ethernet_to([1, 0x80, 0xc2, 0, 0, 0x0f], 0x88cc, &[]),
        "link-local-control",
    );
    drops(
        &ethernet_to([1, 0x80, 0xc2, 0, 0, 0x10], 0x88cc, &[]),
        "ethertype",
    );
}

#[test]
fn llc() {
    let bridge = Frames {
        bridge: true,
        ..Frames::default()
    };
    let frame = ethernet(0x0026, &[0x42, 0x42, 3]);
    assert_eq!(parse(&frame, &bridge), Parsed::Pass("llc"));
    drops(&frame, "ethertype");
    assert_eq!(
        parse(&ethernet(0x0026, &[0xaa, 0xaa, 3]), &bridge),
        Parsed::Drop("ethertype")
    );
    assert_eq!(
        parse(&ethernet(0x0026, &[0x42]), &bridge),
        Parsed::Drop("ethertype")
    );
    assert_eq!(
        parse(&ethernet(0x0026, &[0x06, 0x06, 3]), &bridge),
        Parsed::Drop("ethertype"),
        "IP has a SAP, too"
    );
}

/// PVST+, CDP, UDLD, EDP; and what would be another way for IP.
#[test]
fn snap() {
    let bridge = Frames {
        bridge: true,
        ..Frames::default()
    };
    let group = [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd];
    let station = [0x02, 0, 0, 0, 0, 1];
    let parsed = |to: [u8; 6], vendor: [u8; 3], kind: u16| {
        let header = concat(&[&[0xaa, 0xaa, 3], &vendor, &kind.to_be_bytes()]);
        parse(&ethernet_to(to, 0x0026, &header), &bridge)
    };
    for (vendor, kind) in [
        ([0, 0, 0x0c], 0x010b),
        ([0, 0, 0x0c], 0x2000),
        ([0, 0, 0x0c], 0x0111),
        ([0, 0xe0, 0x2b], 0x00bb),
    ] {
        assert_eq!(
            parsed(group, vendor, kind),
            Parsed::Pass("llc"),
            "{kind:04x}"
        );
        assert_eq!(parsed(station, vendor, kind), Parsed::Drop("ethertype"));
    }
    for (vendor, kind) in [
        ([0, 0, 0], 0x0800),
        ([0, 0, 0], 0x88cc),
        ([0, 0, 0xf8], 0x86dd),
        ([0, 0x80, 0xc2], 0x0007),
        ([0, 0, 0x0c], 0x0800),
        ([0, 0, 0x0c], 0x8100),
    ] {
        assert_eq!(
            parsed(group, vendor, kind),
            Parsed::Drop("ethertype"),
            "{kind:04x}"
        );
    }
}

#[test]
fn ethertype() {
    let frame = ethernet(0x8847, &[]);
    drops(&frame, "ethertype");
    let allowed = Frames {
        ethertypes: vec![0x8847],
        ..Frames::default()
    };
    assert_eq!(parse(&frame, &allowed), Parsed::Pass("ethertype-allowed"));
}

#[test]
fn ip_truncated() {
    drops(&ethernet(0x0800, &[0x45; 19]), "ip-truncated");
    drops(&ethernet(0x86dd, &[0x60; 39]), "ip-truncated");
}

#[test]
fn ip_header() {
    let with = |at: usize, value: u8| {
        let mut frame = ipv4(TCP).frame(&tcp(SYN));
        frame[at] = value;
        frame
    };
    drops(&with(14, 0x65), "ip-header");
    drops(&with(14, 0x44), "ip-header");
    let mut frame = ipv6(TCP).frame(&tcp(SYN));
    frame[14] = 0x40;
    drops(&frame, "ip-header");
    for options in [[1, 1, 1, 148], [148, 1, 0, 0], [148, 5, 0, 0]] {
        drops(
            &Ipv4 {
                options: options.to_vec(),
                ..ipv4(TCP)
            }
            .frame(&tcp(SYN)),
            "ip-header",
        );
    }
    packet(
        &Ipv4 {
            options: vec![1, 0, 148, 0],
            ..ipv4(TCP)
        }
        .frame(&tcp(SYN)),
    );
}

#[test]
fn ip_length() {
    for total in [0, 19, 41] {
        let mut frame = ipv4(TCP).frame(&tcp(SYN));
        frame[17] = total;
        drops(&frame, "ip-length");
    }
    // Options beyond the frame.
    let mut frame = ipv4(TCP).frame(&[]);
    frame[14] = 0x46;
    drops(&frame, "ip-length");
    let mut frame = ipv6(TCP).frame(&tcp(SYN));
    frame[19] += 1;
    drops(&frame, "ip-length");
}

#[test]
fn padding_is_no_payload() {
    let mut frame = ipv4(TCP).frame(&tcp(SYN)[..19]);
    frame.extend([0; 20]);
    drops(&frame, "l4-truncated");
}

#[test]
fn martian() {
    for source in [
        [0, 0, 0, 1],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [255; 4],
        [0; 4],
    ] {
        drops(
            &Ipv4 {
                source,
                ..ipv4(TCP)
            }
            .frame(&tcp(SYN)),
            "martian",
        );
    }
    for destination in [[0; 4], [127, 9, 9, 9]] {
        drops(
            &Ipv4 {
                destination,
                ..ipv4(TCP)
            }
            .frame(&tcp(SYN)),
            "martian",
        );
    }
    for source in ["ff02::1", "::1", "::ffff:10.0.0.1", "::"] {
        drops(
            &Ipv6 {
                source: address(source),
                ..ipv6(TCP)
            }
            .frame(&tcp(SYN)),
            "martian",
        );
    }
    for destination in ["::1", "::ffff:10.0.0.1", "::"] {
        let destination = address(destination);
        drops(
            &Ipv6 {
                destination,
                ..ipv6(TCP)
            }
            .frame(&tcp(SYN)),
            "martian",
        );
    }
    // Layer 4 comes first.
    drops(
        &Ipv4 {
            source: [0; 4],
            ..ipv4(TCP)
        }
        .frame(&tcp(0)),
        "tcp-flags",
    );
}

#[test]
fn source_route() {
    for kind in [131, 137] {
        let options = vec![1, kind, 3, 4];
        drops(
            &Ipv4 {
                options,
                ..ipv4(TCP)
            }
            .frame(&tcp(SYN)),
            "source-route",
        );
    }
    drops(
        &ipv6(43).frame(&concat(&[&[TCP, 0, 0, 0, 0, 0, 0, 0], &tcp(SYN)])),
        "source-route",
    );
    drops(
        &ipv6(43).frame(&concat(&[&[TCP, 0, 4, 1, 0, 0, 0, 0], &tcp(SYN)])),
        "source-route",
    );
    packet(&ipv6(43).frame(&concat(&[&[TCP, 0, 4, 0, 0, 0, 0, 0], &tcp(SYN)])));
}

#[test]
fn extension_header() {
    let late = concat(&[&extension(0), &extension(TCP), &tcp(SYN)]);
    drops(&ipv6(60).frame(&late), "extension-header");
    drops(
        &ipv6(60).frame(&[TCP, 1, 0, 0, 0, 0, 0, 0]),
        "extension-header",
    );
    drops(&ipv6(60).frame(&[TCP, 0, 0, 0]), "extension-header");
    let twice = concat(&[&fragment_header(44, 0), &fragment_header(TCP, 0), &tcp(SYN)]);
    drops(&ipv6(44).frame(&twice), "extension-header");
}

#[test]
fn extension_header_at_most_eight() {
    let chain = |headers: usize| {
        let chain = [extension(60)].repeat(headers - 1).concat();
        ipv6(60).frame(&concat(&[&chain, &extension(TCP), &tcp(SYN)]))
    };
    assert_eq!(packet(&chain(8)).protocol, TCP);
    drops(&chain(9), "extension-header");
}

#[test]
fn extension_header_authentication() {
    let header = [TCP, 4, 0, 0]
        .iter()
        .copied()
        .chain([0; 20])
        .collect::<Vec<_>>();
    assert_eq!(
        packet(&ipv6(51).frame(&concat(&[&header, &tcp(SYN)]))).destination_port,
        80
    );
}

#[test]
fn extension_header_within_512_bytes() {
    // The second begins at byte 54 + 8 × units of the frame.
    let chain = |units: u8, length: usize| {
        let mut first = vec![0; usize::from(units) * 8];
        first[..2].copy_from_slice(&[60, units - 1]);
        let mut second = vec![0; length];
        second[..2].copy_from_slice(&[47, (length / 8 - 1) as u8]);
        ipv6(60).frame(&concat(&[&first, &second]))
    };
    // 54 + 8 × 56 = 502.
    assert_eq!(packet(&chain(56, 64)).protocol, 47);
    drops(&chain(57, 8), "extension-header");
}

#[test]
fn fragment_tiny() {
    let first = Ipv4 {
        fragment: 0x2000,
        ..ipv4(TCP)
    };
    drops(&first.frame(&tcp(SYN)[..16]), "fragment-tiny");
    let mut options = concat(&[&tcp(SYN), &[0; 4]]);
    options[12] = 0x70;
    drops(&first.frame(&options), "fragment-tiny");
    let tiny = concat(&[&fragment_header(60, 1), &[TCP, 1, 0, 0, 0, 0, 0, 0]]);
    drops(&ipv6(44).frame(&tiny), "fragment-tiny");
}

#[test]
fn l4_truncated() {
    drops(&ipv4(TCP).frame(&tcp(SYN)[..19]), "l4-truncated");
    drops(&ipv6(UDP).frame(&udp(1, 2, &[])[..7]), "l4-truncated");
    drops(&ipv4(132).frame(&[0; 15]), "l4-truncated");
    let init = concat(&[&[0; 12], &[1], &[0; 18]]);
    drops(&ipv4(132).frame(&init), "l4-truncated");
    drops(&ipv4(1).frame(&[8; 7]), "l4-truncated");
    drops(&ipv6(58).frame(&[135; 7]), "l4-truncated");
    let far = concat(&[&[TCP, 55], &[0; 446], &tcp(SYN)]);
    drops(&ipv6(60).frame(&far), "l4-truncated");
}

#[test]
fn l4_header() {
    for offset in [0x40, 0x60] {
        let mut segment = tcp(SYN);
        segment[12] = offset;
        drops(&ipv4(TCP).frame(&segment), "l4-header");
    }
    for length in [7, 9] {
        let mut datagram = udp(1, 2, &[]);
        datagram[5] = length;
        drops(&ipv4(UDP).frame(&datagram), "l4-header");
    }
    let init = concat(&[&[0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 1], &[0; 19]]);
    drops(&ipv6(132).frame(&init), "l4-header");
}

#[test]
fn tcp_flags() {
    for flags in [0x00, 0x01, 0x03, 0x06, 0x08, 0x20, 0x29, 0x3f] {
        drops(&ipv4(TCP).frame(&tcp(flags)), "tcp-flags");
    }
    for flags in [0x02, 0x22, 0x12, 0x04, 0x14, 0x11, 0x31, 0x10, 0x30] {
        let opens = flags & 0x17 == SYN;
        assert_eq!(
            packet(&ipv4(TCP).frame(&tcp(flags | 0xc8))).opens,
            opens,
            "{flags:#x}"
        );
    }
}

#[test]
fn ports_and_what_opens() {
    let udp = packet(&ipv6(UDP).frame(&udp(53, 40000, &[])));
    assert_eq!(
        (udp.source_port, udp.destination_port, udp.opens),
        (53, 40000, true)
    );
    let request = packet(&ipv4(1).frame(&icmp(8, 77, &[])));
    assert_eq!(
        (request.source_port, request.destination_port, request.opens),
        (77, 0, true)
    );
    let reply = packet(&ipv6(58).frame(&icmp(129, 77, &[])));
    assert_eq!(
        (reply.source_port, reply.destination_port, reply.opens),
        (0, 77, false)
    );
    let init = packet(&ipv4(132).frame(&concat(&[&[0, 1, 0, 2], &[0; 8], &[1], &[0; 19]])));
    assert_eq!(
        (init.source_port, init.destination_port, init.opens),
        (1, 2, true)
    );
    let data = packet(&ipv4(132).frame(&[0; 16]));
    assert!(!data.opens);
    let gre = packet(&ipv4(47).frame(&[]));
    assert_eq!((gre.protocol, gre.source_port, gre.opens), (47, 0, true));
    assert_eq!(packet(&ipv6(59).frame(&[])).protocol, 59);
    assert_eq!(packet(&ipv4(58).frame(&[])).protocol, 58);
}

#[test]
fn nd() {
    let solicitation = icmp(135, 0, &[]);
    passes(
        &Ipv6 {
            hop_limit: 255,
            destination: address("fe80::9"),
            ..ipv6(58)
        }
        .frame(&solicitation),
        "nd",
    );
    let source = address("::");
    passes(
        &Ipv6 {
            hop_limit: 255,
            destination: address("fe80::9"),
            source,
            ..ipv6(58)
        }
        .frame(&solicitation),
        "nd",
    );
    drops(&ipv6(58).frame(&solicitation), "nd-hop-limit");
    let between = |kind: u8, source: &str, destination: &str| {
        let packet = Ipv6 {
            hop_limit: 255,
            source: address(source),
            destination: address(destination),
            ..ipv6(58)
        };
        let group = destination.starts_with("ff");
        let to = if group {
            [0x33, 0x33, 0, 0, 0, 1]
        } else {
            [2, 0, 0, 0, 0, 1]
        };
        ethernet_to(to, 0x86dd, &packet.packet(&icmp(kind, 0, &[])))
    };
    let machine = Frames {
        subnets: vec!["fd00::/64".parse().unwrap()],
        ..Frames::default()
    };
    let bridge = Frames {
        bridge: true,
        ..Frames::default()
    };
    for (kind, source, destination) in [
        (133, "::", "ff02::2"),
        (133, "fd00::9", "fe80::1"),
        (134, "fe80::1", "ff02::1"),
        (135, "::", "ff02::1:ff00:9"),
        (135, "fd00::9", "fd00::8"),
        (135, "fe80::1", "fd00::8"),
        (136, "fd00::8", "ff02::1"),
        (137, "fe80::1", "fe80::9"),
    ] {
        let frame = between(kind, source, destination);
        assert_eq!(parse(&frame, &machine), Parsed::Pass("nd"), "{kind}");
        assert_eq!(parse(&frame, &bridge), Parsed::Pass("nd"), "{kind}");
    }
    // Two in one /64 are neighbours of a machine only if it is in that subnet.
    drops(&between(135, "fd00::9", "fd00::8"), "nd-scope");
    for (kind, source, destination) in [
        (133, "fd00::9", "2001:db8::1"),
        (133, "fd00::9", "ff05::2"),
        (134, "fd00::1", "ff02::1"),
        (135, "fd00::9", "2001:db8::1"),
        (135, "::", "fd00::8"),
        (136, "fd00::9", "ff0e::1"),
        (137, "fd00::9", "2001:db8::1"),
        (137, "fe80::1", "2001:db8::1"),
    ] {
        let frame = between(kind, source, destination);
        assert_eq!(parse(&frame, &machine), Parsed::Drop("nd-scope"), "{kind}");
    }
    let wide = Frames {
        inside: vec!["fd00::/48".parse().unwrap()],
        ..Frames::default()
    };
    let neighbours = between(135, "fd00::9", "fd00:0:0:1::9");
    drops(&neighbours, "nd-scope");
    assert_eq!(parse(&neighbours, &wide), Parsed::Pass("nd"));
    let first = concat(&[&fragment_header(58, 1), &solicitation]);
    drops(
        &Ipv6 {
            hop_limit: 255,
            ..ipv6(44)
        }
        .frame(&first),
        "fragment",
    );
}

#[test]
fn multicast_control() {
    for source in ["fe80::1", "::"] {
        let source = address(source);
        passes(
            &Ipv6 {
                hop_limit: 1,
                source,
                ..ipv6(58)
            }
            .frame(&icmp(143, 0, &[])),
            "multicast-control",
        );
    }
    assert_eq!(
        packet(
            &Ipv6 {
                hop_limit: 1,
                ..ipv6(58)
            }
            .frame(&icmp(143, 0, &[]))
        )
        .protocol,
        58
    );
    let igmp = Ipv4 {
        ttl: 1,
        source: [0; 4],
        destination: [224, 0, 0, 22],
        ..ipv4(2)
    };
    let report = ethernet_to([1, 0, 0x5e, 0, 0, 22], 0x0800, &igmp.packet(&[]));
    passes(&report, "multicast-control");
    drops(&igmp.frame(&[]), "group-mac");
    assert_eq!(packet(&Ipv4 { ttl: 1, ..ipv4(2) }.frame(&[])).protocol, 2);
}

#[test]
fn dhcp() {
    let source = [0; 4];
    let discover = Ipv4 {
        source,
        destination: [255; 4],
        ..ipv4(UDP)
    }
    .packet(&udp(68, 67, &[]));
    let discover = ethernet_to([0xff; 6], 0x0800, &discover);
    passes(&discover, "dhcp");
    for (source, destination) in [("fe80::1", "fd00::2"), ("fd00::2", "fe80::1")] {
        let packet = Ipv6 {
            source: address(source),
            destination: address(destination),
            ..ipv6(UDP)
        };
        passes(&packet.frame(&udp(547, 546, &[])), "dhcp");
    }
    for group in ["ff02::1:2", "ff05::1:3"] {
        let packet = Ipv6 {
            destination: address(group),
            ..ipv6(UDP)
        };
        let frame = ethernet_to(
            [0x33, 0x33, 0, 1, 0, 2],
            0x86dd,
            &packet.packet(&udp(546, 547, &[])),
        );
        passes(&frame, "dhcp");
    }
    // With a server behind routers, or with anybody: what policy is about.
    assert_eq!(
        packet(&ipv6(UDP).frame(&udp(547, 546, &[]))).destination_port,
        546
    );
    assert_eq!(
        packet(&ipv4(UDP).frame(&udp(68, 67, &[]))).destination_port,
        67
    );
    assert_eq!(
        packet(&ipv6(UDP).frame(&udp(67, 68, &[]))).destination_port,
        68
    );
    let off = Frames {
        dhcp: false,
        ..Frames::default()
    };
    assert_eq!(parse(&discover, &off), Parsed::Drop("martian"));
    let first = Ipv4 {
        fragment: 0x2000,
        ..ipv4(UDP)
    }
    .frame(&udp(68, 67, &[]));
    assert_eq!(packet(&first).destination_port, 67);
}

#[test]
fn related() {
    // What B sent to A, quoted to B by a router.
    let sent = Ipv4 {
        source: B4,
        destination: A4,
        ..ipv4(UDP)
    }
    .packet(&udp(1000, 53, &[0; 64]));
    let error = packet(&ipv4(1).frame(&icmp(3, 0, &sent[..28])));
    assert_eq!(
        error,
        Packet {
            zone: 0,
            protocol: UDP,
            source: IpAddr::from(A4),
            destination: IpAddr::from(B4),
            source_port: 53,
            destination_port: 1000,
            opens: false,
            related: true,
            fragment: Fragment::Whole,
            for_group: false,
        }
    );
    let sent = Ipv6 {
        source: b6(),
        destination: a6(),
        ..ipv6(60)
    }
    .packet(&concat(&[&extension(58), &icmp(128, 77, &[])]));
    let error = packet(&ipv6(58).frame(&icmp(1, 0, &sent)));
    assert_eq!((error.source_port, error.destination_port), (0, 77));
    assert!(error.related && !error.opens && error.protocol == 58);
}

#[test]
fn icmp_error_payload() {
    let sent = Ipv4 {
        source: B4,
        destination: A4,
        ..ipv4(UDP)
    };
    let quote = |packet: &[u8]| ipv4(1).frame(&icmp(11, 0, packet));
    let reason = "icmp-error-payload";
    drops(&quote(&[]), reason);
    drops(&quote(&ipv6(UDP).packet(&udp(1, 2, &[]))), reason);
    drops(&quote(&sent.packet(&udp(1, 2, &[])[..7])), reason);
    drops(&quote(&ipv4(UDP).packet(&udp(1, 2, &[]))), reason);
    let later = Ipv4 {
        source: B4,
        fragment: 1,
        ..ipv4(UDP)
    };
    drops(&quote(&later.packet(&udp(1, 2, &[]))), reason);
    let error = Ipv4 {
        source: B4,
        ..ipv4(1)
    };
    drops(&quote(&error.packet(&icmp(3, 0, &[]))), reason);

    let quote = |next: u8, payload: &[u8]| {
        let sent = Ipv6 {
            source: b6(),
            destination: a6(),
            ..ipv6(next)
        };
        ipv6(58).frame(&icmp(1, 0, &sent.packet(payload)))
    };
    let end = udp(1, 2, &[]);
    drops(
        &quote(60, &concat(&[&extension(0), &extension(UDP), &end])),
        reason,
    );
    drops(
        &quote(43, &concat(&[&[UDP, 0, 4, 1, 0, 0, 0, 0], end.as_slice()])),
        reason,
    );
    drops(
        &quote(44, &concat(&[&fragment_header(UDP, 8), &end])),
        reason,
    );
    assert!(packet(&quote(44, &concat(&[&fragment_header(UDP, 1), &end]))).related);
    drops(
        &quote(
            60,
            &concat(&[&[extension(60); 8].concat(), &extension(UDP), &end]),
        ),
        reason,
    );
    let mapped = Ipv6 {
        source: b6(),
        destination: address("::ffff:10.0.0.1"),
        ..ipv6(UDP)
    }
    .packet(&end);
    drops(&ipv6(58).frame(&icmp(1, 0, &mapped)), reason);
}

#[test]
fn fragment() {
    let with = |fragment: u16| Ipv4 {
        fragment,
        ..ipv4(UDP)
    };
    drops(&with(0x0001).frame(&[]), "fragment");
    drops(&with(0x2001).frame(&[0; 12]), "fragment");
    // 65528 + 8 bytes is too much; with the header of 20, so is 65512 + 8.
    drops(&with(8189).frame(&[0; 8]), "fragment");
    let with6 = |field: u16, bytes: usize| {
        ipv6(44).frame(&concat(&[&fragment_header(UDP, field), &vec![0; bytes]]))
    };
    drops(&with6(8191 << 3, 8), "fragment");
    assert_eq!(
        packet(&with6(8191 << 3, 7)).fragment,
        Fragment::Later { offset: 65528 }
    );
    drops(&with6(1 << 3 | 1, 9), "fragment");
    // An error as a fragment.
    drops(
        &Ipv4 {
            fragment: 0x2000,
            ..ipv4(1)
        }
        .frame(&icmp(3, 0, &[])),
        "fragment",
    );
}

#[test]
fn fragments() {
    let first = packet(
        &Ipv4 {
            fragment: 0x2000,
            ..ipv4(UDP)
        }
        .frame(&udp(1, 2, &[0; 8])),
    );
    assert_eq!(
        (first.source_port, first.destination_port, first.opens),
        (1, 2, true)
    );
    assert_eq!(first.fragment, Fragment::First { bytes: 16 });
    let later = packet(
        &Ipv4 {
            fragment: 0x0002,
            ..ipv4(UDP)
        }
        .frame(&[0; 5]),
    );
    assert_eq!(
        (later.protocol, later.source_port, later.opens),
        (UDP, 0, false)
    );
    assert_eq!(later.fragment, Fragment::Later { offset: 16 });
    let later = packet(&ipv6(44).frame(&concat(&[&fragment_header(UDP, 16), &[0; 5]])));
    assert_eq!(
        (later.protocol, later.fragment),
        (0, Fragment::Later { offset: 16 })
    );
    let atomic = packet(&ipv6(44).frame(&concat(&[&fragment_header(TCP, 0), &tcp(SYN)])));
    assert_eq!(
        (atomic.destination_port, atomic.fragment),
        (80, Fragment::Whole)
    );
}

#[test]
fn tunnel_peer() {
    let frame = Ipv4 {
        source: B4,
        destination: A4,
        ..ipv4(UDP)
    }
    .frame(&udp(1, 4789, &[]));
    assert_eq!(parse(&frame, &tunnels()), Parsed::Drop("tunnel-peer"));
    assert_eq!(packet(&frame).destination_port, 4789);
}

#[test]
fn tunnel_header() {
    let dropped = Parsed::Drop("tunnel-header");
    let inner = ethernet(0x0806, &[]);
    for header in [[0; 8].as_slice(), &[8; 7]] {
        let frame = ipv4(UDP).frame(&udp(1, 4789, header));
        assert_eq!(parse(&frame, &tunnels()), dropped);
    }
    for header in [
        [0x40, 0, 0x65, 0x58, 0, 0, 0, 0],
        [0, 0x80, 0x65, 0x58, 0, 0, 0, 0],
        [0, 0, 0x08, 0x06, 0, 0, 0, 0],
        [0x3f, 0, 0x65, 0x58, 0, 0, 0, 0],
    ] {
        assert_eq!(
            parse(&geneve(header, &inner), &tunnels()),
            dropped,
            "{header:?}"
        );
    }
}

#[test]
fn tunnels_carry_frames() {
    let tagged = ethernet(
        0x8100,
        &concat(&[&[0, 5, 0x86, 0xdd], &*ipv6(TCP).packet(&tcp(SYN))]),
    );
    let inner = packet_of(&vxlan(&tagged), &tunnels());
    assert_eq!(
        (inner.zone, inner.protocol, inner.destination_port),
        (5, TCP, 80)
    );
    assert_eq!(
        parse(&vxlan(&ethernet(0x0806, &[])), &tunnels()),
        Parsed::Pass("arp")
    );
    let control = ethernet_to([1, 0x80, 0xc2, 0, 0, 0], 0x88cc, &[]);
    assert_eq!(
        parse(&vxlan(&control), &tunnels()),
        Parsed::Pass("link-local-control")
    );
    let allowed = Frames {
        ethertypes: vec![0x8847],
        ..tunnels()
    };
    assert_eq!(
        parse(&vxlan(&ethernet(0x8847, &[])), &allowed),
        Parsed::Drop("ethertype")
    );
    // With an option, and without a frame.
    let options = concat(&[&[0; 4], &ipv4(TCP).packet(&tcp(SYN))]);
    let inner = packet_of(&geneve([1, 0, 8, 0, 0, 0, 0, 0], &options), &tunnels());
    assert_eq!(inner.source, IpAddr::from(A4));
    // A tunnel in a tunnel is a datagram.
    let inner = packet_of(&vxlan(&vxlan(&tagged)), &tunnels());
    assert_eq!(inner.destination_port, 4789);
}

#[test]
fn tunnels_end_with_their_datagram() {
    let mut frame = vxlan(&ipv4(TCP).frame(&tcp(SYN)));
    // The UDP length, one less; the IP header still has the byte.
    frame[39] -= 1;
    assert_eq!(parse(&frame, &tunnels()), Parsed::Drop("ip-length"));
}

#[test]
fn tunnels_are_not_fragmented() {
    let frame = Ipv4 {
        fragment: 0x2000,
        ..ipv4(UDP)
    }
    .frame(&udp(1, 4789, &[0; 8]));
    assert_eq!(parse(&frame, &tunnels()), Parsed::Drop("fragment"));
}
