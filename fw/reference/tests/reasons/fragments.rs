//! Fragments of both families.

use bailey_reference::Fragment;

use crate::frames::{
    Ipv4, SYN, TCP, UDP, concat, drops, fragment_header, icmp, ipv4, ipv6, packet, tcp, udp,
};

#[test]
fn first_fragment_without_headers_is_dropped() {
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
fn impossible_fragments_are_dropped() {
    let with = |fragment: u16| Ipv4 {
        fragment,
        ..ipv4(UDP)
    };
    drops(&with(0x0001).frame(&[]), "fragment");
    drops(&with(0x2001).frame(&[0; 12]), "fragment");
    // A packet has at most 65535 bytes: 65528 + 8 are too many, and 65512 + 8 with the header of
    // 20.
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
    // An ICMP error in a fragment.
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
fn fragments_have_offset_and_first_has_ports() {
    let first = packet(
        &Ipv4 {
            fragment: 0x2000,
            ..ipv4(UDP)
        }
        .frame(&udp(1, 2, &[0; 8])),
    );
    assert_eq!(
        (
            first.source_port,
            first.destination_port,
            first.may_create_flow
        ),
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
        (later.protocol, later.source_port, later.may_create_flow),
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
