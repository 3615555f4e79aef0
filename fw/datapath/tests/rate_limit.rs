//! Rate limits of rules, through the loaded programs, with every counter.

mod harness;

use std::thread::sleep;
use std::time::Duration;

use bailey_bpf::abi::*;
use bailey_datapath::maps::hook::Hook;
use bailey_policy::{RateLimit, RateLimits, Snapshot};
use harness::*;

fn limit(connections: u32, seconds: u32, burst: u32) -> Option<RateLimit> {
    Some(RateLimit {
        connections,
        seconds,
        burst,
    })
}

/// The harness's policy with limits on the rule for clients.
fn limited(limits: RateLimits) -> Snapshot {
    let snapshot = snapshot(true);
    let mut policies: Vec<_> = snapshot.policies().iter().map(|p| (**p).clone()).collect();
    policies[0].ingress.as_mut().unwrap()[0].limits = limits;
    let endpoints = snapshot.endpoints().to_vec();
    Snapshot::new([], endpoints, Vec::new(), policies)
}

fn with(limits: RateLimits) -> Harness {
    let mut h = Harness::small();
    h.install(&limited(limits));
    h
}

fn opened(h: &Harness, from: &str, family: usize, ports: std::ops::Range<u16>) -> usize {
    let frames = ports.map(|port| tcp(from, POD[family], port, 80, SYN));
    frames.filter(|frame| h.run(Hook::Xdp, frame)).count()
}

fn count(h: &Harness, rule: u32) -> (u64, u64) {
    let count = h.datapath.counters().unwrap().rule(rule);
    (count.hits, count.limited)
}

#[test]
#[ignore = "needs root and BPF"]
fn rule_admits_no_more_than_its_limit() {
    for family in [0, 1] {
        let h = with(RateLimits {
            // A low rate, because an emulated machine is slow.
            all: limit(2, 1, 5),
            ..RateLimits::default()
        });
        let (client, pod) = (CLIENT[family], POD[family]);
        let (rules, held) = ([NOT_ISOLATED_NEW, (h.rule(0), 1)], [(h.rule(0), 0)]);
        for port in 1..=5 {
            let frame = tcp(client, pod, port, 80, SYN);
            h.expect(Hook::Xdp, &frame, REASON_PASS_NEW, &rules);
        }
        let sixth = tcp(client, pod, 6, 80, SYN);
        h.expect(Hook::Xdp, &sixth, REASON_DROP_RATE_LIMIT, &held);
        // The limit is shared by all sources, and includes datagrams.
        let neighbour = ["10.1.0.77", "fd01::77"][family];
        let datagram = udp(neighbour, pod, 1, 80);
        h.expect(Hook::Xdp, &datagram, REASON_DROP_RATE_LIMIT, &held);
        assert_eq!(count(&h, h.rule(0)), (5, 2));
        assert_eq!(h.flows().len(), 5);
        // Existing flows continue, and other rules have no limit.
        let reply = tcp(pod, client, 80, 1, SYN_ACK);
        h.expect(
            Hook::Tc,
            &reply,
            REASON_PASS_FLOW,
            &[(RULE_NOT_ISOLATED, 0), (h.rule(0), 0)],
        );
        assert_eq!(opened(&h, FRIEND[family], family, 1..50), 49);
        assert_eq!(count(&h, h.rule(1)), (49, 0));
        // An empty bucket stays closed until half of the burst is back.
        sleep(Duration::from_millis(600));
        h.expect(Hook::Xdp, &sixth, REASON_DROP_RATE_LIMIT, &held);
        sleep(Duration::from_secs(3));
        let more = opened(&h, client, family, 10..30);
        assert!((3..=6).contains(&more), "{more}");
        h.audit();
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn burst_of_one_refills() {
    let h = with(RateLimits {
        all: limit(2, 1, 1),
        ..RateLimits::default()
    });
    for port in [1, 10, 20] {
        assert_eq!(opened(&h, CLIENT[0], 0, port..port + 5), 1);
        sleep(Duration::from_millis(600));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn each_source_has_its_own_limit() {
    for family in [0, 1] {
        let h = with(RateLimits {
            per_source: limit(1, 60, 3),
            all: limit(10, 60, 7),
        });
        assert_eq!(opened(&h, CLIENT[family], family, 1..10), 3);
        assert_eq!(count(&h, h.rule(0)), (3, 6));
        let (near, far) = (["10.1.0.77", "fd01::77"], ["10.1.7.9", "fd01:0:0:0:7::9"]);
        // All addresses of a /64 are one source.
        let left = [3, 0][family];
        assert_eq!(opened(&h, near[family], family, 1..10), left);
        let far = opened(&h, far[family], family, 1..10);
        // The shared limit applies in addition to that of each source.
        assert_eq!(far, [1, 0][family]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn limit_follows_its_rule_and_not_the_verdict() {
    let one = RateLimits {
        all: limit(1, 3600, 1),
        ..RateLimits::default()
    };
    let mut h = with(one);
    assert_eq!(opened(&h, CLIENT[0], 0, 1..5), 1);
    // The probe takes no tokens and is not limited.
    let syn = tcp(CLIENT[0], POD[0], 9, 80, SYN);
    for _ in 0..3 {
        let answer = h.datapath.probe_frame(&syn).unwrap();
        assert_eq!(answer.reason, REASON_PASS_NEW);
    }
    // A new generation does not refill the bucket.
    h.install(&limited(one));
    assert_eq!(opened(&h, CLIENT[0], 0, 5..9), 0);
    assert_eq!(count(&h, h.rule(0)), (1, 7));
    // A revalidated flow does not count as new.
    let again = tcp(CLIENT[0], POD[0], 1, 80, SYN);
    let rules = [(RULE_NOT_ISOLATED, 0), (h.rule(0), 0)];
    h.expect(Hook::Xdp, &again, REASON_PASS_FLOW, &rules);
    h.install(&limited(RateLimits::default()));
    assert_eq!(opened(&h, CLIENT[0], 0, 10..20), 10);
    assert_eq!(
        h.tables.limits.len(),
        0,
        "no tables where there are no limits"
    );
}
