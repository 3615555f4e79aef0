//! The flow table through PROG_TEST_RUN: expiry, eviction, overflow, policy changes, and two CPUs
//! at once.

mod harness;

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use bailey_bpf::abi::*;
use bailey_config::{OnPolicyChange, Settings, Timeouts};
use bailey_datapath::maps::hook::Hook;
use bailey_policy::Snapshot;
use harness::*;

/// A table of two buckets with sixteen slots; every flow can use both.
fn tiny() -> Settings {
    table_for(8)
}

/// Longer than a timeout of one second: two ticks and the resolution of the clock.
const EXPIRED: Duration = Duration::from_millis(3300);

fn address(n: u32) -> String {
    format!("10.2.{}.{}", n >> 8, n & 0xff)
}

fn establish(h: &Harness, n: u32) {
    h.handshake(&address(n), POD[0], 40000);
}

#[test]
#[ignore = "needs root and BPF"]
fn expired_flow_is_evaluated_as_new() {
    let timeouts = Timeouts {
        udp_new: 1,
        udp_replied: 1,
        ..Timeouts::default()
    };
    let mut h = Harness::new(Settings { timeouts, ..tiny() });
    let (client, pod) = (CLIENT[0], POD[0]);
    assert!(h.run(Hook::Xdp, &udp(client, pod, 4000, 80)));
    assert!(h.run(Hook::Tc, &udp(pod, client, 80, 4000)));
    assert_eq!(h.flow().reply.packets, 1);
    thread::sleep(EXPIRED);
    // The replying endpoint may create a flow of its own: the pod's egress is not isolated.
    assert!(h.run(Hook::Tc, &udp(pod, client, 80, 4000)));
    let flow = h.flow();
    assert_eq!(
        (flow.source, flow.original.packets, flow.reply.packets),
        (ip(pod), 1, 0)
    );
    thread::sleep(EXPIRED);
    assert!(h.run(Hook::Xdp, &udp(client, pod, 4000, 80)));
    assert_eq!(h.flow().source, ip(client));
    // A denied packet does not pass because of an expired flow.
    h.install(&snapshot(false));
    thread::sleep(EXPIRED);
    let deny = h.default_deny();
    h.expect(
        Hook::Xdp,
        &udp(client, pod, 4000, 80),
        REASON_DROP_POLICY,
        &[(deny, 1)],
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn full_table_refuses_new_and_keeps_established() {
    let h = Harness::new(tiny());
    let mut n = 0;
    let mut refused = 0;
    while refused == 0 {
        let client = address(n);
        if h.run(Hook::Xdp, &tcp(&client, POD[0], 40000, 80, SYN)) {
            assert!(h.run(Hook::Tc, &tcp(POD[0], &client, 80, 40000, SYN_ACK)));
            assert!(h.run(Hook::Xdp, &tcp(&client, POD[0], 40000, 80, ACK)));
            n += 1;
        } else {
            refused += 1;
        }
    }
    assert_eq!(n, 16, "both buckets of every flow are the same two");
    let new = tcp(&address(1000), POD[0], 40000, 80, SYN);
    h.expect(Hook::Xdp, &new, REASON_DROP_FLOW_TABLE_FULL, &[]);
    assert_eq!(h.flows().len(), 16);
    for n in 0..16 {
        assert!(
            h.run(Hook::Xdp, &tcp(&address(n), POD[0], 40000, 80, ACK)),
            "flow {n}"
        );
    }
}

/// As many live flows as the table is made for, half of its slots: every one of a hundred thousand new
/// flows finds a place, and none takes that of a live flow.
#[test]
#[ignore = "needs root and BPF"]
fn half_full_table_admits_all_new_flows() {
    const LIVE: u32 = 4096;
    let h = Harness::new(table_for(LIVE));
    for n in 0..LIVE {
        establish(&h, n);
    }
    let mut random = Random(7);
    for _ in 0..100_000 {
        let n = LIVE + random.below(1 << 15) as u32;
        let port = 1024 + random.below(60_000) as u16;
        assert!(h.run(Hook::Xdp, &udp(&address(n), POD[0], port, 80)));
    }
    for event in [
        FLOW_REFUSED_FULL,
        FLOW_REFUSED_CONTENTION,
        FLOW_EVICTED_IDLE,
    ] {
        assert_eq!(h.event(event), 0);
    }
    assert!(
        h.event(FLOW_EVICTED_HALF_OPEN) > 10_000,
        "the churn fills the table"
    );
    for n in 0..LIVE {
        assert!(h.run(Hook::Xdp, &tcp(&address(n), POD[0], 40000, 80, ACK)));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn half_open_flows_use_six_slots_per_bucket() {
    let h = Harness::new(tiny());
    for n in 0..200 {
        assert!(
            h.run(Hook::Xdp, &tcp(&address(n), POD[0], 40000, 80, SYN)),
            "SYN {n}"
        );
        let mut per_bucket = [0; 2];
        h.flows()
            .iter()
            .for_each(|flow| per_bucket[flow.slot.0] += 1);
        assert!(per_bucket.iter().all(|&count| count <= 6), "{per_bucket:?}");
    }
    assert_eq!(h.flows().len(), 12);
    // The other slots are reserved for replied flows.
    let newest = address(199);
    assert!(h.run(Hook::Tc, &tcp(POD[0], &newest, 80, 40000, SYN_ACK)));
    assert!(h.run(Hook::Xdp, &tcp(&newest, POD[0], 40000, 80, ACK)));
    establish(&h, 500);
    let established = h
        .flows()
        .iter()
        .filter(|flow| flow.state == STATE_TCP_ESTABLISHED)
        .count();
    assert_eq!(established, 2);
}

#[test]
#[ignore = "needs root and BPF"]
fn eviction_prefers_closed_then_external_half_open() {
    let h = Harness::new(tiny());
    // 8 established, 2 closed, 3 half-open internal, 3 half-open external flows: the table is full.
    (0..8).for_each(|n| establish(&h, n));
    for n in 8..10 {
        establish(&h, n);
        assert!(h.run(Hook::Xdp, &tcp(&address(n), POD[0], 40000, 80, FIN_ACK)));
        assert!(h.run(Hook::Tc, &tcp(POD[0], &address(n), 80, 40000, FIN_ACK)));
    }
    for n in 10..13 {
        assert!(h.run(Hook::Tc, &udp(POD[0], &address(n), 4000, 53)));
    }
    for n in 13..16 {
        assert!(h.run(Hook::Xdp, &udp(&address(n), POD[0], 4000, 53)));
    }
    assert_eq!(h.flows().len(), 16);
    let present = |h: &Harness| -> BTreeSet<u32> {
        let flows = h.flows();
        (0..16)
            .filter(|&n| {
                flows
                    .iter()
                    .any(|f| [f.source, f.destination].contains(&ip(&address(n))))
            })
            .collect()
    };
    let all: BTreeSet<u32> = (0..16).collect();
    assert_eq!(present(&h), all);
    // Each new flow is established at once, so that the next one must evict another.
    establish(&h, 100);
    establish(&h, 101);
    assert_eq!(
        &all - &present(&h),
        [8, 9].into(),
        "the closed ones went first"
    );
    establish(&h, 102);
    establish(&h, 103);
    establish(&h, 104);
    assert_eq!(
        &all - &present(&h),
        [8, 9, 13, 14, 15].into(),
        "then half-open from outside"
    );
    establish(&h, 105);
    establish(&h, 106);
    establish(&h, 107);
    assert_eq!(present(&h), (0..8).collect(), "then half-open from inside");
    let full = tcp(&address(108), POD[0], 40000, 80, SYN);
    h.expect(Hook::Xdp, &full, REASON_DROP_FLOW_TABLE_FULL, &[]);
    assert_eq!(present(&h), (0..8).collect(), "never an established one");
}

#[test]
#[ignore = "needs root and BPF"]
fn revoked_flow_stays_denied_while_both_ends_send() {
    for family in [0, 1] {
        let (client, pod) = (CLIENT[family], POD[family]);
        let timeouts = Timeouts {
            denied: 3,
            ..Timeouts::default()
        };
        let mut h = Harness::new(Settings { timeouts, ..tiny() });
        h.handshake(client, pod, 40000);
        assert!(h.run(Hook::Xdp, &udp(client, pod, 4000, 80)));
        assert!(h.run(Hook::Tc, &udp(pod, client, 80, 4000)));
        h.install(&snapshot(false));
        let deny = h.default_deny();
        // The server's packet comes first: evaluated in the flow's direction, not the packet's.
        h.expect(
            Hook::Tc,
            &tcp(pod, client, 80, 40000, ACK),
            REASON_DROP_POLICY,
            &[(deny, 0)],
        );
        h.expect(
            Hook::Tc,
            &udp(pod, client, 80, 4000),
            REASON_DROP_POLICY,
            &[(deny, 0)],
        );
        for _ in 0..8 {
            thread::sleep(Duration::from_millis(600));
            let dead = [
                (Hook::Tc, tcp(pod, client, 80, 40000, ACK)),
                (Hook::Xdp, tcp(client, pod, 40000, 80, ACK)),
                (Hook::Tc, udp(pod, client, 80, 4000)),
                (Hook::Xdp, udp(client, pod, 4000, 80)),
            ];
            for (hook, packet) in dead {
                h.expect(hook, &packet, REASON_DROP_FLOW_DENIED, &[(deny, 0)]);
            }
        }
        assert!(h.flows().iter().all(|flow| flow.state == STATE_DENIED));
        // A new SYN is evaluated again, and denied again.
        let again = tcp(client, pod, 40000, 80, SYN);
        h.expect(Hook::Xdp, &again, REASON_DROP_POLICY, &[(deny, 1)]);
        // When policy allows the flow again, it continues.
        h.install(&snapshot(true));
        assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, ACK)));
        assert!(h.run(Hook::Tc, &udp(pod, client, 80, 4000)));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn kept_flows_keep_their_rule_and_are_restamped() {
    let mut h = Harness::new(Settings {
        on_policy_change: OnPolicyChange::Keep,
        ..tiny()
    });
    let (client, pod) = (CLIENT[0], POD[0]);
    h.handshake(client, pod, 40000);
    let rule = h.rule(0);
    h.install(&snapshot(false));
    let epoch = h.datapath.control().epoch;
    assert_ne!(h.flow().epoch, epoch);
    let kept = [(RULE_NOT_ISOLATED, 0), (rule, 0)];
    h.expect(
        Hook::Tc,
        &tcp(pod, client, 80, 40000, ACK),
        REASON_PASS_FLOW,
        &kept,
    );
    assert_eq!((h.flow().epoch, h.flow().ingress_rule), (epoch, rule));
    h.expect(
        Hook::Xdp,
        &tcp(client, pod, 40000, 80, ACK),
        REASON_PASS_FLOW,
        &kept,
    );
    let deny = h.default_deny();
    let new = tcp(client, pod, 40001, 80, SYN);
    h.expect(Hook::Xdp, &new, REASON_DROP_POLICY, &[(deny, 1)]);
}

#[test]
#[ignore = "needs root and BPF"]
fn flow_is_revalidated_once_and_counters_continue() {
    let mut h = Harness::new(tiny());
    let (client, pod) = (CLIENT[1], POD[1]);
    h.handshake(client, pod, 40000);
    let (rule, packets) = (h.rule(0), h.flow().original.packets);
    let hits = h.datapath.counters().unwrap().rule(rule).packets;
    h.install(&snapshot(true));
    assert_eq!(h.rule(0), rule, "ids are stable");
    assert_eq!(
        h.datapath.counters().unwrap().rule(rule).packets,
        hits,
        "counters go on"
    );
    let flow = [(RULE_NOT_ISOLATED, 0), (rule, 0)];
    h.expect(
        Hook::Xdp,
        &tcp(client, pod, 40000, 80, ACK),
        REASON_PASS_FLOW,
        &flow,
    );
    assert_eq!(h.flow().epoch, h.datapath.control().epoch);
    assert_eq!(h.flow().original.packets, packets + 1);
    assert_eq!(h.flow().state, STATE_TCP_ESTABLISHED);
}

#[test]
#[ignore = "needs root and BPF"]
fn generations_reuse_slots_without_mixing() {
    let mut h = Harness::new(tiny());
    for round in 0..20 {
        let allowed = round % 2 == 0;
        h.install(&snapshot(allowed));
        let syn = tcp(CLIENT[0], POD[0], 30000 + round, 80, SYN);
        assert_eq!(h.run(Hook::Xdp, &syn), allowed, "round {round}");
    }
}

/// Neither two ACKs, nor SYN and FIN, of one endpoint alone make a flow that is hard to evict.
#[test]
#[ignore = "needs root and BPF"]
fn one_endpoint_alone_cannot_establish_a_flow() {
    let h = Harness::new(tiny());
    for flags in [ACK, ACK, FIN_ACK] {
        assert!(h.run(Hook::Xdp, &tcp(STRANGER[0], FRIEND[0], 40000, 22, flags)));
    }
    assert_eq!(h.flow().state, STATE_TCP_SYN_RECV);
    let h = Harness::new(tiny());
    assert!(h.run(Hook::Xdp, &tcp(CLIENT[0], POD[0], 40000, 80, SYN)));
    assert!(h.run(Hook::Xdp, &tcp(CLIENT[0], POD[0], 40000, 80, FIN_ACK)));
    assert_eq!(h.flow().state, STATE_TCP_SYN_SENT);
}

/// The opener of a connection picked up midstream is a guess, so a later policy must apply to it
/// fully.
#[test]
#[ignore = "needs root and BPF"]
fn midstream_connection_is_denied_by_later_policy() {
    for family in [0, 1] {
        let mut h = Harness::new(tiny());
        let nobody = Snapshot::default();
        h.install(&nobody);
        let (client, pod) = (STRANGER[family], POD[family]);
        // The first observed packet is the server's.
        assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, ACK)));
        assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, ACK)));
        assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, ACK)));
        assert_eq!(
            (h.flow().state, h.flow().source),
            (STATE_TCP_ESTABLISHED, ip(pod))
        );
        h.install(&snapshot(true));
        for _ in 0..3 {
            let server = tcp(pod, client, 80, 40000, ACK);
            h.expect(Hook::Tc, &server, REASON_DROP_TCP_NO_FLOW, &[]);
            let stranger = tcp(client, pod, 40000, 80, ACK);
            h.expect(Hook::Xdp, &stranger, REASON_DROP_TCP_NO_FLOW, &[]);
        }
    }
}

/// A RST is not checked against the receiver's exact window: later traffic shows that it was
/// rejected.
#[test]
#[ignore = "needs root and BPF"]
fn rejected_reset_does_not_close_a_flow() {
    let h = Harness::new(tiny());
    let (client, pod) = (CLIENT[0], POD[0]);
    h.handshake(client, pod, 40000);
    assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, RST)));
    assert_eq!(h.flow().state, STATE_TCP_FIN_WAIT);
    assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, ACK)));
    assert_eq!(h.flow().state, STATE_TCP_ESTABLISHED);
}

/// With identifier 0, echo requests of both endpoints have one key; the second is not a reply to
/// the first.
#[test]
#[ignore = "needs root and BPF"]
fn echo_request_is_never_a_reply() {
    for family in [0, 1] {
        let h = Harness::new(tiny());
        let (pod, stranger) = (POD[family], STRANGER[family]);
        let zero = |mut frame: Vec<u8>| {
            let at = frame.len() - 4;
            frame[at..at + 2].fill(0);
            frame
        };
        assert!(h.run(Hook::Tc, &zero(echo(pod, stranger, true))));
        let deny = h.default_deny();
        let request = zero(echo(stranger, pod, true));
        h.expect(Hook::Xdp, &request, REASON_DROP_POLICY, &[(deny, 1)]);
        assert!(h.run(Hook::Xdp, &zero(echo(stranger, pod, false))));
    }
}

/// Two CPUs insert the same keys at the same time, often into the same bucket. Afterwards every
/// flow is in the table once, and no entry is torn.
#[test]
#[ignore = "needs root and BPF"]
fn concurrent_equal_inserts_leave_no_duplicate() {
    const ROUNDS: u32 = 6;
    const FLOWS: u32 = 3000;
    for round in 0..ROUNDS {
        let h = Harness::new(table_for(4096));
        let test_run = &h.test_run;
        thread::scope(|scope| {
            for cpu in 0..2 {
                scope.spawn(move || {
                    pin_to(cpu);
                    for n in 0..FLOWS {
                        let client = address(n + round * 7);
                        let frame = tcp(&client, POD[0], 40000, 80, SYN);
                        assert!(passes(test_run, Hook::Xdp, &frame));
                    }
                });
            }
        });
        let flows = h.flows();
        let mut seen = BTreeSet::new();
        for flow in &flows {
            assert_eq!(flow.destination, ip(POD[0]), "torn: {flow:?}");
            assert_eq!(
                (flow.source_port, flow.destination_port),
                (40000, 80),
                "torn: {flow:?}"
            );
            assert_eq!(flow.ingress_rule, h.rule(1), "torn: {flow:?}");
            assert!(seen.insert(flow.source), "twice: {flow:?}");
        }
        // Rarely, both CPUs give up a flow that they claimed in different buckets; its next packet
        // would insert it.
        assert!(
            flows.len() as u32 > FLOWS * 99 / 100,
            "{} of {FLOWS}",
            flows.len()
        );
        let busy = h.datapath.flows().unwrap().busy();
        assert_eq!(busy, 0, "slots that stayed BUSY");
    }
}
