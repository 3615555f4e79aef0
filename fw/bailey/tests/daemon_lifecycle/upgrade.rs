//! This version takes over the programs of the former layout, with their flows and counters. The
//! former version is `BAILEY_LAYOUT7`, which `.ci/test` builds from the history.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use bailey_datapath::PinDir;
use bailey_datapath::flows::table::FlowTable;
use bailey_datapath::testing::pinned_program;
use bailey_lab::daemon::{self, CONFIG};
use bailey_lab::topology::NIC;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server};
use nix::sys::signal::Signal;
use rustix::process::setpriority_process;
use serde_json::Value;

use crate::demo_lab::*;
use crate::{attached, pinned_links, pins_named, relaunch};

/// Log text of a complete upgrade.
const TAKEN_OVER: &str = "flows of the former version taken over";
/// TCP connections per family.
const CONNECTIONS: usize = 100;
/// UDP flows per family.
const UDP_FLOWS: u16 = 4800;
const UDP_PORT: u16 = 5000;
const FIRST_PORT: u16 = 20000;

/// Starts the former version, with a table for this number of flows.
fn start_former(lab: &Lab, flows: usize) -> Daemon {
    daemon::write_config(lab.root(), &format!("interfaces = [\"{NIC}\"]")).unwrap();
    let path = lab.root().join(CONFIG);
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("flows = 4096", &format!("flows = {flows}"));
    // Many flows per second are no flood here.
    fs::write(&path, text + "[flood]\nenabled = false\n").unwrap();
    let mut daemon = relaunch_former(lab);
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    lab.wait_for_carrier();
    daemon
}

fn relaunch_former(lab: &Lab) -> Daemon {
    Daemon::launch(&lab.node, lab.root(), &former(), &[]).unwrap()
}

fn stop(mut daemon: Daemon) {
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
}

fn pin(lab: &Lab, name: &str) -> PathBuf {
    lab.root().join("bpf/bailey").join(name)
}

/// Hits, packets and bytes of each rule, by its id.
fn rules(rules: &Value) -> BTreeMap<u64, [u64; 3]> {
    let rows = rules["rules"].as_array().unwrap().iter();
    let number = |row: &Value, field: &str| row[field].as_u64().unwrap();
    rows.map(|row| {
        let numbers = ["hits", "packets", "bytes"].map(|field| number(row, field));
        (number(row, "id"), numbers)
    })
    .collect()
}

fn former_rules(lab: &Lab) -> BTreeMap<u64, [u64; 3]> {
    let output = daemon::query(&lab.node, lab.root(), &former(), "rules -o json").unwrap();
    rules(&serde_json::from_slice(&output.stdout).unwrap())
}

/// Rules that have counted, and their numbers.
fn counting(rules: BTreeMap<u64, [u64; 3]>) -> BTreeMap<u64, [u64; 3]> {
    let counting = rules.into_iter().filter(|(_, numbers)| *numbers != [0; 3]);
    counting.collect()
}

/// Waits until the rules have counted the last packets.
fn former_rules_at_rest(lab: &Lab) -> BTreeMap<u64, [u64; 3]> {
    let mut last = former_rules(lab);
    loop {
        sleep(Duration::from_millis(300));
        let now = former_rules(lab);
        if now == last {
            return counting(now);
        }
        last = now;
    }
}

/// A socket of the backup machine.
fn udp_socket(lab: &Lab, family: usize, port: u16) -> UdpSocket {
    let socket = lab
        .outside
        .run(move || UdpSocket::bind((ip(BACKUP[family]), port)).unwrap());
    socket
        .set_read_timeout(Some(Duration::from_millis(700)))
        .unwrap();
    socket
}

/// A socket of the database that answers nothing by itself.
fn silent_server(lab: &Lab, family: usize) -> UdpSocket {
    let bind = move || UdpSocket::bind((ip(DB[family]), UDP_PORT)).unwrap();
    let socket = lab.workload("db").run(bind);
    socket
        .set_read_timeout(Some(Duration::from_millis(700)))
        .unwrap();
    socket
}

fn receives(socket: &UdpSocket) -> bool {
    let mut buffer = [0; 16];
    match socket.recv_from(&mut buffer) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// Creates replied UDP flows of the backup machine, one per port. The servers answer, and nothing else
/// of the database may: its answers need the flow.
fn open_udp_flows(lab: &Lab, servers: &[UdpSocket; 2], flows: u16) {
    for (family, server) in servers.iter().enumerate() {
        for port in FIRST_PORT..FIRST_PORT + flows {
            let client = udp_socket(lab, family, port);
            client.send_to(b"hello", at(DB[family], UDP_PORT)).unwrap();
            assert!(receives(server), "port {port}");
            server.send_to(b"hello", at(BACKUP[family], port)).unwrap();
            assert!(receives(&client), "port {port}");
        }
    }
}

/// Asserts that the database can still send to one in `step` of these flows.
fn assert_udp_flows(lab: &Lab, servers: &[UdpSocket; 2], flows: u16, step: usize) {
    for (family, server) in servers.iter().enumerate() {
        for port in (FIRST_PORT..FIRST_PORT + flows).step_by(step) {
            let client = udp_socket(lab, family, port);
            server.send_to(b"hello", at(BACKUP[family], port)).unwrap();
            assert!(receives(&client), "family {family}, port {port}");
        }
    }
}

fn open_connections(lab: &Lab, number: usize) -> Vec<TcpStream> {
    let families = (0..2).flat_map(|family| std::iter::repeat_n(family, number));
    families
        .map(|family| {
            let patience = Duration::from_secs(4);
            let to = at(DB[family], 5432);
            traffic::tcp_connect_with_timeout(patience, &lab.outside, ip(BACKUP[family]), to)
                .unwrap()
        })
        .collect()
}

/// Exchanges data on each connection.
fn assert_open(connections: &mut [TcpStream]) {
    for (at, stream) in connections.iter_mut().enumerate() {
        assert_eq!(traffic::tcp_echo(stream), Observed::Allowed, "{at}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn upgrade_from_layout_7_keeps_connections() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let old = start_former(&lab, 16384);
    let servers = [0, 1].map(|family| silent_server(&lab, family));
    open_udp_flows(&lab, &servers, UDP_FLOWS);
    let mut connections = open_connections(&lab, CONNECTIONS);
    assert_open(&mut connections);
    let before = former_rules(&lab);
    stop(old);

    // Data and new connections while the programs are replaced.
    let is_done = AtomicBool::new(false);
    let mut daemon = thread::scope(|scope| {
        let data = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !is_done.load(Ordering::Relaxed) {
                for stream in &mut connections {
                    let begun = Instant::now();
                    assert_eq!(traffic::tcp_echo(stream), Observed::Allowed);
                    longest = longest.max(begun.elapsed());
                }
            }
            longest
        });
        let opening = scope.spawn(|| {
            let mut opened = 0;
            while !is_done.load(Ordering::Relaxed) {
                assert_open(&mut open_connections(&lab, 1));
                opened += 1;
            }
            opened
        });
        let mut daemon = relaunch(&lab, &[]);
        daemon.wait_for(TAKEN_OVER, PATIENCE).unwrap();
        daemon.wait_for("adopted", PATIENCE).unwrap();
        sleep(Duration::from_millis(500));
        is_done.store(true, Ordering::Relaxed);
        let longest = data.join().unwrap();
        assert!(longest < Duration::from_secs(1), "a stall of {longest:?}");
        assert!(opening.join().unwrap() > 10);
        daemon
    });

    // All flows are there, and no rule has lost or gained packets.
    assert_udp_flows(&lab, &servers, UDP_FLOWS, 16);
    assert_open(&mut connections);
    assert_enforced(&lab);
    let log = daemon.log().join("\n");
    assert!(!log.contains("found no place"), "{log}");
    let after = rules(&json(&lab, "rules"));
    for (id, numbers) in &before {
        for (old, new) in numbers.iter().zip(after[id]) {
            assert!(*old <= new, "rule {id}: {before:?} {after:?}");
        }
    }
    for name in [
        "flows",
        "flow_tags",
        "flow_keys",
        "source_flows",
        "rule_counters",
    ] {
        assert!(!pin(&lab, name).exists(), "{name}");
    }

    // The former version no longer finds its table, and changes nothing.
    stop(daemon);
    let programs = attached(&lab);
    let mut refused = relaunch_former(&lab);
    refused.wait_for("not pinned", PATIENCE).unwrap();
    assert_eq!(refused.wait().unwrap().code(), Some(3));
    assert_eq!(attached(&lab), programs);
    assert_open(&mut connections);
}

#[test]
#[ignore = "needs root and BPF"]
fn upgrade_from_layout_7_keeps_revoked_flow_revoked() {
    let lab = lab();
    let mut old = start_former(&lab, 4096);
    let server = silent_server(&lab, 0);
    let client = udp_socket(&lab, 0, FIRST_PORT);
    let (db, backup) = (at(DB[0], UDP_PORT), at(BACKUP[0], FIRST_PORT));
    client.send_to(b"x", db).unwrap();
    assert!(receives(&server));
    set_backup_permission(&lab, &mut old, false);
    client.send_to(b"x", db).unwrap();
    assert!(!receives(&server), "it is revoked");
    let before = former_rules_at_rest(&lab);
    stop(old);

    // The tombstone is taken over, and the rules have exactly the same numbers.
    let mut daemon = relaunch(&lab, &[]);
    daemon.wait_for(TAKEN_OVER, PATIENCE).unwrap();
    daemon.wait_for("adopted", PATIENCE).unwrap();
    assert_eq!(counting(rules(&json(&lab, "rules"))), before);
    let flows = json(&lab, "conntrack list");
    let denied = flows["flows"].as_array().unwrap().iter();
    let denied = denied.filter(|flow| flow["state"] == "DENIED");
    assert_eq!(denied.count(), 1, "{flows}");
    server.send_to(b"x", backup).unwrap();
    assert!(!receives(&client), "an answer does not create it again");
    client.send_to(b"x", db).unwrap();
    assert!(!receives(&server));
}

/// When the daemon is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// This long after the new table exists.
    AfterPins(Duration),
    /// When the new table has this number of flows.
    WhileCopying(u64),
    /// As soon as the first link has its new program.
    AtFirstLink,
    /// This long after that.
    AfterLinks(Duration),
}

/// Number of flows in the table of this version.
fn flows_in_table(lab: &Lab) -> u64 {
    let pins = PinDir::Path(lab.root().join("bpf/bailey"));
    FlowTable::open(&pins).map_or(0, |table| table.census().used_slots)
}

/// Starts this version, and kills it at a moment.
fn kill_upgrade(lab: &Lab, moment: Moment) {
    let links = pinned_links(&lab.root().join("bpf/bailey"), "link_");
    assert_eq!(links.len(), 2);
    // An earlier kill may have come too late: then no link changes any more.
    let is_replaced_or_complete = || {
        let mut now = links.iter();
        now.any(|(path, old)| pinned_program(path).is_ok_and(|now| now != *old))
            || !pin(lab, "flow_keys").exists()
    };
    let wait = |what: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !what() {
            assert!(begun.elapsed() < PATIENCE, "{moment:?}");
        }
    };
    // Other tests share the processors, and an upgrade ends some milliseconds after its first link.
    let mut daemon = relaunch(lab, &[]);
    setpriority_process(None, -20).unwrap();
    let pause = match moment {
        Moment::AfterPins(pause) => {
            wait(&|| pin(lab, "flow_keys-8").exists());
            pause
        }
        Moment::WhileCopying(flows) => {
            wait(&|| pin(lab, "flow_keys-8").exists());
            wait(&|| flows_in_table(lab) >= flows);
            Duration::ZERO
        }
        Moment::AtFirstLink => {
            wait(&is_replaced_or_complete);
            Duration::ZERO
        }
        Moment::AfterLinks(pause) => {
            wait(&is_replaced_or_complete);
            pause
        }
    };
    sleep(pause);
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    setpriority_process(None, 0).unwrap();
}

#[test]
#[ignore = "needs root and BPF"]
fn upgrade_from_layout_7_continues_after_kill() {
    const FLOWS: u16 = 500;
    let millis = Duration::from_millis;
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut old = start_former(&lab, 4096);
    let servers = [0, 1].map(|family| silent_server(&lab, family));
    open_udp_flows(&lab, &servers, FLOWS);
    let mut connections = open_connections(&lab, 10);
    assert_open(&mut connections);
    for moment in [
        Moment::AfterPins(millis(0)),
        Moment::AfterPins(millis(300)),
        Moment::WhileCopying(1),
        Moment::WhileCopying(700),
        Moment::AtFirstLink,
        Moment::AfterLinks(millis(2)),
    ] {
        // The former version takes the links back: it has its table.
        stop(old);
        kill_upgrade(&lab, moment);
        assert_open(&mut connections);
        assert!(pin(&lab, "flow_keys").exists(), "{moment:?}");
        old = relaunch_former(&lab);
        old.wait_for("adopted", PATIENCE).unwrap();
        assert_open(&mut connections);
    }

    // Kills in one upgrade, and a complete one: nothing counts twice, and a kill loses the counts of
    // one flow at most.
    const FLOW_PACKETS: u64 = 2;
    let before = former_rules_at_rest(&lab);
    stop(old);
    for moment in [
        Moment::WhileCopying(500),
        Moment::AtFirstLink,
        Moment::AfterLinks(millis(30)),
    ] {
        kill_upgrade(&lab, moment);
    }
    let mut daemon = relaunch(&lab, &[]);
    daemon.wait_for("adopted", PATIENCE).unwrap();
    let after = counting(rules(&json(&lab, "rules")));
    for (id, [hits, packets, bytes]) in &after {
        let [old_hits, old_packets, old_bytes] = &before[id];
        let lost = 3 * FLOW_PACKETS;
        assert!(
            hits == old_hits
                && (old_packets - lost..=*old_packets).contains(packets)
                && bytes <= old_bytes,
            "rule {id}: {before:?} {after:?}"
        );
    }
    assert!(!pin(&lab, "flow_keys").exists());
    assert_open(&mut connections);
    assert_udp_flows(&lab, &servers, FLOWS, 5);
    assert_enforced(&lab);
}

/// Without memory for both tables nothing changes. The daemon reads a meminfo of the test, in a mount
/// namespace of its own.
#[test]
#[ignore = "needs root and BPF"]
fn upgrade_from_layout_7_needs_memory() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let old = start_former(&lab, 16384);
    let mut connections = open_connections(&lab, 1);
    stop(old);
    let pins = lab.root().join("bpf/bailey");
    let state = || (pinned_links(&pins, "link_"), pins_named(&pins, ""));
    let before = state();

    let meminfo = lab.root().join("meminfo");
    fs::write(&meminfo, "MemTotal: 8192 kB\nMemAvailable: 2048 kB\n").unwrap();
    let script = lab.root().join("bailey-without-memory");
    let text = format!(
        "#!/bin/sh\nexec unshare -m sh -c 'mount --bind {} /proc/meminfo && exec {} \"$@\"' sh \"$@\"\n",
        meminfo.display(),
        binary().display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut refused = Daemon::launch(&lab.node, lab.root(), &script, &[]).unwrap();
    let line = refused.wait_for("free memory", PATIENCE).unwrap();
    // 16384 slots of 64 bytes, as many IPv6 counters of 32, and 24 bytes for the copy of each.
    assert!(line.contains(" 2 MiB"), "both numbers: {line}");
    assert_eq!(refused.wait().unwrap().code(), Some(10));
    assert_eq!(state(), before);
    assert_open(&mut connections);

    // With memory the same upgrade succeeds.
    let mut daemon = relaunch(&lab, &[]);
    daemon.wait_for(TAKEN_OVER, PATIENCE).unwrap();
    daemon.wait_for("adopted", PATIENCE).unwrap();
    assert_open(&mut connections);
}
