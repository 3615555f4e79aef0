//! Compares the programs with the reference parser on the same frames: reason, flow key and
//! verdict. `BAILEY_FUZZ_FRAMES` sets the number of frames, `BAILEY_FUZZ_SEED` the seed.

mod harness;

use std::collections::BTreeMap;
use std::net::IpAddr;

use bailey_bpf::abi::*;
use bailey_bpf::reason::{REASONS, Reason};
use bailey_config::{Frames, Settings, Topology, Tunnel, TunnelKind};
use bailey_datapath::maps::hook::Hook;
use bailey_policy::link_scope::is_group;
use bailey_policy::{Connection, IsolatedDirections, LinkScope, OutOfScope, Protocol};
use bailey_reference as reference;
use bailey_reference::{Fragment, Generator, Packet, Parsed};
use harness::*;

fn reason_number(name: &str) -> u32 {
    let found = REASONS.iter().find(|reason| reason.name == name);
    found.unwrap_or_else(|| panic!("no reason {name}")).number
}

fn words(address: IpAddr) -> [u64; 2] {
    let v6 = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    bytemuck::cast(v6.octets())
}

/// The flow key of a packet as abi.h defines it, and whether the sender has the lower address.
fn key(packet: &Packet) -> (flow_key, bool) {
    let source = (words(packet.source), packet.source_port);
    let destination = (words(packet.destination), packet.destination_port);
    let low = source <= destination;
    let (lower, higher) = if low {
        (source, destination)
    } else {
        (destination, source)
    };
    let tuple = u64::from(lower.1) << TUPLE_PORT_LO_SHIFT
        | u64::from(higher.1) << TUPLE_PORT_HI_SHIFT
        | u64::from(packet.protocol) << TUPLE_PROTOCOL_SHIFT
        | u64::from(packet.zone) << TUPLE_ZONE_SHIFT;
    let key = flow_key {
        tuple,
        addr_lo_be: lower.0,
        addr_hi_be: higher.0,
    };
    (key, low)
}

/// The reason for which a bridge drops multicast and link-local packets, also a unicast packet in a
/// multicast frame.
fn out_of_scope(
    connection: &Connection,
    for_group: bool,
    snapshot: &bailey_policy::Snapshot,
) -> Option<u32> {
    let scope = LinkScope {
        bridge: true,
        ..LinkScope::default()
    };
    let isolates = IsolatedDirections::from(snapshot);
    if for_group && !is_group(connection.destination) {
        return isolates.ingress.then_some(REASON_DROP_GROUP);
    }
    match scope.find_exclusion(isolates, connection) {
        Some(OutOfScope::LinkLocal) => Some(REASON_DROP_LINK_LOCAL),
        Some(_) => Some(REASON_DROP_GROUP),
        None => None,
    }
}

/// The expected reason for a packet that arrives first.
fn first_of_all(packet: &Packet, snapshot: &bailey_policy::Snapshot, bridge: bool) -> u32 {
    if let Fragment::Later { .. } = packet.fragment {
        return REASON_DROP_FRAGMENT_NO_FIRST;
    }
    let connection = Connection {
        source: packet.source,
        destination: packet.destination,
        protocol: Protocol(packet.protocol),
        port: packet.destination_port,
    };
    if bridge && let Some(reason) = out_of_scope(&connection, packet.is_for_group, snapshot) {
        return reason;
    }
    if packet.is_icmp_error {
        return REASON_DROP_ICMP_ERROR;
    }
    let protocol = Protocol(packet.protocol);
    let isolated = [POD[0], POD[1]].map(ip);
    let free = !isolated.contains(&packet.source) && !isolated.contains(&packet.destination);
    if !packet.may_create_flow && (protocol == Protocol::ICMP || protocol == Protocol::ICMPV6) {
        return REASON_DROP_ICMP_NO_FLOW;
    }
    if !packet.may_create_flow && !free {
        return if protocol == Protocol::SCTP {
            REASON_DROP_SCTP_NO_FLOW
        } else {
            REASON_DROP_TCP_NO_FLOW
        };
    }
    if bailey_policy::oracle::evaluate(snapshot, &connection).is_allowed() {
        REASON_PASS_NEW
    } else {
        REASON_DROP_POLICY
    }
}

/// Asserts that the probe agrees with the reference on a frame.
fn compare(h: &Harness, snapshot: &bailey_policy::Snapshot, frame: &[u8], parsed: &Parsed) {
    let answer = h.datapath.probe_raw(frame).unwrap();
    let name = Reason::of(answer.reason).map_or("none", |reason| reason.name);
    let told = || {
        format!(
            "frame {}\nreference {parsed:?}\nprogram {name} {answer:?}",
            hex(frame)
        )
    };
    let expected = match parsed {
        Parsed::Pass(name) | Parsed::Drop(name) => reason_number(name),
        Parsed::Packet(packet) => {
            let bridge = h.datapath.settings().topology == Topology::Bridge;
            first_of_all(packet, snapshot, bridge)
        }
    };
    assert_eq!(answer.reason, expected, "{}", told());
    let passes = Reason::of(expected).is_some_and(|reason| reason.passes);
    assert_eq!(answer.verdict == VERDICT_PASS, passes, "{}", told());
    let Parsed::Packet(packet) = parsed else {
        return;
    };
    let fragment = match packet.fragment {
        Fragment::Whole => (FRAGMENT_NONE, 0),
        Fragment::First { bytes } => (FRAGMENT_FIRST, bytes),
        Fragment::Later { offset } => (FRAGMENT_LATER, offset),
    };
    assert_eq!(
        (u32::from(answer.fragment), answer.fragment_bytes),
        fragment,
        "{}",
        told()
    );
    if fragment.0 == FRAGMENT_LATER {
        return;
    }
    let (key, low) = key(packet);
    assert_eq!(answer.key, key, "{}", told());
    let flags = [
        answer.sender_is_lower,
        answer.may_create_flow,
        answer.is_icmp_error,
    ]
    .map(|flag| flag != 0);
    assert_eq!(
        flags,
        [low, packet.may_create_flow, packet.is_icmp_error],
        "{}",
        told()
    );
}

/// The reason of a frame, if it does not depend on earlier frames.
fn alone(parsed: &Parsed) -> Option<u32> {
    match parsed {
        Parsed::Pass(name) | Parsed::Drop(name) => Some(reason_number(name)),
        Parsed::Packet(_) => None,
    }
}

/// Frames that were once parsed incorrectly.
const REGRESSIONS: [&str; 3] = [
    // An ICMP error from 0.0.0.0: the quoted source replaced the outer source.
    "02000000000102000000000208004500003a000040004001000000000000e0000001040000000051000145\
     00001e0001000040010000e00000010a0300090d00000000350001e7af",
    // DHCPv6 from ::.
    "02000000000102000000000286dd60000000000f114000000000000000000000000000000000fd0300000000\
     0000000000000000000902230222000f0000ad8e84e43604bc",
    // A protocol without ports inside Geneve: the tunnel's ports were kept.
    "02000000000102000000000281000fff86dd6000000000461140fd010000000000000000000000000009fd01\
     00000000000000000000000000092222 17c1004600000000655800002a0002000000000102000000000208\
     004500002800004000403200000a0200090a010009ef151c7cc19ee50c98c5f595829055280a2d0ede",
];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Frames and the reference's result for each; the same seed gives the same frames.
fn corpus(
    frames: &reference::Frames,
    seed: u64,
    count: u64,
) -> impl Iterator<Item = (Vec<u8>, Parsed)> {
    let mut generator = Generator::new(seed, frames.clone());
    (0..count).map(move |_| {
        let frame = generator.frame();
        let parsed = reference::parse(&frame, frames);
        (frame, parsed)
    })
}

fn agree(settings: Settings, frames: &reference::Frames, seed: u64, count: u64) {
    let h = Harness::new(settings);
    let snapshot = snapshot(true);
    for frame in REGRESSIONS.map(unhex) {
        let parsed = reference::parse(&frame, frames);
        compare(&h, &snapshot, &frame, &parsed);
    }
    // Probes run before any frame is sent, because a probe uses recorded fragments.
    for (frame, parsed) in corpus(frames, seed, count) {
        compare(&h, &snapshot, &frame, &parsed);
    }
    // A bridge has no tc program, and test runs have no peer port.
    if !frames.bridge {
        send(&h, frames, seed, count);
    }
}

/// Runs frames through the attached programs. Frames that the reference drops do not pass, every
/// frame is counted once, and under the reference's reason if that does not depend on earlier
/// frames.
fn send(h: &Harness, frames: &reference::Frames, seed: u64, count: u64) {
    let mut expected: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut frames_in: BTreeMap<u32, u64> = BTreeMap::new();
    for (frame, parsed) in corpus(frames, seed, count) {
        let xdp = passes(&h.test_run, Hook::Xdp, &frame);
        // The kernel builds no skb from the shortest IP frames.
        let tc = h.test_run.run(Hook::Tc, &frame, 1).ok();
        let tc = tc.map(|code| passed(Hook::Tc, code));
        for (hook, passed) in [(HOOK_XDP, Some(xdp)), (HOOK_TC, tc)] {
            let Some(passed) = passed else {
                continue;
            };
            let drop = matches!(parsed, Parsed::Drop(_));
            assert!(!passed || !drop, "{}", hex(&frame));
            *frames_in.entry(hook).or_default() += 1;
            if let Some(reason) = alone(&parsed) {
                *expected.entry((hook, reason)).or_default() += 1;
            }
        }
    }
    let counters = h.datapath.counters().unwrap().reasons();
    for (&hook, &frames) in &frames_in {
        let of_hook = counters.iter().filter(|((at, _), _)| *at == hook);
        let sum: u64 = of_hook.map(|(_, count)| count.packets).sum();
        assert_eq!(sum, frames, "every frame once, hook {hook}");
        assert!(
            frames > count * 9 / 10,
            "hook {hook} saw {frames} of {count}"
        );
    }
    for (key, packets) in expected {
        let counted = counters.get(&key).map_or(0, |count| count.packets);
        let name = Reason::of(key.1).unwrap().name;
        assert_eq!(counted, packets, "{name}, hook {}", key.0);
    }
}

fn settings(frames: Frames, topology: Topology) -> Settings {
    Settings {
        flows: 4096,
        rules: 256,
        frames,
        topology,
        ..without_flood_defence()
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn programs_and_reference_parse_frames_alike() {
    let count = number("BAILEY_FUZZ_FRAMES", 100_000);
    let seed = number("BAILEY_FUZZ_SEED", 1);
    agree(
        settings(Frames::default(), Topology::Host),
        &reference::Frames::default(),
        seed,
        count / 2,
    );
    // The third tunnel is a second VXLAN, with other peers.
    let peers = |port| {
        let cidrs = match port {
            40000 => ["10.2.0.0/16", "fd02::/64"],
            _ => ["10.1.0.0/16", "fd01::/64"],
        };
        cidrs.map(|cidr| cidr.parse().unwrap()).into()
    };
    let tunnel = |kind, port| Tunnel {
        kind,
        port,
        peers: peers(port),
    };
    let all = Frames {
        groups: Vec::new(),
        link_local: Vec::new(),
        vlan_zones: true,
        dhcp: false,
        ethertypes: vec![0x88f7],
        tunnels: vec![
            tunnel(TunnelKind::Vxlan, 4789),
            tunnel(TunnelKind::Geneve, 6081),
            tunnel(TunnelKind::Vxlan, 40000),
        ],
    };
    for (bridge, share) in [(false, 4), (true, 4)] {
        let kinds = [
            (reference::TunnelKind::Vxlan, 4789),
            (reference::TunnelKind::Geneve, 6081),
            (reference::TunnelKind::Vxlan, 40000),
        ];
        let frames = reference::Frames {
            internal: Vec::new(),
            subnets: Vec::new(),
            vlan_zones: true,
            dhcp: false,
            bridge,
            ethertypes: vec![0x88f7],
            tunnels: kinds
                .map(|(kind, port)| reference::Tunnel {
                    kind,
                    port,
                    peers: peers(port),
                })
                .into(),
        };
        let topology = if bridge {
            Topology::Bridge
        } else {
            Topology::Host
        };
        agree(
            settings(all.clone(), topology),
            &frames,
            seed + 1,
            count / share,
        );
    }
}
