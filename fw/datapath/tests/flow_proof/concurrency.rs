//! Two CPUs on the same flows.

use super::*;

/// Both CPUs send all kinds of packets of the same few flows, in both directions and on both hooks,
/// while a sweeper runs. The tables are so small that evictions, uneven buckets and lost races are
/// common. A table full of replied flows evicts no more, so each round has its own clients, and the
/// flows of the last round expire. Finally the whole table is audited.
#[test]
#[ignore = "needs root and BPF"]
fn table_is_consistent_after_concurrent_operations() {
    const OPERATIONS: u64 = 200_000; // per CPU, size and round
    const ROUNDS: u32 = 3; // at least; more rounds until enough evictions:
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
            ..table_for(flows)
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

/// As above, with every disturbance at once: late stores of the last-seen time, evictors that give up,
/// and sweepers that are killed at every step of a removal.
#[test]
#[ignore = "needs root and BPF"]
fn table_survives_late_stores_and_kills() {
    const STEPS: [RetireStep; 5] = [
        RetireStep::Claimed,
        RetireStep::Accounted,
        RetireStep::Folded,
        RetireStep::Released,
        RetireStep::Unlocked,
    ];
    let operations = number("BAILEY_FLOW_OPERATIONS", 150_000); // per CPU and size
    for (flows, clients) in [(8, 40), (8, 14), (64, 200)] {
        let h = Harness::new(Settings {
            seen_delay: 3000,
            ..table_for(flows)
        });
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let workers: Vec<_> = [0, 1]
                .map(|cpu| {
                    let h = &h;
                    scope.spawn(move || {
                        pin_to(cpu);
                        work(h, cpu as u64, 0, clients, operations);
                    })
                })
                .into();
            scope.spawn(|| {
                let mut random = Random(1);
                while !stop.load(Ordering::Relaxed) {
                    let slot = random.below(u64::from(2 * flows)) as usize;
                    let step = STEPS[random.below(5) as usize];
                    h.datapath.retire_until(slot, step).unwrap();
                    // A new daemon, after the time in which a stopped one may go on.
                    let mut sweeper = h.datapath.sweeper_ahead(FLOW_BUSY_TICKS + 1).unwrap();
                    sweep_pass(&mut sweeper);
                    sweep_pass(&mut sweeper);
                }
            });
            workers.into_iter().for_each(|w| w.join().unwrap());
            stop.store(true, Ordering::Relaxed);
        });
        let mut sweeper = h.datapath.sweeper_ahead(FLOW_BUSY_TICKS + 1).unwrap();
        (0..3).for_each(|_| sweep_pass(&mut sweeper));
        for flow in h.audit() {
            let ours = flow.source.to_string().starts_with("10.2.") || flow.source == ip(POD[0]);
            assert!(ours, "torn: {flow:?}");
            assert_ne!(flow.ingress_rule, 0, "torn: {flow:?}");
        }
        assert!(h.event(FLOW_RECOVERED) > 10);
    }
}

/// Sends random packets of the friends `first..first + clients`.
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

/// No flow is lost while slots are free: two CPUs insert the same flows and change their states
/// from both directions.
#[test]
#[ignore = "needs root and BPF"]
fn concurrent_inserts_lose_no_flow_with_free_slots() {
    const FLOWS: u32 = 30_000;
    let h = Harness::new(table_for(1 << 16));
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
    // If two CPUs claim one flow in different buckets, both give up, and the next SYN inserts it.
    for n in 0..FLOWS {
        handshake(&h, &friend(n), 40000);
    }
    let flows = h.audit();
    assert_eq!(flows.len() as u32, FLOWS);
    assert!(flows.iter().all(|flow| flow.state == STATE_TCP_ESTABLISHED));
}

/// The counters of a flow are plain additions, and its rules have the same numbers: exact while each
/// direction stays on one CPU, as receive-side scaling ensures, otherwise short by what two CPUs
/// overwrite.
#[test]
#[ignore = "needs root and BPF"]
fn flow_counters_are_exact_per_direction_and_cpu() {
    const PACKETS: u64 = 200_000;
    let count = |one_direction: bool| {
        let h = Harness::new(table_for(1024));
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
        let flow =
            |flow: &bailey_datapath::flows::table::Flow| flow.original.packets + flow.reply.packets;
        let counted = flow(&after.0) - flow(&before.0);
        assert_eq!(after.1.packets - before.1.packets, counted, "of the rule");
        counted
    };
    assert_eq!(count(false), 2 * PACKETS, "a CPU per direction");
    let counted = count(true);
    assert!(counted <= 2 * PACKETS, "never too many");
    assert!(
        counted >= 2 * PACKETS * 6 / 10,
        "two CPUs on one direction: {counted}"
    );
}
