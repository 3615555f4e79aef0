//! VXLAN and Geneve.

use std::net::IpAddr;

use bailey_reference::{Frames, Parsed, parse};

use crate::frames::{
    A4, B4, Ipv4, SYN, TCP, UDP, concat, ethernet, ethernet_to, geneve, ipv4, ipv6, packet,
    packet_of, tcp, tunnels, udp, vxlan,
};

#[test]
fn tunnel_of_unknown_peer_is_dropped() {
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
fn invalid_tunnel_header_is_dropped() {
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
fn packet_inside_tunnel_is_read() {
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
    // A tunnel inside a tunnel is a datagram.
    let inner = packet_of(&vxlan(&vxlan(&tagged)), &tunnels());
    assert_eq!(inner.destination_port, 4789);
}

#[test]
fn tunnel_ends_with_its_datagram() {
    let mut frame = vxlan(&ipv4(TCP).frame(&tcp(SYN)));
    // The UDP length is one less; the IP length still covers the byte.
    frame[39] -= 1;
    assert_eq!(parse(&frame, &tunnels()), Parsed::Drop("ip-length"));
}

#[test]
fn fragmented_tunnel_is_dropped() {
    let frame = Ipv4 {
        fragment: 0x2000,
        ..ipv4(UDP)
    }
    .frame(&udp(1, 4789, &[0; 8]));
    assert_eq!(parse(&frame, &tunnels()), Parsed::Drop("fragment"));
}
