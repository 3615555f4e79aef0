//! The generator reaches every reason, and the parser never panics.

use std::collections::BTreeMap;

use bailey_reference::{Fragment, Frames, Generator, Packet, Parsed, Tunnel, TunnelKind, parse};

const PASSES: [&str; 7] = [
    "arp",
    "link-local-control",
    "llc",
    "ethertype-allowed",
    "nd",
    "multicast-control",
    "dhcp",
];
const DROPS: [&str; 20] = [
    "eth-truncated",
    "vlan",
    "ethertype",
    "ip-truncated",
    "ip-header",
    "ip-length",
    "martian",
    "source-route",
    "extension-header",
    "fragment-tiny",
    "fragment",
    "l4-truncated",
    "l4-header",
    "tcp-flags",
    "nd-hop-limit",
    "icmp-error-payload",
    "tunnel-peer",
    "tunnel-header",
    "group-mac",
    "nd-scope",
];
const KINDS: [&str; 5] = ["whole", "first", "later", "icmp-error", "creates-flow"];

fn everything() -> Frames {
    let peers = vec!["10.1.0.0/24".parse().unwrap(), "fd01::/64".parse().unwrap()];
    Frames {
        subnets: Vec::new(),
        internal: vec!["fd00::/30".parse().unwrap()],
        vlan_zones: true,
        dhcp: true,
        bridge: true,
        ethertypes: vec![0x8847],
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
    }
}

fn kinds(packet: &Packet) -> Vec<&'static str> {
    let fragment = match packet.fragment {
        Fragment::Whole => "whole",
        Fragment::First { .. } => "first",
        Fragment::Later { .. } => "later",
    };
    let mut kinds = vec![fragment];
    kinds.extend(packet.is_icmp_error.then_some("icmp-error"));
    kinds.extend(packet.may_create_flow.then_some("creates-flow"));
    kinds
}

#[test]
fn generator_reaches_every_reason() {
    let frames = everything();
    let mut generator = Generator::new(1, frames.clone());
    let mut seen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for _ in 0..200_000 {
        let reached = match parse(&generator.frame(), &frames) {
            Parsed::Pass(reason) => vec![("pass", reason)],
            Parsed::Drop(reason) => vec![("drop", reason)],
            Parsed::Packet(packet) => kinds(&packet).into_iter().map(|k| ("packet", k)).collect(),
        };
        for what in reached {
            *seen.entry(what).or_default() += 1;
        }
    }
    println!("{seen:#?}");
    let expected = (PASSES.iter().map(|&reason| ("pass", reason)))
        .chain(DROPS.iter().map(|&reason| ("drop", reason)))
        .chain(KINDS.iter().map(|&kind| ("packet", kind)));
    let missing: Vec<_> = expected
        .clone()
        .filter(|what| !seen.contains_key(what))
        .collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
    let unknown: Vec<_> = seen
        .keys()
        .filter(|&&what| !expected.clone().any(|e| e == what))
        .collect();
    assert!(unknown.is_empty(), "not in docs/packets.md: {unknown:?}");
}

#[test]
fn same_seed_makes_same_frames() {
    let mut one = Generator::new(7, everything());
    let mut same = Generator::new(7, everything());
    let mut other = Generator::new(8, everything());
    let frames: Vec<_> = (0..100).map(|_| one.frame()).collect();
    assert!(frames.iter().all(|frame| *frame == same.frame()));
    assert!(frames.iter().any(|frame| *frame != other.frame()));
}

#[test]
fn parser_never_panics() {
    for frames in [Frames::default(), everything()] {
        let mut generator = Generator::new(2, frames.clone());
        for _ in 0..250_000 {
            let frame = generator.frame();
            assert!((14..=1500).contains(&frame.len()));
            let _ = parse(&frame, &frames);
        }
        // Random bytes of any length down to 0, half of them behind the EtherType of IP.
        let mut state = 3_u64;
        for _ in 0..250_000 {
            let mut frame: Vec<u8> = (0..16)
                .flat_map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state.to_be_bytes()
                })
                .collect();
            frame.truncate(state as usize % 129);
            if let Some(start) = frame.get_mut(12..15)
                && state & 0x1000 != 0
            {
                let known = if state & 0x2000 != 0 {
                    [8, 0, 0x45]
                } else {
                    [0x86, 0xdd, 0x60]
                };
                start.copy_from_slice(&known);
            }
            let _ = parse(&frame, &frames);
        }
    }
}
