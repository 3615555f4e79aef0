//! What the flow table promises, at the edge: two CPUs and both hooks at once, a full table, floods,
//! sources that take too much, and time that goes round.

mod harness;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bailey_bpf::abi::*;
use bailey_config::{Settings, Timeouts};
use bailey_datapath::flows::sweep::Sweeper;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::{Datapath, PinDir};
use harness::*;

fn settings(flows: u32) -> Settings {
    Settings {
        flows,
        rules: 256,
        ..without_flood_defence()
    }
}

/// A friend of the pod: may reach all of it.
fn friend(n: u32) -> String {
    format!("10.2.{}.{}", n >> 8 & 0xff, n & 0xff)
}

fn pass(h: &Harness, hook: Hook, frame: &[u8]) {
    assert!(h.run(hook, frame));
}

fn handshake(h: &Harness, client: &str, port: u16) {
    pass(h, Hook::Xdp, &tcp(client, POD[0], port, 80, SYN));
    pass(h, Hook::Tc, &tcp(POD[0], client, 80, port, SYN_ACK));
    pass(h, Hook::Xdp, &tcp(client, POD[0], port, 80, ACK));
}

fn state_counts(h: &Harness) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for flow in h.flows() {
        *counts.entry(flow.state).or_default() += 1;
    }
    counts
}

/// Both CPUs do everything that packets can do to the same few flows, in both directions and on both
/// hooks, in tables so small that evictions, unequal buckets and lost races are the rule; a sweeper
/// walks along. A table full of flows that were answered evicts nothing more, so each round has
/// clients of its own, and the flows of the last round run out. Afterwards the whole table is checked.
#[test]
#[ignore = "needs root and BPF"]
fn millions_of_operations_on_two_cpus_leave_a_whole_table() {
    const OPERATIONS: u64 = 200_000; // per CPU, size and round
    const ROUNDS: u32 = 3; // at least, and more until there were so many evictions:
    const EVICTIONS: u64 = 1000; // where the table has no room for half of the clients
    for (flows, clients) in [(8, 40), (8, 6), (64, 200)] {
        let timeouts = Timeouts {
            tcp_established: 1,
            tcp_closed: 1,
            udp_replied: 1,
            icmp: 1,
            denied: 1,
            ..Timeouts::default()
        };
        let h = Harness::new(Settings {
            timeouts,
            ..settings(flows)
        });
        let evictions = || h.event(FLOW_EVICTED_HALF_OPEN) + h.event(FLOW_EVICTED_CLOSED);
        let wanted = if clients > 2 * flows { EVICTIONS } else { 0 };
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let workers: Vec<_> = [0, 1]
                .map(|cpu| {
                    let (h, evictions) = (&h, &evictions);
                    scope.spawn(move || {
                        pin_to(cpu);
                        for round in 0..10 * ROUNDS {
                            if round >= ROUNDS && evictions() >= wanted {
                                break;
                            }
                            let seed = u64::from(2 * round) + cpu as u64;
                            work(h, seed, round * clients, clients, OPERATIONS);
                        }
                    })
                })
                .into();
            scope.spawn(|| {
                let mut sweeper = h.datapath.sweeper().unwrap();
                while !stop.load(Ordering::Relaxed) {
                    sweep_pass(&mut sweeper);
                    thread::sleep(Duration::from_millis(50));
                }
            });
            workers.into_iter().for_each(|w| w.join().unwrap());
            stop.store(true, Ordering::Relaxed);
        });
        for flow in h.audit() {
            let ours = flow.source.to_string().starts_with("10.2.") || flow.source == ip(POD[0]);
            assert!(
                ours && flow.source_port.max(flow.destination_port) < 65000,
                "torn: {flow:?}"
            );
            assert_ne!(flow.ingress_rule, 0, "torn: {flow:?}");
        }
        assert!(evictions() >= wanted, "{} evictions", evictions());
    }
}

/// Random packets of the friends `first..first + clients`.
fn work(h: &Harness, seed: u64, first: u32, clients: u32, operations: u64) {
    let mut random = Random(seed);
    let frames: Vec<Vec<(Hook, Vec<u8>)>> = (first..first + clients)
        .map(|n| {
            let client = friend(n);
            let (to, from) = (
                |flags| (Hook::Xdp, tcp(&client, POD[0], 40000, 80, flags)),
                |flags| (Hook::Tc, tcp(POD[0], &client, 80, 40000, flags)),
            );
            vec![
                to(SYN),
                from(SYN_ACK),
                to(ACK),
                from(ACK),
                to(FIN_ACK),
                from(FIN_ACK),
                to(RST),
                (Hook::Xdp, udp(&client, POD[0], 5000, 53)),
                (Hook::Tc, udp(POD[0], &client, 53, 5000)),
                (Hook::Tc, udp(POD[0], &client, 7000, 7)),
                (Hook::Xdp, echo(&client, POD[0], true)),
                (Hook::Tc, echo(POD[0], &client, false)),
            ]
        })
        .collect();
    for _ in 0..operations {
        let of = &frames[random.below(frames.len() as u64) as usize];
        let (hook, frame) = &of[random.below(of.len() as u64) as usize];
        h.run(*hook, frame);
    }
}

fn sweep_pass(sweeper: &mut Sweeper) {
    while !sweeper.sweep(64) {}
}

/// Nothing that got a place is lost while there is room: two CPUs insert the same flows and move them
/// through their states from both directions.
#[test]
#[ignore = "needs root and BPF"]
fn no_flow_is_lost_while_there_is_room() {
    const FLOWS: u32 = 30_000;
    let h = Harness::new(settings(1 << 16));
    thread::scope(|scope| {
        for cpu in 0..2 {
            let h = &h;
            scope.spawn(move || {
                pin_to(cpu);
                for n in 0..FLOWS {
                    let client = friend(n);
                    h.run(Hook::Xdp, &tcp(&client, POD[0], 40000, 80, SYN));
                    h.run(Hook::Tc, &tcp(POD[0], &client, 80, 40000, SYN_ACK));
                    h.run(Hook::Xdp, &tcp(&client, POD[0], 40000, 80, ACK));
                }
            });
        }
    });
    // Two CPUs that claim one flow in different buckets both give up; the next SYN inserts it.
    for n in 0..FLOWS {
        handshake(&h, &friend(n), 40000);
    }
    let flows = h.audit();
    assert_eq!(flows.len() as u32, FLOWS);
    assert!(flows.iter().all(|flow| flow.state == STATE_TCP_ESTABLISHED));
}

/// Per-CPU counters lose nothing. Those of a flow are plain additions: exact while a direction stays
/// on one CPU, as receive-side scaling has it, and otherwise short by what two CPUs overwrite.
#[test]
#[ignore = "needs root and BPF"]
fn counters_are_exact_or_short_by_a_known_share() {
    const PACKETS: u64 = 200_000;
    let count = |one_direction: bool| {
        let h = Harness::new(settings(1024));
        handshake(&h, CLIENT[0], 40000);
        let before = (h.flow(), h.datapath.counters().unwrap().rule(h.rule(0)));
        thread::scope(|scope| {
            for cpu in 0..2 {
                let h = &h;
                scope.spawn(move || {
                    pin_to(cpu);
                    let there = (Hook::Xdp, tcp(CLIENT[0], POD[0], 40000, 80, ACK));
                    let back = (Hook::Tc, tcp(POD[0], CLIENT[0], 80, 40000, ACK));
                    let (hook, frame) = if cpu == 0 || one_direction {
                        there
                    } else {
                        back
                    };
                    for _ in 0..PACKETS {
                        pass(h, hook, &frame);
                    }
                });
            }
        });
        let after = (h.flow(), h.datapath.counters().unwrap().rule(h.rule(0)));
        assert_eq!(
            after.1.packets - before.1.packets,
            2 * PACKETS,
            "of the rule"
        );
        let flow =
            |flow: &bailey_datapath::flows::table::Flow| flow.original.packets + flow.reply.packets;
        flow(&after.0) - flow(&before.0)
    };
    assert_eq!(count(false), 2 * PACKETS, "a CPU per direction");
    let counted = count(true);
    assert!(counted <= 2 * PACKETS, "never too many");
    assert!(
        counted >= 2 * PACKETS * 6 / 10,
        "two CPUs on one direction: {counted}"
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn at_half_fill_a_new_flow_finds_its_place() {
    const FLOWS: u32 = 1 << 16;
    const NEW: u32 = 300_000;
    let h = Harness::new(Settings {
        flows_per_source: 0,
        ..settings(FLOWS)
    });
    for n in 0..FLOWS {
        handshake(&h, &friend(n), 40000);
    }
    assert_eq!(state_counts(&h)[&STATE_TCP_ESTABLISHED] as u32, FLOWS);
    let refused = (0..NEW)
        .filter(|n| {
            let port = 1024 + (n >> 16) as u16;
            !h.run(Hook::Xdp, &tcp(&friend(*n), POD[0], port, 81, SYN))
        })
        .count();
    assert!(refused < 3, "{refused} of {NEW}");
    assert_eq!(h.event(FLOW_REFUSED_FULL), refused as u64);
    assert_eq!(state_counts(&h)[&STATE_TCP_ESTABLISHED] as u32, FLOWS);
}

/// Five times the table in SYNs from random sources. Established flows stay, every one; and those who
/// want to connect meanwhile do, though their handshakes take as long as thousands of the flood's
/// packets.
#[test]
#[ignore = "needs root and BPF"]
fn a_flood_of_half_open_flows_costs_no_connection() {
    const FLOWS: u32 = 1 << 14;
    const SLOTS: u32 = 2 * FLOWS;
    const FLOOD: u32 = 5 * SLOTS;
    const EVERY: u32 = 40; // one who means it
    const ROUND_TRIP: u32 = 4000; // packets of the flood
    let h = Harness::new(settings(FLOWS));
    for n in 0..FLOWS / 2 {
        handshake(&h, &friend(n), 40000);
    }
    let mut random = Random(7);
    let mut opening: Vec<(u32, u32)> = Vec::new();
    let mut begun = 0;
    for n in 0..FLOOD {
        let source = random.next() as u32;
        let flooder = format!("10.2.{}.{}", source >> 8 & 0xff, source & 0xff);
        let port = (source >> 16) as u16;
        h.run(Hook::Xdp, &tcp(&flooder, POD[0], port | 0x8000, 443, SYN));
        if n.is_multiple_of(EVERY) {
            h.run(Hook::Xdp, &tcp(&friend(begun), POD[0], 999, 22, SYN));
            opening.push((begun, n + ROUND_TRIP));
            begun += 1;
        }
        while let Some(&(client, due)) = opening.first() {
            if due > n {
                break;
            }
            opening.remove(0);
            let client = friend(client);
            h.run(Hook::Tc, &tcp(POD[0], &client, 22, 999, SYN_ACK));
            h.run(Hook::Xdp, &tcp(&client, POD[0], 999, 22, ACK));
        }
    }
    let begun = begun - opening.len() as u32;
    let flows = h.audit();
    let established = |port: u16| {
        let of = flows
            .iter()
            .filter(|flow| flow.state == STATE_TCP_ESTABLISHED && flow.destination_port == port);
        of.count() as u32
    };
    assert_eq!(established(80), FLOWS / 2, "established before the flood");
    let completed = established(22);
    assert!(
        completed * 100 >= begun * 99,
        "{completed} of {begun} connections that began during the flood"
    );
    assert_eq!(h.event(FLOW_EVICTED_IDLE), 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_source_that_has_enough_gets_no_more_protected_flows() {
    const LIMIT: u32 = 100;
    for (greedy, other) in [("10.2.0.9", "10.2.0.10"), ("fd02::9", "fd02:0:0:1::9")] {
        let family = usize::from(greedy.contains(':'));
        let h = Harness::new(Settings {
            flows_per_source: LIMIT,
            ..settings(4096)
        });
        let pod = POD[family];
        let open = |from: &str, n: u16| {
            pass(&h, Hook::Xdp, &tcp(from, pod, 1000 + n, 80, SYN));
            pass(&h, Hook::Tc, &tcp(pod, from, 80, 1000 + n, SYN_ACK));
            pass(&h, Hook::Xdp, &tcp(from, pod, 1000 + n, 80, ACK));
        };
        for n in 0..LIMIT as u16 + 50 {
            open(greedy, n);
        }
        let states = state_counts(&h);
        assert_eq!(states[&STATE_TCP_ESTABLISHED] as u32, LIMIT);
        assert_eq!(
            states[&STATE_TCP_SYN_RECV], 50,
            "they work, and stay evictable"
        );
        assert_eq!(h.event(FLOW_SOURCE_LIMITED), 50);
        let late = tcp(pod, greedy, 80, 1000 + LIMIT as u16 + 7, ACK);
        pass(&h, Hook::Tc, &late);
        h.audit();
        if family == 1 {
            // Another address of the same network is the same source.
            open("fd02::abcd", 5);
            assert_eq!(state_counts(&h)[&STATE_TCP_ESTABLISHED] as u32, LIMIT);
        } else {
            open(other, 5);
            assert_eq!(state_counts(&h)[&STATE_TCP_ESTABLISHED] as u32, LIMIT + 1);
        }
        // One ends, and another gets its place with its next packet.
        let full = state_counts(&h)[&STATE_TCP_ESTABLISHED];
        pass(&h, Hook::Xdp, &tcp(greedy, pod, 1000, 80, FIN_ACK));
        pass(&h, Hook::Tc, &tcp(pod, greedy, 80, 1000, FIN_ACK));
        assert_eq!(state_counts(&h)[&STATE_TCP_ESTABLISHED], full - 1);
        pass(
            &h,
            Hook::Xdp,
            &tcp(greedy, pod, 1000 + LIMIT as u16 + 7, 80, ACK),
        );
        assert_eq!(state_counts(&h)[&STATE_TCP_ESTABLISHED], full);
        h.audit();
    }
}

/// Ticks are 1.07 s, stamps may be one apart.
const IDLE: Duration = Duration::from_millis(3300);

#[test]
#[ignore = "needs root and BPF"]
fn the_idlest_flow_makes_way_before_a_new_one_is_refused() {
    let h = Harness::new(Settings {
        evict_live_after_seconds: 1,
        ..settings(8)
    });
    for n in 0..16 {
        handshake(&h, &friend(n), 40000);
    }
    let refused = tcp(&friend(99), POD[0], 40000, 80, SYN);
    h.expect(Hook::Xdp, &refused, REASON_DROP_FLOW_TABLE_FULL, &[]);
    thread::sleep(IDLE);
    // All but one have something to say.
    for n in (0..16).filter(|&n| n != 5) {
        pass(&h, Hook::Xdp, &tcp(&friend(n), POD[0], 40000, 80, ACK));
    }
    pass(&h, Hook::Xdp, &tcp(&friend(99), POD[0], 40000, 80, SYN));
    assert_eq!(h.event(FLOW_EVICTED_IDLE), 1);
    let flows = h.audit();
    assert!(flows.iter().all(|flow| flow.source != ip(&friend(5))));
    assert_eq!(flows.len(), 16);
}

/// It needs no place.
#[test]
#[ignore = "needs root and BPF"]
fn a_full_table_does_not_touch_the_failsafe() {
    let h = Harness::new(Settings {
        failsafe: vec![bailey_config::Failsafe {
            cidr: "10.2.99.0/24".parse().unwrap(),
            protocol: bailey_policy::Protocol::TCP,
            port: 22,
        }],
        ..settings(8)
    });
    for n in 0..16 {
        handshake(&h, &friend(n), 40000);
    }
    let operator = "10.2.99.1";
    let other = tcp(operator, POD[0], 40000, 23, SYN);
    h.expect(Hook::Xdp, &other, REASON_DROP_FLOW_TABLE_FULL, &[]);
    let ssh = tcp(operator, POD[0], 40000, 22, SYN);
    h.expect(Hook::Xdp, &ssh, REASON_PASS_FAILSAFE, &[]);
    let answer = tcp(POD[0], operator, 22, 40000, SYN_ACK);
    h.expect(Hook::Tc, &answer, REASON_PASS_FAILSAFE, &[]);
    assert_eq!(h.audit().len(), 16);
}

#[test]
#[ignore = "needs root and BPF"]
fn idle_times_shrink_as_the_table_fills() {
    let timeouts = Timeouts {
        tcp_established: 64,
        ..Timeouts::default()
    };
    let h = Harness::new(Settings {
        timeouts,
        ..settings(8)
    });
    let mut sweeper = h.datapath.sweeper().unwrap();
    for n in 0..4 {
        handshake(&h, &friend(n), 40000);
    }
    sweep_pass(&mut sweeper);
    assert_eq!(sweeper.publish_timeout_scale(), u64::from(SCALE_ONE));
    for n in 4..12 {
        handshake(&h, &friend(n), 40000);
    }
    // Half-open flows make their own way out, and shorten nobody's time.
    for n in 20..24 {
        pass(&h, Hook::Xdp, &tcp(&friend(n), POD[0], 40000, 80, SYN));
    }
    sweep_pass(&mut sweeper);
    assert_eq!(
        sweeper.publish_timeout_scale(),
        8,
        "150 % of the flows it was made for are live"
    );
    assert_eq!(h.audit().len(), 16, "not yet idle for a 32nd of a minute");
    thread::sleep(3 * IDLE);
    for n in 0..3 {
        // A packet sees the shrunk time too: it finds its flow expired, and is none of a new one.
        let late = tcp(&friend(n), POD[0], 40000, 80, ACK);
        h.expect(Hook::Xdp, &late, REASON_DROP_TCP_NO_FLOW, &[]);
    }
    sweep_pass(&mut sweeper);
    assert_eq!(h.audit().len(), 0);
    assert_eq!(h.event(FLOW_SWEPT), 16);
    sweep_pass(&mut sweeper);
    assert_eq!(sweeper.publish_timeout_scale(), u64::from(SCALE_ONE));
}

/// Live flows keep sending while the sweeper walks without pause; idle ones next to them go.
#[test]
#[ignore = "needs root and BPF"]
fn the_sweeper_takes_idle_flows_and_no_live_one() {
    const LIVE: u32 = 300;
    const IDLE_FLOWS: u32 = 3000;
    let timeouts = Timeouts {
        tcp_established: 3,
        tcp_syn_recv: 3,
        ..Timeouts::default()
    };
    let h = Harness::new(Settings {
        timeouts,
        ..settings(4096)
    });
    for n in 0..LIVE + IDLE_FLOWS {
        handshake(&h, &friend(n), 40000);
    }
    let stop = AtomicBool::new(false);
    let lost = AtomicU64::new(0);
    thread::scope(|scope| {
        let h = &h;
        scope.spawn(|| {
            let mut sweeper = h.datapath.sweeper().unwrap();
            while !stop.load(Ordering::Relaxed) {
                sweep_pass(&mut sweeper);
            }
        });
        for cpu in 0..2 {
            let (stop, lost) = (&stop, &lost);
            scope.spawn(move || {
                pin_to(cpu);
                let half = (0..LIVE).filter(move |n| *n as usize % 2 == cpu);
                let clients: Vec<String> = half.map(friend).collect();
                while !stop.load(Ordering::Relaxed) {
                    for client in &clients {
                        let there = h.run(Hook::Xdp, &tcp(client, POD[0], 40000, 80, ACK));
                        let back = h.run(Hook::Tc, &tcp(POD[0], client, 80, 40000, ACK));
                        lost.fetch_add(u64::from(!there) + u64::from(!back), Ordering::Relaxed);
                    }
                }
            });
        }
        thread::sleep(Duration::from_secs(8));
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(lost.into_inner(), 0, "packets of live flows");
    assert_eq!(h.audit().len() as u32, LIVE);
    assert_eq!(h.event(FLOW_SWEPT), u64::from(IDLE_FLOWS));
}

#[test]
#[ignore = "needs root and BPF"]
fn a_flow_that_has_been_dead_for_months_never_comes_back() {
    const WRAP: u32 = TICK_MASK + 1; // 208 days
    const DAY: u32 = ((86_400_u64 * 1_000_000_000) >> TICK_SHIFT) as u32;
    let pins = private();
    let at = |offset: u32| Settings {
        clock_offset: offset,
        ..settings(1024)
    };
    let mut h = on(&pins, at(0));
    handshake(&h, CLIENT[0], 40000);
    let late = tcp(CLIENT[0], POD[0], 40000, 80, ACK);
    // Without anyone looking: days, weeks and months.
    for days in [1, 30, 104, 105, 150, 200, 207] {
        h = after(h, &pins, at(days * DAY));
        h.expect(Hook::Xdp, &late, REASON_DROP_TCP_NO_FLOW, &[]);
    }
    // With a sweeper it is gone long before its age could come round.
    h = after(h, &pins, at(DAY));
    sweep_pass(&mut h.datapath.sweeper().unwrap());
    assert_eq!(h.flows().len(), 0);
    h = after(h, &pins, at(WRAP + 1));
    h.expect(Hook::Xdp, &late, REASON_DROP_TCP_NO_FLOW, &[]);
}

/// What is found again after an upgrade: every flow, under its secret, with its counts.
#[test]
#[ignore = "needs root and BPF"]
fn an_upgrade_finds_every_flow() {
    const FLOWS: u32 = 2000;
    let pins = private();
    let h = on(&pins, settings(4096));
    for n in 0..FLOWS {
        handshake(&h, &friend(n), 40000);
    }
    let before: Vec<_> = h
        .audit()
        .iter()
        .map(|f| (f.key, f.original, f.slot))
        .collect();
    // Other constants: other programs.
    let h = after(
        h,
        &pins,
        Settings {
            evict_live_after_seconds: 77,
            ..settings(4096)
        },
    );
    let now: Vec<_> = h
        .audit()
        .iter()
        .map(|f| (f.key, f.original, f.slot))
        .collect();
    assert_eq!(before, now);
    for n in 0..FLOWS {
        pass(&h, Hook::Xdp, &tcp(&friend(n), POD[0], 40000, 80, ACK));
    }
    assert_eq!(h.event(FLOW_INSERTED), u64::from(FLOWS));
    // A table of another size is not taken for this one.
    let tables = h.tables.rules.clone();
    drop(h);
    let bigger = PinDir::Private(pins.try_clone().unwrap());
    let other = Datapath::open(bigger, settings(16384), tables).unwrap();
    assert!(
        !other.is_adopted(),
        "nothing is attached, so it may begin anew"
    );
    assert_eq!(other.flows().unwrap().iter().count(), 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_stamp_that_comes_round_is_not_current() {
    const HALF: u32 = META_EPOCH_MASK.div_ceil(2);
    for swept in [true, false] {
        let mut h = Harness::new(settings(1024));
        handshake(&h, CLIENT[0], 40000);
        h.install(&snapshot(false));
        let mut sweeper = h.datapath.sweeper().unwrap();
        h.datapath.skip_epochs(1 << 17);
        if swept {
            sweep_pass(&mut sweeper);
            assert_eq!(h.event(FLOW_RESTAMPED), 1);
            assert_eq!(h.flow().epoch, 0);
        }
        h.datapath.skip_epochs(HALF);
        let packet = tcp(CLIENT[0], POD[0], 40000, 80, ACK);
        // The other case shows what the sweeper is for, and that this test can fail.
        assert_eq!(h.run(Hook::Xdp, &packet), !swept);
    }
}

/// A sweeper that is killed between taking a line and giving its lane back leaves the lane unusable
/// for a moment, not for good.
#[test]
#[ignore = "needs root and BPF"]
fn a_lane_that_a_killed_sweeper_left_is_recovered() {
    let h = Harness::new(settings(8));
    handshake(&h, CLIENT[0], 40000);
    h.datapath.abandon_busy(h.flow().slot);
    assert_eq!(h.datapath.flows().unwrap().busy(), 1);
    let mut sweeper = h.datapath.sweeper().unwrap();
    sweep_pass(&mut sweeper);
    assert_eq!(
        h.datapath.flows().unwrap().busy(),
        1,
        "it could be a packet's"
    );
    sweep_pass(&mut sweeper);
    assert_eq!(h.datapath.flows().unwrap().busy(), 0);
    assert_eq!(h.event(FLOW_RECOVERED), 1);
    handshake(&h, CLIENT[0], 40000);
}

/// The cost of sweeping is a benchmark's business; this only shows that a pass over a big table ends.
#[test]
#[ignore = "needs root and BPF"]
fn a_pass_over_a_big_table_ends() {
    let h = Harness::new(settings(1 << 20));
    let mut sweeper = h.datapath.sweeper().unwrap();
    let begun = Instant::now();
    sweep_pass(&mut sweeper);
    sweeper.publish_timeout_scale();
    assert_eq!(sweeper.passes(), 1);
    assert!(begun.elapsed() < Duration::from_secs(60));
}
