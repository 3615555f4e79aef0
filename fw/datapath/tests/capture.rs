//! Capture: the copies of frames, their choice, the time limit, and that it changes no verdict.

mod harness;

use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use bailey_bpf::abi::*;
use bailey_bpf::reason::REASONS;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::observe::capture::{Capture, CaptureChoice};
use harness::*;
use ipnet::IpNet;

fn everything() -> CaptureChoice {
    CaptureChoice {
        reasons: u64::MAX,
        prefix: None,
        snaplen: 256,
        duration: Duration::from_secs(60),
    }
}

fn capture(h: &Harness, choice: &CaptureChoice) -> Capture {
    h.datapath.capture(choice).unwrap()
}

/// Frames of all kinds that the small policy set knows: opening, established, denied, malformed, ARP.
fn frames() -> Vec<(Hook, Vec<u8>)> {
    let mut all = Vec::new();
    for (client, pod) in CLIENT.into_iter().zip(POD) {
        for port in [40000, 70] {
            all.extend([
                (Hook::Xdp, tcp(client, pod, port, 80, SYN)),
                (Hook::Tc, tcp(pod, client, 80, port, SYN_ACK)),
                (Hook::Xdp, tcp(client, pod, port, 80, ACK)),
                (Hook::Xdp, tcp(client, pod, port, 80, ACK)),
                (Hook::Tc, tcp(pod, client, 80, port, ACK)),
                (Hook::Xdp, tcp(client, pod, port, 81, SYN)),
                (Hook::Xdp, udp(client, pod, port, 80)),
                (Hook::Tc, udp(pod, client, 80, port)),
                (Hook::Xdp, udp(client, pod, port, 80)),
                (Hook::Xdp, tcp(client, pod, port, 80, RST)),
                (Hook::Xdp, tcp(client, pod, port, 80, SYN)),
            ]);
        }
        all.push((Hook::Xdp, echo(client, pod, true)));
    }
    for stranger in STRANGER {
        let pod = POD[usize::from(stranger.contains(':'))];
        all.push((Hook::Xdp, udp(stranger, pod, 9, 80)));
        all.push((Hook::Tc, udp(pod, stranger, 9, 80)));
    }
    let mut cut = tcp(CLIENT[0], POD[0], 1, 80, SYN);
    cut.truncate(40);
    all.push((Hook::Xdp, cut));
    let mut arp = vec![0xff; 14];
    arp[12..].copy_from_slice(&[8, 6]);
    arp.resize(60, 0);
    all.push((Hook::Xdp, arp));
    all
}

#[test]
#[ignore = "needs root and BPF"]
fn capture_copies_each_frame_and_changes_nothing() {
    let [plain, captured] = [Harness::small(), Harness::small()];
    let mut capture = capture(&captured, &everything());
    for (number, (hook, frame)) in frames().into_iter().enumerate() {
        assert_eq!(
            plain.run(hook, &frame),
            captured.run(hook, &frame),
            "verdict of frame {number}"
        );
        let copies = capture.read();
        let [copy] = &copies[..] else {
            panic!("frame {number}: {copies:?}");
        };
        assert_eq!(copy.bytes, frame);
        assert_eq!(copy.frame_bytes, frame.len() as u64);
        assert_eq!(copy.packet.number, number as u64);
        let age = SystemTime::now().duration_since(copy.packet.time).unwrap();
        assert!(age < Duration::from_secs(5), "{age:?}");
    }
    assert_eq!(capture.missed(), 0);
    let reasons = |h: &Harness| h.datapath.counters().unwrap().reasons();
    assert_eq!(reasons(&plain), reasons(&captured));
    let rules = |h: &Harness| {
        let rules = h.datapath.counters().unwrap().rules().into_iter();
        let numbers = rules.map(|(id, c)| (id, c.hits, c.packets, c.bytes, c.live));
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(rules(&plain), rules(&captured));
    let flows = |h: &Harness| {
        let flows = h.audit().into_iter();
        let mut flows: Vec<_> = flows
            .map(|flow| {
                (
                    bytemuck::cast::<_, [u64; 5]>(flow.key),
                    flow.state,
                    flow.flags,
                )
            })
            .collect();
        flows.sort_unstable();
        flows
    };
    assert_eq!(flows(&plain), flows(&captured));
}

#[test]
#[ignore = "needs root and BPF"]
fn verdict_and_rules_come_with_the_frame() {
    let h = Harness::small();
    let mut capture = capture(&h, &everything());
    for (frame, reason, ingress) in [
        (
            tcp(CLIENT[0], POD[0], 70, 81, SYN),
            REASON_DROP_POLICY,
            (h.default_deny(), true),
        ),
        (
            tcp(CLIENT[1], POD[1], 40000, 80, SYN),
            REASON_PASS_NEW,
            (h.rule(0), false),
        ),
    ] {
        h.run(Hook::Xdp, &frame);
        let copy = capture.read().remove(0).packet;
        let connection = copy.connection.unwrap();
        let ends = [connection.source, connection.destination];
        let is_ipv4 = ends[0].is_ipv4();
        let family = usize::from(!is_ipv4);
        assert_eq!(ends, [CLIENT[family], POD[family]].map(ip));
        let (from, to) = (connection.source_port, connection.destination_port);
        assert_eq!((from, to), [(70, 81), (40000, 80)][family]);
        assert_eq!((copy.reason, copy.ingress), (reason, Some(ingress)));
        let class = if copy.passes() {
            RECORD_PASS
        } else {
            RECORD_POLICY
        };
        assert_eq!((copy.class as u32, copy.hook), (class, HOOK_XDP));
    }
}

/// How many of the frames of all kinds a choice copies.
fn copied(choice: &CaptureChoice) -> usize {
    let h = Harness::small();
    let mut capture = capture(&h, choice);
    for (hook, frame) in frames() {
        h.run(hook, &frame);
    }
    assert_eq!(capture.missed(), 0);
    let frames = capture.read();
    let in_prefix = |address: IpAddr| {
        let net = choice.prefix;
        net.is_none_or(|net| net.contains(&address))
    };
    for frame in &frames {
        assert!(choice.reasons >> frame.packet.reason & 1 == 1);
        let ends = frame.packet.connection;
        assert!(
            choice.prefix.is_none()
                || ends.is_some_and(|c| in_prefix(c.source) || in_prefix(c.destination))
        );
    }
    frames.len()
}

#[test]
#[ignore = "needs root and BPF"]
fn choice_of_reasons_and_prefix_is_exact() {
    let all = frames().len();
    let passes = REASONS.iter().filter(|reason| reason.passes);
    let passes = passes.fold(0, |set, reason| set | 1_u64 << reason.number);
    let choice = |reasons, prefix: Option<&str>| CaptureChoice {
        reasons,
        prefix: prefix.map(|prefix| prefix.parse::<IpNet>().unwrap()),
        ..everything()
    };
    let dropped = copied(&choice(!passes, None));
    assert!(dropped > 0 && dropped < all);
    assert_eq!(copied(&choice(passes, None)) + dropped, all);
    let of_strangers = [("10.3.0.0/16", 2), ("fd03::/64", 2), ("10.3.0.9/32", 2)];
    for (prefix, count) in of_strangers {
        assert_eq!(copied(&choice(u64::MAX, Some(prefix))), count, "{prefix}");
    }
    assert_eq!(copied(&choice(u64::MAX, Some("10.4.0.0/16"))), 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn snaplen_cuts_the_copy_only() {
    let h = Harness::small();
    let choice = CaptureChoice {
        snaplen: 40,
        ..everything()
    };
    let mut capture = capture(&h, &choice);
    let mut frame = udp(CLIENT[0], POD[0], 9, 80);
    for length in [frame.len(), 1400] {
        frame.resize(length, 7);
        h.run(Hook::Xdp, &frame);
        h.run(Hook::Tc, &frame);
        for copy in capture.read() {
            assert_eq!(copy.bytes, frame[..40]);
            assert_eq!(copy.frame_bytes, length as u64);
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn programs_disarm_an_abandoned_capture_in_time() {
    let h = Harness::small();
    h.handshake(CLIENT[0], POD[0], 40000);
    let choice = CaptureChoice {
        duration: Duration::from_millis(100),
        ..everything()
    };
    let mut capture = capture(&h, &choice);
    let established = tcp(CLIENT[0], POD[0], 40000, 80, ACK);
    h.run(Hook::Xdp, &established);
    assert_eq!(capture.read().len(), 1);
    assert!(h.datapath.is_capturing());
    sleep(Duration::from_millis(120));
    assert!(h.run(Hook::Xdp, &established));
    assert!(!h.datapath.is_capturing(), "the packet has cleared the bit");
    assert!(h.run(Hook::Xdp, &established));
    assert_eq!(capture.read(), []);
    assert_eq!(capture.missed(), 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn full_ring_counts_what_it_misses() {
    let h = Harness::small();
    let mut capture = capture(
        &h,
        &CaptureChoice {
            snaplen: 1400,
            ..everything()
        },
    );
    pin_to(0);
    let mut frame = udp(CLIENT[0], POD[0], 9, 80);
    frame.resize(1400, 7);
    let sent = 10_000;
    h.test_run.run(Hook::Xdp, &frame, sent).unwrap();
    let read = capture.read().len() as u64;
    assert!(read > 1000 && capture.missed() > 0, "{read} read");
    assert_eq!(read + capture.missed(), u64::from(sent));
    h.run(Hook::Xdp, &frame);
    assert_eq!(capture.read().len(), 1, "the ring is usable again");
}
