//! Compares the fast path with the reference parser: packets of established flows with a few bits
//! changed. `BAILEY_FUZZ_FRAMES` sets the number of frames, `BAILEY_FUZZ_SEED` the seed.

mod harness;

use std::collections::BTreeSet;

use bailey_bpf::reason::{REASONS, Reason};
use bailey_config::{Frames, Settings};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame::malformed::tagged;
use bailey_reference as reference;
use bailey_reference::{Fragment, Parsed};
use harness::*;

/// Bytes of an Ethernet header without VLAN tags.
const ETHERNET: usize = 14;

/// A packet of an established flow, on the hook on which it arrives.
struct Template {
    hook: Hook,
    frame: Vec<u8>,
    /// Offset of the TCP flags.
    flags_at: Option<usize>,
}

/// EtherType and tag control information of the VLAN tags of a frame.
const TAGS: [&[(u16, u16)]; 3] = [&[], &[(0x8100, 7)], &[(0x88a8, 7), (0x8100, 0x2009)]];

/// Establishes TCP and UDP flows of both families, without tags, with one and with two.
fn establish(h: &Harness) -> Vec<Template> {
    let mut templates = Vec::new();
    for (family, tags) in [0, 1].into_iter().flat_map(|f| TAGS.map(|tags| (f, tags))) {
        let (pod, client) = (POD[family], CLIENT[family]);
        let header = [20, 40][family];
        for (flags, from_client) in [(SYN, true), (SYN_ACK, false), (ACK, true), (ACK, false)] {
            let (hook, frame) = if from_client {
                (Hook::Xdp, tcp(client, pod, 40000, 80, flags))
            } else {
                (Hook::Tc, tcp(pod, client, 80, 40000, flags))
            };
            let frame = tagged(&frame, tags);
            assert!(h.run(hook, &frame));
            if flags == ACK {
                let flags_at = Some(ETHERNET + tags.len() * 4 + header + 13);
                templates.push(Template {
                    hook,
                    frame,
                    flags_at,
                });
            }
        }
        let datagrams = [
            (Hook::Xdp, udp(client, pod, 5000, 80)),
            (Hook::Tc, udp(pod, client, 80, 5000)),
        ];
        for (hook, frame) in datagrams {
            let frame = tagged(&frame, tags);
            assert!(h.run(hook, &frame));
            templates.push(Template {
                hook,
                frame,
                flags_at: None,
            });
        }
    }
    templates
}

/// Changes some bits or bytes of a frame, or its length.
fn mutate(template: &Template, random: &mut Random) -> Vec<u8> {
    let mut frame = template.frame.clone();
    for _ in 0..random.below(3) {
        let at = random.below(frame.len() as u64) as usize;
        match random.below(3) {
            0 => frame[at] ^= 1 << random.below(8),
            1 => frame[at] = random.next() as u8,
            _ => frame[at] = [0, 1, 0x7f, 0xff][random.below(4) as usize],
        }
    }
    match random.below(8) {
        0 => frame.truncate(14.max(random.below(frame.len() as u64) as usize)),
        1 => frame.resize(frame.len() + random.below(40) as usize, 0),
        _ => {}
    }
    // A SYN, FIN or RST changes the flow.
    if let Some(flags) = template.flags_at.and_then(|at| frame.get_mut(at)) {
        *flags &= !0x07;
    }
    frame
}

/// Identity of a flow, without its direction.
type FlowId = (u8, u32, BTreeSet<(std::net::IpAddr, u16)>);

fn flow_id(packet: &reference::Packet) -> FlowId {
    let ends = [
        (packet.source, packet.source_port),
        (packet.destination, packet.destination_port),
    ];
    (packet.protocol, packet.zone, ends.into())
}

/// The reason that a packet was counted under.
fn counted_reason(h: &Harness, template: &Template, frame: &[u8]) -> Option<(u32, bool)> {
    let before = h.datapath.counters().unwrap().reasons();
    // The kernel builds no skb from the shortest IP frames.
    let code = h.test_run.run(template.hook, frame, 1).ok()?;
    let after = h.datapath.counters().unwrap().reasons();
    let changed = after.iter().filter(|(key, count)| {
        count.packets != before.get(key).map_or(0, |earlier| earlier.packets)
    });
    let changed: Vec<u32> = changed.map(|((_, reason), _)| *reason).collect();
    assert_eq!(changed.len(), 1, "one reason per frame: {changed:?}");
    Some((changed[0], passed(template.hook, code)))
}

/// Packets that passed as `flow` among all frames.
fn compare(frames: Frames, expected: &reference::Frames, seed: u64, count: u64) -> u64 {
    let h = Harness::new(Settings {
        flows: 1024,
        rules: 256,
        frames,
        ..without_flood_defence()
    });
    let templates = establish(&h);
    let mut known: BTreeSet<FlowId> = BTreeSet::new();
    for template in &templates {
        match reference::parse(&template.frame, expected) {
            Parsed::Packet(packet) => known.insert(flow_id(&packet)),
            other => panic!("{other:?}"),
        };
    }
    let established = known.clone();
    let (mut random, mut of_flow) = (Random(seed), 0);
    for _ in 0..count {
        let template = &templates[random.below(templates.len() as u64) as usize];
        let frame = mutate(template, &mut random);
        let parsed = reference::parse(&frame, expected);
        let Some((reason, passed)) = counted_reason(&h, template, &frame) else {
            continue;
        };
        let name = Reason::of(reason).unwrap().name;
        let told = || format!("{name} on {:?}\n{parsed:?}\n{}", template.hook, hex(&frame));
        match &parsed {
            Parsed::Pass(expected) | Parsed::Drop(expected) => {
                assert_eq!(name, *expected, "{}", told());
                let info = REASONS.iter().find(|info| info.name == *expected).unwrap();
                assert_eq!(passed, info.passes, "{}", told());
            }
            // Belongs to the flow of its first fragment.
            Parsed::Packet(packet) if matches!(packet.fragment, Fragment::Later { .. }) => {}
            Parsed::Packet(packet) => {
                let id = flow_id(packet);
                if established.contains(&id) && !packet.is_icmp_error && !packet.is_for_group {
                    assert_eq!((name, passed), ("flow", true), "{}", told());
                    of_flow += 1;
                }
                assert!(name != "flow" || known.contains(&id), "{}", told());
                known.insert(id);
            }
        }
    }
    of_flow
}

#[test]
#[ignore = "needs root and BPF"]
fn fast_path_and_reference_see_the_same_flow() {
    let count = number("BAILEY_FUZZ_FRAMES", 5_000);
    let seed = number("BAILEY_FUZZ_SEED", 1);
    for vlan_zones in [false, true] {
        let frames = Frames {
            vlan_zones,
            ..Frames::default()
        };
        let expected = reference::Frames {
            vlan_zones,
            ..reference::Frames::default()
        };
        let of_flow = compare(frames, &expected, seed, count);
        assert!(of_flow > count / 4, "{of_flow} of {count} on the fast path");
    }
}
