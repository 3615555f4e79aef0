//! Protocols that pass without policy as long as they stay on the link.

use bailey_reference::{Frames, Parsed, parse};

use crate::frames::{
    Ipv4, Ipv6, UDP, address, concat, drops, ethernet_to, fragment_header, icmp, ipv4, ipv6,
    packet, passes, udp,
};

/// A neighbour discovery message of a type between two addresses, in a frame to a station or a
/// group.
fn neighbour_discovery(kind: u8, source: &str, destination: &str) -> Vec<u8> {
    let packet = Ipv6 {
        hop_limit: 255,
        source: address(source),
        destination: address(destination),
        ..ipv6(58)
    };
    let to = if destination.starts_with("ff") {
        [0x33, 0x33, 0, 0, 0, 1]
    } else {
        [2, 0, 0, 0, 0, 1]
    };
    ethernet_to(to, 0x86dd, &packet.packet(&icmp(kind, 0, &[])))
}

/// The settings of a machine in the subnet fd00::/64.
fn machine() -> Frames {
    Frames {
        subnets: vec!["fd00::/64".parse().unwrap()],
        ..Frames::default()
    }
}

#[test]
fn neighbour_discovery_needs_hop_limit_255() {
    let solicitation = icmp(135, 0, &[]);
    for source in ["fd00::1", "::"] {
        let packet = Ipv6 {
            hop_limit: 255,
            destination: address("fe80::9"),
            source: address(source),
            ..ipv6(58)
        };
        passes(&packet.frame(&solicitation), "nd");
    }
    drops(&ipv6(58).frame(&solicitation), "nd-hop-limit");
    let first = concat(&[&fragment_header(58, 1), &solicitation]);
    let fragmented = Ipv6 {
        hop_limit: 255,
        ..ipv6(44)
    };
    drops(&fragmented.frame(&first), "fragment");
}

#[test]
fn neighbour_discovery_on_the_link_passes() {
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
        let frame = neighbour_discovery(kind, source, destination);
        assert_eq!(parse(&frame, &machine()), Parsed::Pass("nd"), "{kind}");
        assert_eq!(parse(&frame, &bridge), Parsed::Pass("nd"), "{kind}");
    }
    // Two hosts in one /64 are neighbours of a machine only if the machine is in that subnet.
    drops(&neighbour_discovery(135, "fd00::9", "fd00::8"), "nd-scope");
}

#[test]
fn neighbour_discovery_beyond_the_link_is_dropped() {
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
        let frame = neighbour_discovery(kind, source, destination);
        let parsed = parse(&frame, &machine());
        assert_eq!(parsed, Parsed::Drop("nd-scope"), "{kind}");
    }
    let wide = Frames {
        internal: vec!["fd00::/48".parse().unwrap()],
        ..Frames::default()
    };
    let neighbours = neighbour_discovery(135, "fd00::9", "fd00:0:0:1::9");
    drops(&neighbours, "nd-scope");
    assert_eq!(parse(&neighbours, &wide), Parsed::Pass("nd"));
}

#[test]
fn multicast_control_of_the_link_passes() {
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
fn dhcp_of_the_link_passes() {
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
    // DHCP beyond the link, or between other ports: policy decides.
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
