//! IP headers, addresses and options.

use crate::frames::{
    Ipv4, Ipv6, SYN, TCP, address, concat, drops, ethernet, ipv4, ipv6, packet, tcp,
};

#[test]
fn truncated_ip_header_is_dropped() {
    drops(&ethernet(0x0800, &[0x45; 19]), "ip-truncated");
    drops(&ethernet(0x86dd, &[0x60; 39]), "ip-truncated");
}

#[test]
fn invalid_ip_header_is_dropped() {
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
fn invalid_ip_length_is_dropped() {
    for total in [0, 19, 41] {
        let mut frame = ipv4(TCP).frame(&tcp(SYN));
        frame[17] = total;
        drops(&frame, "ip-length");
    }
    // Options that end behind the frame.
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
fn martian_addresses_are_dropped() {
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
    // The flags are checked before the unspecified source.
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
fn source_routes_are_dropped() {
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
