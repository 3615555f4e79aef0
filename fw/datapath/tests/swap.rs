//! Commits under traffic: two policy sets alternate without pause while packets are sent on both
//! CPUs, both hooks and in both families.

mod harness;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use bailey_bpf::abi::*;
use bailey_compile::{CompileLimits, RuleIds, compile};
use bailey_config::{OnPolicyChange, Settings};
use bailey_datapath::Enforcer;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::test_run::TestRun;
use harness::*;

/// Commits under traffic: 200 in CI, 1000 under `make soak` (`BAILEY_SOAK`). Each commit takes the same
/// steps, so 200 show an error of a step; 1000 show races.
fn commits() -> u32 {
    if std::env::var_os("BAILEY_SOAK").is_some() {
        1000
    } else {
        200
    }
}

/// Counts of one worker.
#[derive(Default)]
struct Seen {
    forbidden_passed: AtomicU64,
    allowed_lost: AtomicU64,
    sometimes_passed: AtomicU64,
    sometimes_dropped: AtomicU64,
    rounds: AtomicU64,
}

fn settings() -> Settings {
    Settings {
        flows: 1 << 14,
        rules: 256,
        ..without_flood_defence()
    }
}

fn count(counter: &AtomicU64, of: bool) {
    counter.fetch_add(u64::from(of), Ordering::Relaxed);
}

/// One round: packets that both sets forbid, that both allow, and that only one allows.
fn round(test_run: &TestRun, seen: &Seen, n: u16) {
    let open = |hook, frame: &[u8]| passes(test_run, hook, frame);
    for f in [0, 1] {
        let (pod, client, friend, stranger) = (POD[f], CLIENT[f], FRIEND[f], STRANGER[f]);
        let port = 1024 + n % 60000;
        // Forbidden by both sets, on both hooks: a stranger, and replies without a flow.
        let forbidden = [
            (Hook::Xdp, tcp(stranger, pod, port, 80, SYN)),
            (Hook::Xdp, udp(stranger, pod, port, 80)),
            (Hook::Xdp, echo(stranger, pod, true)),
            (Hook::Tc, tcp(pod, stranger, 80, port, SYN_ACK)),
            (Hook::Tc, echo(pod, stranger, false)),
        ];
        for (hook, frame) in &forbidden {
            count(&seen.forbidden_passed, open(*hook, frame));
        }
        // Established, and allowed by both sets.
        for (hook, frame) in [
            (Hook::Xdp, tcp(friend, pod, 40000, 80, ACK)),
            (Hook::Tc, tcp(pod, friend, 80, 40000, ACK)),
            (Hook::Xdp, udp(friend, pod, 5000, 53)),
            (Hook::Tc, udp(pod, friend, 53, 5000)),
            (Hook::Tc, udp(pod, client, 6000, 53)),
            (Hook::Xdp, udp(client, pod, 53, 6000)),
        ] {
            count(&seen.allowed_lost, !open(hook, &frame));
        }
        // Allowed by one set only.
        let passed = open(Hook::Xdp, &tcp(client, pod, port, 80, SYN));
        count(&seen.sometimes_passed, passed);
        count(&seen.sometimes_dropped, !passed);
    }
    count(&seen.rounds, true);
}

/// Number of packets counted under a reason.
fn reason(h: &Harness, reason: u32) -> u64 {
    let counts = h.datapath.counters().unwrap().reasons();
    let of = counts.iter().filter(|((_, number), _)| *number == reason);
    of.map(|(_, count)| count.packets).sum()
}

#[test]
#[ignore = "needs root and BPF"]
fn commits_never_pass_or_drop_wrong_packets() {
    let mut h = Harness::new(settings());
    for f in [0, 1] {
        let (pod, client, friend) = (POD[f], CLIENT[f], FRIEND[f]);
        assert!(h.run(Hook::Xdp, &tcp(friend, pod, 40000, 80, SYN)));
        assert!(h.run(Hook::Tc, &tcp(pod, friend, 80, 40000, SYN_ACK)));
        assert!(h.run(Hook::Xdp, &tcp(friend, pod, 40000, 80, ACK)));
        assert!(h.run(Hook::Xdp, &udp(friend, pod, 5000, 53)));
        assert!(h.run(Hook::Tc, &udp(pod, client, 6000, 53)));
    }
    let a = compile(&snapshot(true), &h.tables.rules, &CompileLimits::default()).unwrap();
    let b = compile(&snapshot(false), &a.rules, &CompileLimits::default()).unwrap();
    let a = compile(&snapshot(true), &b.rules, &CompileLimits::default()).unwrap();
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for cpu in 0..2 {
            let (seen, stop) = (&seen, &stop);
            let test_run = h.datapath.test_run().unwrap();
            scope.spawn(move || {
                pin_to(cpu);
                let mut n = cpu as u16;
                while !stop.load(Ordering::Relaxed) {
                    round(&test_run, seen, n);
                    n = n.wrapping_add(2);
                }
            });
        }
        for commit in 0..commits() {
            let tables = if commit % 2 == 0 { &b } else { &a };
            h.datapath.install(tables).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(seen.forbidden_passed.into_inner(), 0, "forbidden by both");
    assert_eq!(seen.allowed_lost.into_inner(), 0, "allowed by both");
    // Both sets must have been active often.
    let (passed, dropped) = (
        seen.sometimes_passed.into_inner(),
        seen.sometimes_dropped.into_inner(),
    );
    assert!(passed > 1000 && dropped > 1000, "{passed} {dropped}");
    assert!(seen.rounds.into_inner() > u64::from(commits()));
    for half in [
        REASON_DROP_GENERATION_MISMATCH,
        REASON_DROP_NO_POLICY,
        REASON_DROP_MAP_ERROR,
    ] {
        assert_eq!(reason(&h, half), 0, "reason {half}");
    }
    assert_eq!(h.datapath.control().generation, commits() + 1);
    h.audit();
}

/// A connection that is revoked while both endpoints send on two CPUs stays denied in both
/// directions, with and without `tcp_strict`.
#[test]
#[ignore = "needs root and BPF"]
fn revoked_connection_stays_denied_under_traffic() {
    for tcp_strict in [false, true] {
        let mut h = Harness::new(Settings {
            tcp_strict,
            ..settings()
        });
        for f in [0, 1] {
            let (pod, client) = (POD[f], CLIENT[f]);
            assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, SYN)));
            assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, SYN_ACK)));
            assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, ACK)));
            assert!(h.run(Hook::Xdp, &udp(client, pod, 5000, 80)));
            assert!(h.run(Hook::Tc, &udp(pod, client, 80, 5000)));
        }
        let (revoked, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        let (passed, tried) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for cpu in 0..2 {
                let (revoked, stop, passed, tried) = (&revoked, &stop, &passed, &tried);
                let test_run = h.datapath.test_run().unwrap();
                scope.spawn(move || {
                    pin_to(cpu);
                    let frames: Vec<_> = [0, 1]
                        .into_iter()
                        .flat_map(|f| match cpu {
                            0 => [
                                (Hook::Xdp, tcp(CLIENT[f], POD[f], 40000, 80, ACK)),
                                (Hook::Xdp, udp(CLIENT[f], POD[f], 5000, 80)),
                            ],
                            _ => [
                                (Hook::Tc, tcp(POD[f], CLIENT[f], 80, 40000, ACK)),
                                (Hook::Tc, udp(POD[f], CLIENT[f], 80, 5000)),
                            ],
                        })
                        .collect();
                    while !stop.load(Ordering::Relaxed) {
                        // Read before the packet is sent: a packet sent after the revocation must
                        // not pass.
                        let after = revoked.load(Ordering::SeqCst);
                        for (hook, frame) in &frames {
                            let pass = passes(&test_run, *hook, frame);
                            count(tried, after);
                            count(passed, pass && after);
                        }
                    }
                });
            }
            thread::sleep(std::time::Duration::from_millis(200));
            h.install(&snapshot(false));
            revoked.store(true, Ordering::SeqCst);
            for _ in 0..20 {
                // Further commits without relevant changes do not revive the connection.
                h.install(&snapshot(false));
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(passed.into_inner(), 0, "tcp_strict {tcp_strict}");
        assert!(tried.into_inner() > 10_000);
        assert!(h.audit().iter().all(|flow| flow.state == STATE_DENIED));
    }
}

/// `keep`: the first packet after a commit restamps the flow, and later ones take the fast path.
#[test]
#[ignore = "needs root and BPF"]
fn kept_flow_takes_the_slow_path_once() {
    for tcp_strict in [false, true] {
        let mut h = Harness::new(Settings {
            tcp_strict,
            on_policy_change: OnPolicyChange::Keep,
            ..settings()
        });
        let (pod, client) = (POD[0], CLIENT[0]);
        assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, SYN)));
        assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, SYN_ACK)));
        assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, ACK)));
        h.install(&snapshot(false));
        assert_ne!(h.flow().epoch, h.datapath.control().epoch);
        assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, ACK)));
        assert_eq!(h.flow().epoch, h.datapath.control().epoch, "stamped");
        // Without policy programs, packets of the flow still pass on the fast path.
        h.datapath.empty_slots();
        for _ in 0..3 {
            assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, ACK)));
            assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, ACK)));
        }
        let other = tcp(client, pod, 40001, 80, SYN);
        h.expect(Hook::Xdp, &other, REASON_DROP_NO_POLICY, &[]);
    }
}

/// Epoch 0 is never current: it precedes the first commit. Every packet of a flow is evaluated.
#[test]
#[ignore = "needs root and BPF"]
fn no_flow_is_current_in_epoch_zero() {
    let mut h = Harness::new(settings());
    h.datapath.set_epoch(0);
    let (pod, client) = (POD[0], CLIENT[0]);
    let ack = tcp(client, pod, 40000, 80, ACK);
    assert!(h.run(Hook::Xdp, &tcp(client, pod, 40000, 80, SYN)));
    assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, SYN_ACK)));
    assert!(h.run(Hook::Xdp, &ack));
    assert!(h.run(Hook::Xdp, &ack));
    assert_eq!(h.flow().state, STATE_TCP_ESTABLISHED);
    h.datapath.empty_slots();
    h.expect(Hook::Xdp, &ack, REASON_DROP_NO_POLICY, &[]);
    let reply = tcp(pod, client, 80, 40000, ACK);
    h.expect(Hook::Tc, &reply, REASON_DROP_NO_POLICY, &[]);
}

/// The slot before the active one keeps its program, for a rollback. All older slots drop under
/// `no-policy`, as empty slots do.
#[test]
#[ignore = "needs root and BPF"]
fn retired_slots_drop_under_no_policy() {
    let mut h = Harness::new(settings());
    for n in 0..POLICY_SLOTS {
        h.install(&snapshot(n % 2 == 0));
    }
    let active = h.datapath.control().slot;
    let before = (active + POLICY_SLOTS - 1) % POLICY_SLOTS;
    let syns = [
        (Hook::Xdp, tcp(FRIEND[0], POD[0], 1000, 80, SYN)),
        (Hook::Tc, tcp(POD[0], FRIEND[0], 1000, 80, SYN)),
    ];
    // Slots beyond the last exist only in a corrupt control word.
    for slot in (0..POLICY_SLOTS + 2).filter(|&slot| slot != active) {
        h.datapath.select_slot(slot);
        let reason = match slot {
            _ if slot == before => REASON_DROP_GENERATION_MISMATCH,
            _ => REASON_DROP_NO_POLICY,
        };
        for (hook, syn) in &syns {
            h.expect(*hook, syn, reason, &[]);
        }
    }
    h.datapath.select_slot(active);
    assert!(h.run(Hook::Xdp, &syns[0].1));
}

/// `tcp_strict`: only a SYN creates a TCP flow, also between endpoints that no policy isolates.
#[test]
#[ignore = "needs root and BPF"]
fn strict_tcp_creates_flows_by_syn_only() {
    for tcp_strict in [false, true] {
        let h = Harness::new(Settings {
            tcp_strict,
            ..settings()
        });
        // No policy selects either endpoint.
        let middle = tcp(STRANGER[0], FRIEND[0], 40000, 22, ACK);
        assert_eq!(h.run(Hook::Xdp, &middle), !tcp_strict);
        assert!(h.run(Hook::Xdp, &tcp(STRANGER[0], FRIEND[0], 40001, 22, SYN)));
    }
}

/// A removed rule keeps its counters and id while flows refer to it, and continues with them if it
/// returns.
#[test]
#[ignore = "needs root and BPF"]
fn counters_of_returning_rules_continue() {
    let mut h = Harness::new(settings());
    let syn = |h: &Harness, port| h.run(Hook::Xdp, &tcp(FRIEND[0], POD[0], port, 80, SYN));
    let hits = |h: &Harness, rule| h.datapath.counters().unwrap().rule(rule).hits;
    for n in 0..10 {
        assert!(syn(&h, 1000 + n));
        assert!(h.run(Hook::Xdp, &tcp(CLIENT[0], POD[0], 1000 + n, 80, SYN)));
        let (friends, web) = (h.rule(1), h.rule(0));
        assert_eq!(hits(&h, friends), u64::from(n) + 1);
        assert_eq!(hits(&h, web), u64::from(n) + 1);
        h.install(&snapshot(false));
        h.install(&snapshot(true));
        assert_eq!((h.rule(1), h.rule(0)), (friends, web));
    }
    let ids: RuleIds = h.tables.rules.clone();
    assert!(ids.retired().count() <= 1);
}
