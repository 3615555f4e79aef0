//! IPv6 extension headers.

use crate::frames::{SYN, TCP, concat, drops, extension, fragment_header, ipv6, packet, tcp};

#[test]
fn invalid_extension_headers_are_dropped() {
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
fn ninth_extension_header_is_dropped() {
    let chain = |headers: usize| {
        let chain = [extension(60)].repeat(headers - 1).concat();
        ipv6(60).frame(&concat(&[&chain, &extension(TCP), &tcp(SYN)]))
    };
    assert_eq!(packet(&chain(8)).protocol, TCP);
    drops(&chain(9), "extension-header");
}

#[test]
fn authentication_header_is_skipped() {
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
fn extension_header_behind_512_bytes_is_dropped() {
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
