//! TCP, UDP, SCTP and ICMP.

use crate::frames::{SYN, TCP, UDP, concat, drops, icmp, ipv4, ipv6, packet, tcp, udp};

#[test]
fn truncated_layer_4_is_dropped() {
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
fn invalid_layer_4_header_is_dropped() {
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
fn invalid_tcp_flags_are_dropped() {
    for flags in [0x00, 0x01, 0x03, 0x06, 0x08, 0x20, 0x29, 0x3f] {
        drops(&ipv4(TCP).frame(&tcp(flags)), "tcp-flags");
    }
    for flags in [0x02, 0x22, 0x12, 0x04, 0x14, 0x11, 0x31, 0x10, 0x30] {
        let may_create_flow = flags & 0x17 == SYN;
        assert_eq!(
            packet(&ipv4(TCP).frame(&tcp(flags | 0xc8))).may_create_flow,
            may_create_flow,
            "{flags:#x}"
        );
    }
}

#[test]
fn protocol_decides_ports_and_flow_creation() {
    let udp = packet(&ipv6(UDP).frame(&udp(53, 40000, &[])));
    assert_eq!(
        (udp.source_port, udp.destination_port, udp.may_create_flow),
        (53, 40000, true)
    );
    let request = packet(&ipv4(1).frame(&icmp(8, 77, &[])));
    assert_eq!(
        (
            request.source_port,
            request.destination_port,
            request.may_create_flow
        ),
        (77, 0, true)
    );
    let reply = packet(&ipv6(58).frame(&icmp(129, 77, &[])));
    assert_eq!(
        (
            reply.source_port,
            reply.destination_port,
            reply.may_create_flow
        ),
        (0, 77, false)
    );
    let init = packet(&ipv4(132).frame(&concat(&[&[0, 1, 0, 2], &[0; 8], &[1], &[0; 19]])));
    assert_eq!(
        (
            init.source_port,
            init.destination_port,
            init.may_create_flow
        ),
        (1, 2, true)
    );
    let data = packet(&ipv4(132).frame(&[0; 16]));
    assert!(!data.may_create_flow);
    let gre = packet(&ipv4(47).frame(&[]));
    assert_eq!(
        (gre.protocol, gre.source_port, gre.may_create_flow),
        (47, 0, true)
    );
    assert_eq!(packet(&ipv6(59).frame(&[])).protocol, 59);
    assert_eq!(packet(&ipv4(58).frame(&[])).protocol, 58);
}
