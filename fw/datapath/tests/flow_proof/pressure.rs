//! A table that is half full, full, or flooded.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn new_flow_is_inserted_at_half_fill() {
    const FLOWS: u32 = 1 << 16;
    const NEW: u32 = 300_000;
    let h = Harness::new(Settings {
        flows_per_source: 0,
        ..table_for(FLOWS)
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

/// SYNs from random sources, five times the table's slots. All established flows stay, and new
/// connections complete although their handshakes take as long as thousands of flood packets.
#[test]
#[ignore = "needs root and BPF"]
fn half_open_flood_evicts_no_connection() {
    const FLOWS: u32 = 1 << 14;
    const SLOTS: u32 = 2 * FLOWS;
    const FLOOD: u32 = 5 * SLOTS;
    const EVERY: u32 = 40; // one who means it
    const ROUND_TRIP: u32 = 4000; // packets of the flood
    let h = Harness::new(table_for(FLOWS));
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
fn flows_over_the_source_limit_stay_evictable() {
    const LIMIT: u32 = 100;
    for (greedy, other) in [("10.2.0.9", "10.2.0.10"), ("fd02::9", "fd02:0:0:1::9")] {
        let family = usize::from(greedy.contains(':'));
        let h = Harness::new(Settings {
            flows_per_source: LIMIT,
            ..table_for(4096)
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
            // Another address of the same /64 is the same source.
            open("fd02::abcd", 5);
            assert_eq!(state_counts(&h)[&STATE_TCP_ESTABLISHED] as u32, LIMIT);
        } else {
            open(other, 5);
            assert_eq!(state_counts(&h)[&STATE_TCP_ESTABLISHED] as u32, LIMIT + 1);
        }
        // When one flow closes, another becomes protected with its next packet.
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

#[test]
#[ignore = "needs root and BPF"]
fn idlest_flow_is_evicted_before_refusing_new() {
    let h = Harness::new(Settings {
        evict_live_after_seconds: 1,
        ..table_for(8)
    });
    for n in 0..16 {
        handshake(&h, &friend(n), 40000);
    }
    let refused = tcp(&friend(99), POD[0], 40000, 80, SYN);
    h.expect(Hook::Xdp, &refused, REASON_DROP_FLOW_TABLE_FULL, &[]);
    thread::sleep(IDLE);
    // All flows but one send a packet.
    for n in (0..16).filter(|&n| n != 5) {
        pass(&h, Hook::Xdp, &tcp(&friend(n), POD[0], 40000, 80, ACK));
    }
    pass(&h, Hook::Xdp, &tcp(&friend(99), POD[0], 40000, 80, SYN));
    assert_eq!(h.event(FLOW_EVICTED_IDLE), 1);
    let flows = h.audit();
    assert!(flows.iter().all(|flow| flow.source != ip(&friend(5))));
    assert_eq!(flows.len(), 16);
}

/// The failsafe needs no slot in the table.
#[test]
#[ignore = "needs root and BPF"]
fn failsafe_passes_when_the_table_is_full() {
    let h = Harness::new(Settings {
        failsafe: vec![bailey_config::Failsafe {
            cidr: "10.2.99.0/24".parse().unwrap(),
            protocol: bailey_policy::Protocol::TCP,
            port: 22,
        }],
        ..table_for(8)
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
