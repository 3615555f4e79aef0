//! The recorder: contents of records, overwritten ones, readers beside writers.

mod harness;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use bailey_bpf::abi::*;
use bailey_config::Settings;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::observe::records::{PacketRecord, RecordBatch, RecordedConnection, Sampling};
use bailey_policy::Protocol;
use harness::*;

const RECORDS: u32 = 64;

fn small_rings() -> Harness {
    Harness::new(Settings {
        records: RECORDS,
        ..table_for(1024)
    })
}

/// Runs a frame and returns its record.
fn record_of(h: &Harness, hook: Hook, frame: &[u8]) -> PacketRecord {
    let recorder = h.datapath.records().unwrap();
    let mut cursor = recorder.cursor(true);
    h.run(hook, frame);
    let mut batch = recorder.read(&mut cursor);
    assert_eq!((batch.records.len(), batch.lost), (1, 0));
    assert_eq!(recorder.read(&mut cursor).records, [], "read once");
    batch.records.remove(0)
}

#[test]
#[ignore = "needs root and BPF"]
fn record_has_connection_rules_and_time() {
    let h = small_rings();
    let deny = (h.default_deny(), true);
    let allow = (h.rule(0), false);
    let free = (RULE_NOT_ISOLATED, false);
    for family in [0, 1] {
        let (client, pod) = (CLIENT[family], POD[family]);
        let connection = |source, destination, protocol, ports: (u16, u16)| RecordedConnection {
            source: ip(source),
            destination: ip(destination),
            protocol,
            source_port: ports.0,
            destination_port: ports.1,
            zone: 0,
        };
        let at = |ports| connection(client, pod, Protocol::TCP, ports);
        // In both orders of addresses and ports: the key of a flow orders them.
        let cases = [
            (
                tcp(client, pod, 40000, 81, SYN),
                at((40000, 81)),
                REASON_DROP_POLICY,
                SYN,
                None,
                Some(deny),
            ),
            (
                tcp(client, pod, 70, 81, SYN),
                at((70, 81)),
                REASON_DROP_POLICY,
                SYN,
                None,
                Some(deny),
            ),
            (
                tcp(client, pod, 40001, 80, SYN),
                at((40001, 80)),
                REASON_PASS_NEW,
                SYN,
                Some(free),
                Some(allow),
            ),
            (
                tcp(client, pod, 40002, 80, ACK),
                at((40002, 80)),
                REASON_DROP_TCP_NO_FLOW,
                ACK,
                None,
                None,
            ),
            (
                udp(client, pod, 40003, 81),
                connection(client, pod, Protocol::UDP, (40003, 81)),
                REASON_DROP_POLICY,
                0,
                None,
                Some(deny),
            ),
        ];
        for (frame, connection, reason, flags, egress, ingress) in cases {
            let record = record_of(&h, Hook::Xdp, &frame);
            assert_eq!(record.connection, Some(connection));
            assert_eq!((record.reason, record.hook), (reason, HOOK_XDP));
            assert_eq!(record.tcp_flags, flags);
            assert_eq!(record.bytes, frame.len() as u64);
            if reason != REASON_PASS_NEW {
                assert_eq!(record.egress.filter(|(_, denies)| *denies), egress);
            } else {
                assert_eq!(record.egress, egress);
            }
            assert_eq!(record.ingress, ingress, "{connection:?}");
            let age = SystemTime::now().duration_since(record.time).unwrap();
            assert!(age < Duration::from_secs(1), "{age:?}");
            assert_eq!(
                record.interface, None,
                "test runs have no attached interface"
            );
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn slow_path_records_as_packets_without_scratch() {
    let h = small_rings();
    for family in [0, 1] {
        let denied = tcp(CLIENT[family], POD[family], 40000, 81, SYN);
        let at_tc = record_of(&h, Hook::Tc, &denied);
        let at_xdp = record_of(&h, Hook::Xdp, &denied);
        assert_eq!(at_tc.connection, at_xdp.connection);
        assert_eq!((at_tc.hook, at_xdp.hook), (HOOK_TC, HOOK_XDP));
        assert_eq!(
            (at_tc.ingress, at_tc.egress),
            (at_xdp.ingress, at_xdp.egress)
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn record_of_dropped_frame_names_its_addresses() {
    let h = small_rings();
    let martian = tcp("127.0.0.1", POD[0], 1, 2, SYN);
    let record = record_of(&h, Hook::Xdp, &martian);
    let connection = record.connection.unwrap();
    assert_eq!(record.reason, REASON_DROP_MARTIAN);
    assert_eq!(
        (connection.source, connection.destination),
        (ip("127.0.0.1"), ip(POD[0]))
    );
    // Not the addresses of the packet before.
    let mut unknown = martian;
    unknown[12..14].copy_from_slice(&[0x88, 0x47]);
    let record = record_of(&h, Hook::Xdp, &unknown);
    assert_eq!(
        (record.reason, record.connection),
        (REASON_DROP_ETHERTYPE, None)
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn counts_of_overwritten_records_are_exact() {
    pin_to(0);
    let h = small_rings();
    let recorder = h.datapath.records().unwrap();
    let mut cursor = recorder.cursor(true);
    let before = recorder.counts();
    let frame = tcp(CLIENT[0], POD[0], 40000, 81, SYN);
    let packets = 10 * u64::from(RECORDS) + 7;
    h.test_run.run(Hook::Xdp, &frame, packets as u32).unwrap();
    let batch = recorder.read(&mut cursor);
    // The oldest may be overwritten at any moment, so it is not read.
    assert_eq!(batch.records.len() as u64, u64::from(RECORDS) - 1);
    assert_eq!(batch.records.len() as u64 + batch.lost, packets);
    let count = recorder.counts()[RECORD_POLICY as usize];
    let before = before[RECORD_POLICY as usize];
    assert_eq!(count.packets - before.packets, packets);
    assert_eq!(count.written - before.written, packets);
    let numbers = batch.records.iter().map(|record| record.number);
    assert!(
        numbers.clone().is_sorted(),
        "{:?}",
        numbers.collect::<Vec<_>>()
    );
    // All that is there, for a reader that comes later.
    let mut cursor = recorder.cursor(false);
    let all = recorder.read(&mut cursor);
    let numbers = |batch: &RecordBatch| {
        let numbers = batch.records.iter().map(|record| record.number);
        numbers.collect::<Vec<_>>()
    };
    assert_eq!((numbers(&all), all.lost), (numbers(&batch), 0));
}

/// Two CPUs write ten million records, and a reader takes part all the time.
#[test]
#[ignore = "needs root and BPF"]
fn reader_beside_writers_sees_only_whole_records() {
    let h = small_rings();
    let recorder = h.datapath.records().unwrap();
    let mut cursor = recorder.cursor(true);
    let before = recorder.counts()[RECORD_POLICY as usize];
    let amount = number("BAILEY_RECORDS", 1_000_000);
    let done = AtomicBool::new(false);
    let (mut read, mut lost) = (0, 0);
    thread::scope(|scope| {
        let writers = [0, 1].map(|cpu| {
            let h = &h;
            scope.spawn(move || {
                pin_to(cpu);
                let mut left = amount / 2;
                for port in (1000..60000).cycle() {
                    let runs = left.min(997);
                    // Fields that belong together: the port, and the rest of the packet by CPU.
                    let family = cpu;
                    let frame = tcp(CLIENT[family], POD[family], port, port + 1, SYN);
                    h.test_run.run(Hook::Xdp, &frame, runs as u32).unwrap();
                    left -= runs;
                    if left == 0 {
                        return;
                    }
                }
            })
        });
        let reader = scope.spawn(|| {
            loop {
                let is_last = done.load(Ordering::Acquire);
                let batch = recorder.read(&mut cursor);
                for record in &batch.records {
                    let connection = record.connection.unwrap();
                    assert_eq!(connection.destination_port, connection.source_port + 1);
                    let family = usize::from(connection.source.is_ipv6());
                    assert_eq!(record.cpu, family, "{record:?}");
                    assert_eq!(connection.destination, ip(POD[family]));
                    assert_eq!(record.ingress, Some((h.default_deny(), true)));
                }
                read += batch.records.len() as u64;
                lost += batch.lost;
                if is_last {
                    return;
                }
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    let count = recorder.counts()[RECORD_POLICY as usize];
    assert_eq!(count.packets - before.packets, amount);
    assert_eq!(count.written - before.written, read + lost);
    assert_eq!(read + lost, amount);
    assert!(read > 100 * u64::from(RECORDS), "{read} read, {lost} lost");
}

/// Ten million denied packets: every one is counted, and each is read, lost or not sampled.
#[test]
#[ignore = "needs root and BPF"]
fn sampling_follows_ten_million_denied_packets() {
    const PACKETS: u64 = 10_000_000;
    let h = Harness::new(Settings {
        records: 4096,
        ..table_for(1024)
    });
    let recorder = h.datapath.records().unwrap();
    let mut cursor = recorder.cursor(true);
    let mut sampling = Sampling::default();
    let mut last = recorder.counts()[RECORD_POLICY as usize];
    let before = last;
    let done = AtomicBool::new(false);
    let (mut read, mut lost, mut estimate, mut greatest) = (0, 0, 0.0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin_to(0);
            let frame = tcp(CLIENT[0], POD[0], 40000, 81, SYN);
            for _ in 0..10 {
                h.test_run
                    .run(Hook::Xdp, &frame, PACKETS as u32 / 10)
                    .unwrap();
            }
            done.store(true, Ordering::Release);
        });
        pin_to(1);
        loop {
            let is_last = done.load(Ordering::Acquire);
            recorder.adapt_sampling(&cursor, &mut sampling, 1).unwrap();
            greatest = greatest.max(sampling.shifts[RECORD_POLICY as usize]);
            let batch = recorder.read(&mut cursor);
            let count = recorder.counts()[RECORD_POLICY as usize];
            let written = (count.written - last.written).max(1);
            let share = (count.packets - last.packets) as f64 / written as f64;
            last = count;
            read += batch.records.len() as u64;
            lost += batch.lost_by_class[RECORD_POLICY as usize];
            estimate += share * (batch.records.len() as u64 + batch.lost) as f64;
            if is_last {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    let count = recorder.counts()[RECORD_POLICY as usize];
    assert_eq!(count.packets - before.packets, PACKETS);
    assert_eq!(count.written - before.written, read + lost);
    assert!(greatest > 0, "{read} read, {lost} lost");
    // How many are lost before the sampling has grown depends on when the reader runs.
    assert!(read > 5 * 4096, "{read} read, {lost} lost");
    let error = estimate / PACKETS as f64 - 1.0;
    assert!(error.abs() < 0.05, "{estimate} estimated");

    // A quiet class is noted whole again.
    for _ in 0..200 {
        recorder.adapt_sampling(&cursor, &mut sampling, 1).unwrap();
    }
    assert_eq!(sampling.shifts, [0; RECORD_CLASSES as usize]);
    let frame = tcp(CLIENT[0], POD[0], 40000, 81, SYN);
    h.test_run.run(Hook::Xdp, &frame, 100).unwrap();
    assert_eq!(recorder.read(&mut cursor).records.len(), 100);
}

#[test]
#[ignore = "needs root and BPF"]
fn without_recorder_packets_keep_their_verdicts() {
    let h = Harness::new(Settings {
        records: 0,
        ..table_for(1024)
    });
    let recorder = h.datapath.records().unwrap();
    assert!(!recorder.is_on());
    assert!(!h.run(Hook::Xdp, &tcp(CLIENT[0], POD[0], 40000, 81, SYN)));
    assert!(h.run(Hook::Xdp, &tcp(CLIENT[0], POD[0], 40000, 80, SYN)));
    let batch = recorder.read(&mut recorder.cursor(false));
    assert_eq!((batch.records.len(), batch.lost), (0, 0));
}

/// A start with another size replaces the rings, and nothing else.
#[test]
#[ignore = "needs root and BPF"]
fn rings_of_another_size_replace_the_former() {
    let pins = private();
    let settings = |records| Settings {
        records,
        ..table_for(1024)
    };
    let h = on(&pins, settings(64));
    h.handshake(CLIENT[0], POD[0], 40000);
    assert_eq!(
        h.datapath.records().unwrap().counts()[RECORD_PASS as usize].written,
        1
    );
    let h = after(h, &pins, settings(128));
    assert_eq!(h.flows().len(), 1, "the flow is there");
    let recorder = h.datapath.records().unwrap();
    assert_eq!(recorder.counts()[RECORD_PASS as usize].written, 0);
    h.run(Hook::Xdp, &tcp(CLIENT[0], POD[0], 40001, 80, SYN));
    assert_eq!(recorder.counts()[RECORD_PASS as usize].written, 1);
}
