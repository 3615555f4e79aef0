//! The sweeper: timeouts, wrapping clocks and epochs, upgrades.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn timeouts_shrink_as_the_table_fills() {
    let timeouts = Timeouts {
        tcp_established: 64,
        ..Timeouts::default()
    };
    let h = Harness::new(Settings {
        timeouts,
        ..table_for(8)
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
    // Half-open flows can be evicted and do not scale timeouts.
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
        // Packets use the scaled timeout too: this one finds its flow expired and creates none.
        let late = tcp(&friend(n), POD[0], 40000, 80, ACK);
        h.expect(Hook::Xdp, &late, REASON_DROP_TCP_NO_FLOW, &[]);
    }
    sweep_pass(&mut sweeper);
    assert_eq!(h.audit().len(), 0);
    assert_eq!(h.event(FLOW_SWEPT), 16);
    sweep_pass(&mut sweeper);
    assert_eq!(sweeper.publish_timeout_scale(), u64::from(SCALE_ONE));
}

/// Active flows keep sending while the sweeper runs without pause; idle flows beside them expire.
#[test]
#[ignore = "needs root and BPF"]
fn sweeper_removes_idle_and_keeps_active_flows() {
    const LIVE: u32 = 300;
    const IDLE_FLOWS: u32 = 3000;
    let timeouts = Timeouts {
        tcp_established: 3,
        tcp_syn_recv: 3,
        ..Timeouts::default()
    };
    let h = Harness::new(Settings {
        timeouts,
        ..table_for(4096)
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
fn expired_flow_never_revives_when_ticks_wrap() {
    const WRAP: u32 = TICK_MASK + 1; // 208 days
    const DAY: u32 = ((86_400_u64 * 1_000_000_000) >> TICK_SHIFT) as u32;
    let pins = private();
    let at = |offset: u32| Settings {
        clock_offset: offset,
        ..table_for(1024)
    };
    let mut h = on(&pins, at(0));
    handshake(&h, CLIENT[0], 40000);
    let late = tcp(CLIENT[0], POD[0], 40000, 80, ACK);
    // Without a sweeper: after days, weeks and months.
    for days in [1, 30, 104, 105, 150, 200, 207] {
        h = after(h, &pins, at(days * DAY));
        h.expect(Hook::Xdp, &late, REASON_DROP_TCP_NO_FLOW, &[]);
    }
    // A sweeper removes the flow long before its age wraps.
    h = after(h, &pins, at(DAY));
    sweep_pass(&mut h.datapath.sweeper().unwrap());
    assert_eq!(h.flows().len(), 0);
    h = after(h, &pins, at(WRAP + 1));
    h.expect(Hook::Xdp, &late, REASON_DROP_TCP_NO_FLOW, &[]);
}

/// After an upgrade every flow is found under the same secret, with its counters.
#[test]
#[ignore = "needs root and BPF"]
fn upgrade_keeps_every_flow() {
    const FLOWS: u32 = 2000;
    let pins = private();
    let h = on(&pins, table_for(4096));
    for n in 0..FLOWS {
        handshake(&h, &friend(n), 40000);
    }
    let before: Vec<_> = h
        .audit()
        .iter()
        .map(|f| (f.key, f.original, f.slot))
        .collect();
    // Other constants make another build.
    let h = after(
        h,
        &pins,
        Settings {
            evict_live_after_seconds: 77,
            ..table_for(4096)
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
    // A table of another size is not adopted.
    let tables = h.tables.rules.clone();
    drop(h);
    let bigger = PinDir::Private(pins.try_clone().unwrap());
    let other = Datapath::open(bigger, table_for(16384), tables).unwrap();
    assert!(
        !other.is_adopted(),
        "nothing is attached, so it may begin anew"
    );
    assert_eq!(other.flows().unwrap().iter().count(), 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn wrapped_epoch_stamp_is_not_current() {
    const HALF: u32 = META_EPOCH_MASK.div_ceil(2);
    for swept in [true, false] {
        let mut h = Harness::new(table_for(1024));
        handshake(&h, CLIENT[0], 40000);
        h.install(&snapshot(false));
        let mut sweeper = h.datapath.sweeper().unwrap();
        let began = h.datapath.control().epoch + EPOCH_LAG_MAX;
        h.datapath.set_epoch(began);
        if swept {
            sweep_pass(&mut sweeper);
            assert_eq!(h.event(FLOW_RESTAMPED), 1);
            assert_eq!(h.flow().epoch, 0);
            assert_eq!(h.datapath.pass_epoch(), began);
        }
        h.datapath.set_epoch(began + HALF);
        let packet = tcp(CLIENT[0], POD[0], 40000, 80, ACK);
        // Without a sweeper the stamp is taken for current, which shows that this test can fail.
        assert_eq!(h.run(Hook::Xdp, &packet), !swept);
    }
}

/// A sweeper that is killed at any step of a removal blocks the slot only for some passes. The source
/// and the rules of the flow are as if it had lived.
#[test]
#[ignore = "needs root and BPF"]
fn removal_of_a_killed_sweeper_is_completed() {
    use RetireStep::{Accounted, Claimed, Folded, Released, Unlocked};
    for step in [Claimed, Accounted, Folded, Released, Unlocked] {
        for family in [0, 1] {
            let h = Harness::new(table_for(8));
            let rule = h.rule(0);
            h.handshake(CLIENT[family], POD[family], 40000);
            let slot = h.flow().slot_index();
            assert!(h.datapath.retire_until(slot, step).unwrap());
            let (tag, word) = h.datapath.slot_words(slot).unwrap();
            let held = u64::from(step < Unlocked) * META_LOCKED as u64;
            assert_eq!(word & META_LOCKED as u64, held, "{step:?}");
            assert_eq!(tag == 0, step >= Released, "{step:?}");
            // Such a slot could be one of a sweeper that still runs.
            let mut sweeper = h.datapath.sweeper().unwrap();
            sweep_pass(&mut sweeper);
            sweep_pass(&mut sweeper);
            let busy = usize::from(step < Released);
            assert_eq!(h.datapath.flows().unwrap().busy(), busy, "{step:?}");
            let mut sweeper = h.datapath.sweeper_ahead(FLOW_BUSY_TICKS + 1).unwrap();
            sweep_pass(&mut sweeper);
            assert_eq!(h.datapath.flows().unwrap().busy(), busy, "{step:?}");
            sweep_pass(&mut sweeper);
            assert_eq!(h.event(FLOW_RECOVERED), busy as u64, "{step:?}");
            assert!(h.audit().is_empty());
            let word = h.datapath.slot_words(slot).unwrap().1;
            assert_eq!(word & META_LOCKED as u64, 0, "{step:?}");
            assert_eq!(h.datapath.counters().unwrap().rule(rule).packets, 3);
            h.handshake(CLIENT[family], POD[family], 40000);
            assert_eq!(h.datapath.counters().unwrap().rule(rule).packets, 6);
        }
    }
}

/// Benchmarks measure the cost of sweeping; this asserts only that a pass over a big table
/// completes.
#[test]
#[ignore = "needs root and BPF"]
fn sweep_of_a_big_table_completes() {
    let h = Harness::new(table_for(1 << 20));
    let mut sweeper = h.datapath.sweeper().unwrap();
    let begun = Instant::now();
    sweep_pass(&mut sweeper);
    sweeper.publish_timeout_scale();
    assert_eq!(sweeper.passes(), 1);
    assert!(begun.elapsed() < Duration::from_secs(60));
}
