//! ICMP errors and the packets that they quote.

use std::net::IpAddr;

use bailey_reference::{Fragment, Packet};

use crate::frames::{
    A4, B4, Ipv4, Ipv6, UDP, a6, address, b6, concat, drops, extension, fragment_header, icmp,
    ipv4, ipv6, packet, udp,
};

#[test]
fn icmp_error_becomes_answer_to_quoted_packet() {
    // A packet of B to A, which a router quotes to B.
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
            may_create_flow: false,
            is_icmp_error: true,
            fragment: Fragment::Whole,
            is_for_group: false,
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
    assert!(error.is_icmp_error && !error.may_create_flow && error.protocol == 58);
}

#[test]
fn unreadable_icmp_error_is_dropped() {
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
    assert!(packet(&quote(44, &concat(&[&fragment_header(UDP, 1), &end]))).is_icmp_error);
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
