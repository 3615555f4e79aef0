//! Admission of new flows during a flood, through the loaded programs, with every counter.

mod harness;

use std::thread::sleep;
use std::time::Duration;

use bailey_bpf::abi::*;
use bailey_config::{Failsafe, Flood, Settings};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_policy::Protocol;
use harness::*;

/// New flows per second, all on one CPU here; and per window.
const RATE: u32 = 100;
const WINDOW: u16 = 14;
/// Tokens of the bucket for packets that prove nothing.
const UNPROVEN: usize = 25;
const SOURCE: u32 = 4;

fn settings() -> Settings {
    Settings {
        flows: 4096,
        rules: 256,
        flood: Flood {
            enabled: true,
            new_flows_per_second: RATE,
            new_flows_per_second_per_source: SOURCE,
        },
        ..without_flood_defence()
    }
}

/// Starts a flood: sends more new flows in one window than allowed, from another client.
fn begin(h: &Harness, family: usize) {
    begin_from(h, family, 0);
}

fn begin_from(h: &Harness, family: usize, first: u16) {
    pin_to(0);
    let began = h.event(FLOW_FLOOD_BEGAN);
    burst(h, family, first);
    assert_eq!(h.event(FLOW_FLOOD_BEGAN), began + 1);
}

/// Sends twice as many new flows as one window allows.
fn burst(h: &Harness, family: usize, first: u16) {
    for port in 1..=WINDOW * 2 {
        let frame = udp(FRIEND[family], POD[family], first + port, 80);
        h.run(Hook::Xdp, &frame);
    }
}

/// A SYN with a sequence number and the options of a Linux client.
fn syn(family: usize, client: &str, port: u16, sequence: u32) -> Vec<u8> {
    let mut segment = frame::tcp(port, 80, SYN);
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    segment[12] = 10 << 4;
    segment.extend([
        2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
    ]);
    frame::ip(ip(client), ip(POD[family]), Protocol::TCP, &segment)
}

fn rst(family: usize, client: &str, port: u16, sequence: u32) -> Vec<u8> {
    let mut segment = frame::tcp(port, 80, RST);
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    frame::ip(ip(client), ip(POD[family]), Protocol::TCP, &segment)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The checksum of RFC 1071; all ones for data that includes its own checksum.
fn sum(parts: &[&[u8]]) -> u16 {
    let pairs = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = pairs
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Asserts that a SYN is challenged, and returns the acknowledged sequence number.
fn challenged(h: &Harness, family: usize, frame: &[u8], tags: usize) -> u32 {
    let before = h.datapath.counters().unwrap().reasons();
    let (code, out) = h.test_run.transform(Hook::Xdp, frame).unwrap();
    assert_eq!(code, XDP_TX);
    let after = h.datapath.counters().unwrap().reasons();
    let key = (HOOK_XDP, REASON_CHALLENGED);
    let counted =
        |counts: &std::collections::BTreeMap<_, _>| counts.get(&key).copied().unwrap_or_default();
    assert_eq!(counted(&after).packets, counted(&before).packets + 1);
    assert_eq!(
        counted(&after).bytes,
        counted(&before).bytes + frame.len() as u64
    );

    let network = 14 + tags * 4;
    assert_eq!(out[..6], frame[6..12]);
    assert_eq!(out[6..12], frame[..6]);
    assert_eq!(out[12..network], frame[12..network], "tags");
    let (header, addresses, address) = [(20, 12, 4), (40, 8, 16)][family];
    let (ours, theirs) = (&out[network..], &frame[network..]);
    let (a, b) = (
        addresses..addresses + address,
        addresses + address..addresses + 2 * address,
    );
    assert_eq!(ours[a.clone()], theirs[b.clone()]);
    assert_eq!(ours[b.clone()], theirs[a.clone()]);
    let tcp = &ours[header..];
    assert_eq!(tcp.len(), 24, "a TCP header with an MSS");
    if family == 0 {
        assert_eq!(usize::from(ours[3]), ours.len());
        assert_eq!(sum(&[&ours[..header]]), 0xffff);
    } else {
        assert_eq!(ours[..4], [0x60, 0, 0, 0]);
        assert_eq!(usize::from(ours[5]), tcp.len());
    }
    let pseudo = [0, 6, 0, tcp.len() as u8];
    assert_eq!(sum(&[&ours[a], &ours[b], &pseudo, tcp]), 0xffff);
    assert_eq!(tcp[..2], theirs[header + 2..header + 4]);
    assert_eq!(tcp[2..4], theirs[header..header + 2]);
    assert_eq!(tcp[12..14], [6 << 4, SYN_ACK]);
    let number = word(tcp, 8);
    let sequence = word(theirs, header + 4);
    assert!(
        number.wrapping_sub(sequence) > 1 << 16,
        "it must acknowledge nothing that was sent"
    );
    number
}

#[test]
#[ignore = "needs root and BPF"]
fn below_the_limit_no_client_is_challenged() {
    pin_to(0);
    let h = Harness::new(settings());
    for port in 1..=WINDOW / 2 {
        let rules = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
        let frame = syn(0, CLIENT[0], port, 7);
        h.expect(Hook::Xdp, &frame, REASON_PASS_NEW, &rules);
    }
    assert_eq!(h.event(FLOW_FLOOD_BEGAN), 0);
    // An RST without a challenge proves nothing.
    h.expect(
        Hook::Xdp,
        &rst(0, CLIENT[0], 99, 7),
        REASON_DROP_TCP_NO_FLOW,
        &[],
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn client_that_answers_the_challenge_is_admitted() {
    for family in [0, 1] {
        let h = Harness::new(settings());
        begin(&h, family);
        let (client, pod) = (CLIENT[family], POD[family]);
        let flows = h.flows().len();
        let first = syn(family, client, 40000, 7);
        let number = challenged(&h, family, &first, 0);
        assert_eq!(h.flows().len(), flows, "a SYN costs no entry");

        // RSTs with other sequence numbers or ports prove nothing.
        let rules = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
        for wrong in [number ^ 1, 0, 8] {
            let wrong = rst(family, client, 40000, wrong);
            h.expect(Hook::Xdp, &wrong, REASON_DROP_TCP_NO_FLOW, &[]);
        }
        let elsewhere = rst(family, client, 40001, number);
        h.expect(Hook::Xdp, &elsewhere, REASON_DROP_TCP_NO_FLOW, &[]);
        challenged(&h, family, &first, 0);
        assert_eq!(h.event(FLOW_CHALLENGE_PASSED), 0);

        let right = rst(family, client, 40000, number);
        h.expect(Hook::Xdp, &right, REASON_CHALLENGE_ANSWER, &[]);
        assert_eq!(h.event(FLOW_CHALLENGE_PASSED), 1);
        h.expect(Hook::Xdp, &first, REASON_PASS_NEW, &rules);
        assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, SYN_ACK)));
        assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, ACK)));
        // The client's next connection is not challenged.
        h.expect(
            Hook::Xdp,
            &syn(family, client, 40002, 9),
            REASON_PASS_NEW,
            &rules,
        );
        // Other clients are challenged; for IPv6, those of other networks.
        challenged(&h, family, &syn(family, FRIEND[family], 1, 7), 0);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn frames_of_every_shape_are_challenged_or_limited() {
    for family in [0, 1] {
        let h = Harness::new(settings());
        begin(&h, family);
        let plain = tcp(CLIENT[family], POD[family], 1, 80, SYN);
        challenged(&h, family, &plain, 0);
        for tags in [1, 2] {
            let mut tagged = syn(family, CLIENT[family], 1, 7);
            for _ in 0..tags {
                tagged.splice(12..12, [0x81, 0, 0, 9]);
            }
            challenged(&h, family, &tagged, tags);
        }
        let mut padded = tcp(CLIENT[family], POD[family], 2, 80, SYN);
        padded.resize(200, 0xee);
        challenged(&h, family, &padded, 0);
        // Checksums are correct for any values.
        let mut random = Random(family as u64);
        for _ in 0..2000 {
            let (port, sequence) = (random.next() as u16 | 1, random.next() as u32);
            challenged(&h, family, &syn(family, CLIENT[family], port, sequence), 0);
        }
        // If the challenge would acknowledge the SYN, another number is sent, and is accepted as
        // well.
        let number = challenged(&h, family, &syn(family, CLIENT[family], 3, 7), 0);
        let acknowledged = syn(family, CLIENT[family], 3, number.wrapping_sub(1));
        let other = challenged(&h, family, &acknowledged, 0);
        assert_ne!(other, number);
        assert!(!h.run(Hook::Xdp, &rst(family, CLIENT[family], 3, other)));
        assert_eq!(h.event(FLOW_CHALLENGE_PASSED), 1);
    }
    // A SYN with IP options cannot be answered in place, and is rate limited as UDP is.
    let h = Harness::new(settings());
    begin(&h, 0);
    let mut options = syn(0, CLIENT[0], 5, 7);
    options.splice(34..34, [1, 1, 1, 0]);
    options[14] = 0x46;
    options[17] += 4;
    h.run(Hook::Xdp, &options);
    let counted = h.datapath.counters().unwrap().reasons();
    assert!(!counted.contains_key(&(HOOK_XDP, REASON_CHALLENGED)));
}

#[test]
#[ignore = "needs root and BPF"]
fn retransmitted_syn_is_admitted() {
    for family in [0, 1] {
        let h = Harness::new(settings());
        begin(&h, family);
        let frame = syn(family, CLIENT[family], 40000, 7);
        challenged(&h, family, &frame, 0);
        challenged(&h, family, &frame, 0);
        sleep(Duration::from_millis(500));
        // By now the bucket for unproven packets has tokens again.
        challenged(&h, family, &syn(family, CLIENT[family], 40000, 8), 0);
        let rules = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
        h.expect(Hook::Xdp, &frame, REASON_PASS_NEW, &rules);
        assert_eq!(
            (
                h.event(FLOW_SYN_RETRANSMITTED),
                h.event(FLOW_CHALLENGE_PASSED)
            ),
            (1, 0)
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn unproven_clients_share_the_flood_rate_limit() {
    for family in [0, 1] {
        let h = Harness::new(Settings {
            failsafe: vec![Failsafe {
                cidr: ["10.3.0.0/16", "fd03::/64"][family].parse().unwrap(),
                protocol: Protocol::TCP,
                port: 22,
            }],
            ..settings()
        });
        let (client, pod) = (CLIENT[family], POD[family]);
        pin_to(0);
        assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, SYN)));
        assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, SYN_ACK)));
        assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, ACK)));
        begin(&h, family);
        // From many sources, so that no source reaches its limit.
        let from = |n: usize| match family {
            0 => format!("10.1.{}.{}", n / 200, n % 200 + 1),
            _ => format!("fd02:0:0:0:{:x}::1", n + 1),
        };
        let port = |family: usize| if family == 0 { 80 } else { 7 };
        let mut passed = 0;
        for n in 0..UNPROVEN * 4 {
            let from = if family == 0 {
                from(n)
            } else {
                FRIEND[1].into()
            };
            passed += usize::from(h.run(Hook::Xdp, &udp(&from, pod, n as u16, port(family))));
        }
        let reasons = h.datapath.counters().unwrap().reasons();
        let dropped = |reason| {
            reasons
                .get(&(HOOK_XDP, reason))
                .map_or(0, |count| count.packets)
        };
        if family == 0 {
            assert!(
                (1..UNPROVEN * 2).contains(&passed),
                "{passed} of {}",
                UNPROVEN * 4
            );
            assert!(dropped(REASON_DROP_FLOOD) > 0);
        } else {
            // All in one /64: the source limit applies, which is lower.
            assert!(passed <= SOURCE as usize + 2, "{passed}");
            assert!(dropped(REASON_DROP_FLOOD_SOURCE) > 0);
        }
        // Existing flows continue, the failsafe passes, policy denies, and egress flows are not
        // limited.
        let flow = [(RULE_NOT_ISOLATED, 0), (h.rule(0), 0)];
        h.expect(
            Hook::Xdp,
            &tcp(client, pod, 40000, 80, ACK),
            REASON_PASS_FLOW,
            &flow,
        );
        let stranger = STRANGER[family];
        h.expect(
            Hook::Xdp,
            &tcp(stranger, pod, 1, 22, SYN),
            REASON_PASS_FAILSAFE,
            &[],
        );
        let denied = [(h.default_deny(), 1)];
        h.expect(
            Hook::Xdp,
            &tcp(stranger, pod, 1, 80, SYN),
            REASON_DROP_POLICY,
            &denied,
        );
        for port in 1..=100 {
            assert!(h.run(Hook::Tc, &udp(pod, FRIEND[family], port, 53)));
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn source_limit_refills_in_halves() {
    let h = Harness::new(settings());
    begin(&h, 0);
    prove(&h, 1);
    let open = |port| h.run(Hook::Xdp, &syn(0, CLIENT[0], port, 7));
    let opened = (1..=SOURCE as u16 + 1).filter(|&port| open(port)).count();
    assert!(
        (SOURCE as usize..=SOURCE as usize + 1).contains(&opened),
        "{opened}"
    );
    let refused = || {
        let another = syn(0, CLIENT[0], 99, 7);
        h.expect(Hook::Xdp, &another, REASON_DROP_FLOOD_SOURCE, &[]);
    };
    refused();
    // One token has returned, but an empty bucket stays closed until half of the tokens are back.
    sleep(Duration::from_millis(300));
    refused();
    sleep(Duration::from_millis(600));
    burst(&h, 0, 1000);
    assert!(open(100));
}

/// Lets the first client answer a challenge.
fn prove(h: &Harness, port: u16) {
    let number = challenged(h, 0, &syn(0, CLIENT[0], 2000 + port, 7), 0);
    assert!(!h.run(Hook::Xdp, &rst(0, CLIENT[0], 2000 + port, number)));
}

/// A host whose address is spoofed also answers the challenge, so an answer admits few flows.
#[test]
#[ignore = "needs root and BPF"]
fn challenge_answer_admits_few_flows() {
    let mut wide = settings();
    wide.flood.new_flows_per_second_per_source = 0;
    let h = Harness::new(wide);
    begin(&h, 0);
    prove(&h, 1);
    for port in 1..=PROVEN_BY_RST as u16 {
        assert!(h.run(Hook::Xdp, &syn(0, CLIENT[0], port, 7)), "{port}");
    }
    challenged(&h, 0, &syn(0, CLIENT[0], 99, 7), 0);
    prove(&h, 2);
    assert!(h.run(Hook::Xdp, &syn(0, CLIENT[0], 99, 7)));
    // An answer admits no datagrams: their source can be spoofed.
    let before = h.flows().len();
    for port in 1..100 {
        h.run(Hook::Xdp, &udp(CLIENT[0], POD[0], port, 80));
    }
    assert!(h.flows().len() - before <= UNPROVEN + 2);
}

/// If internal networks are configured, flows that they create through a router or bridge are not
/// limited.
#[test]
#[ignore = "needs root and BPF"]
fn internal_sources_are_not_limited_in_floods() {
    let mut known = settings();
    known.internal = vec!["10.0.0.0/24".parse().unwrap()];
    let h = Harness::new(known);
    pin_to(0);
    // The interface of test runs is not external.
    for port in 1..=WINDOW * 4 {
        assert!(h.run(Hook::Xdp, &udp(FRIEND[0], POD[0], port, 80)));
    }
    assert_eq!(h.event(FLOW_FLOOD_BEGAN), 0);
}

/// The flood continues while new flows exceed the limit, admitted or not.
#[test]
#[ignore = "needs root and BPF"]
fn flood_ends_after_two_calm_seconds() {
    let h = Harness::new(settings());
    begin(&h, 0);
    challenged(&h, 0, &syn(0, CLIENT[0], 1, 7), 0);
    // The flood is still active after one calm second.
    sleep(Duration::from_millis(1000));
    challenged(&h, 0, &syn(0, CLIENT[0], 2, 7), 0);
    sleep(Duration::from_millis(2000));
    let rules = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
    h.expect(Hook::Xdp, &syn(0, CLIENT[0], 3, 7), REASON_PASS_NEW, &rules);
    assert_eq!(
        (h.event(FLOW_FLOOD_BEGAN), h.event(FLOW_FLOOD_ENDED)),
        (1, 1)
    );
    begin_from(&h, 0, 1000);
    challenged(&h, 0, &syn(0, CLIENT[0], 4, 7), 0);
}
