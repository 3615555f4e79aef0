//! `bailey run` with topology `bridge`, between two hosts.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use bailey_datapath::PinDir;
use bailey_datapath::flows::table::FlowTable;
use bailey_datapath::program::frame::{self, malformed::tagged};
use bailey_lab::daemon::{self, POLICIES};
use bailey_lab::inline_testbed::{LEFT, RIGHT, SIDES};
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, InlineTestbed, Server};
use bailey_policy::Protocol;
use demo_lab::{former, send_frames};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(30);

/// Every peer may reach the right host on TCP port 80; all other traffic to it is denied.
const POLICY: &str = "\
apiVersion: bailey.dev/v1
kind: Workload
metadata: {name: right, namespace: wire}
spec: {addresses: [10.9.0.2, \"fd09::2\"]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: wire}
spec:
  podSelector: {}
  ingress:
  - ports: [{port: 80}]
";

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_bailey"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn start(wire: &InlineTestbed, extra: &str) -> Daemon {
    start_binary(wire, extra, &binary())
}

fn start_binary(wire: &InlineTestbed, extra: &str, binary: &Path) -> Daemon {
    fs::create_dir_all(wire.root().join(POLICIES)).unwrap();
    fs::write(wire.root().join(POLICIES).join("p.yaml"), POLICY).unwrap();
    let [left, right] = SIDES;
    let top = format!("topology = \"bridge\"\ninterfaces = [\"{left}\", \"{right}\"]\n{extra}");
    daemon::write_config(wire.root(), &top).unwrap();
    let mut daemon = Daemon::launch(&wire.bump, wire.root(), binary, &[]).unwrap();
    for side in SIDES {
        let line = format!("attached interface=\"{side}\"");
        daemon.wait_for(&line, PATIENCE).unwrap();
    }
    daemon
}

fn json(wire: &InlineTestbed, verb: &str) -> serde_json::Value {
    let verb = format!("{verb} -o json");
    let output = daemon::query(&wire.bump, wire.root(), &binary(), &verb).unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Packets with a reason on an interface.
fn counted(wire: &InlineTestbed, interface: &str, reason: &str) -> u64 {
    let counters = json(wire, "counters");
    let rows = counters["counters"].as_array().unwrap().iter();
    rows.filter(|row| {
        row["interface"] == interface && (reason.is_empty() || row["reason"] == reason)
    })
    .map(|row| row["packets"].as_u64().unwrap())
    .sum()
}

fn tcp(wire: &InlineTestbed, family: usize, port: u16) -> Observed {
    let to = SocketAddr::new(ip(RIGHT[family]), port);
    traffic::tcp(&wire.left, ip(LEFT[family]), to)
}

fn ping(wire: &InlineTestbed, family: usize) -> Observed {
    traffic::ping(&wire.left, ip(LEFT[family]), ip(RIGHT[family]))
}

fn servers(wire: &InlineTestbed) {
    Server::tcp(&wire.right, 80).unwrap();
    Server::tcp(&wire.right, 81).unwrap();
}

fn assert_enforced(wire: &InlineTestbed) {
    for family in [0, 1] {
        assert_eq!(tcp(wire, family, 80), Observed::Allowed, "family {family}");
        assert_eq!(tcp(wire, family, 81), Observed::Silent);
        assert_eq!(ping(wire, family), Observed::Silent);
    }
}

fn promiscuous(wire: &InlineTestbed) -> bool {
    wire.bump.run(|| {
        let flags = fs::read_to_string("/proc/thread-self/net/dev").map(|_| ());
        flags.unwrap();
        let output = std::process::Command::new("ip")
            .args(["-d", "link", "show", "left0"])
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.contains("PROMISC")
    })
}

#[test]
#[ignore = "needs root and BPF"]
fn bridge_forwards_only_frames_that_policy_allows() {
    let wire = InlineTestbed::new().unwrap();
    servers(&wire);
    assert_ne!(
        tcp(&wire, 0, 80),
        Observed::Allowed,
        "no bridge, no connection"
    );
    let mut daemon = start(&wire, "");
    // Without a bridge ARP failed, and the host caches the failure.
    wire.left.ip("neigh flush dev eth0").unwrap();
    // ARP and neighbour discovery must cross the bridge, or no packet would.
    assert_enforced(&wire);
    assert!(counted(&wire, SIDES[0], "arp") > 0 && counted(&wire, SIDES[1], "arp") > 0);
    assert!(counted(&wire, SIDES[0], "nd") > 0);
    assert!(counted(&wire, SIDES[0], "policy") > 0);
    assert!(promiscuous(&wire));
    let status = json(&wire, "status");
    assert_eq!(
        status["interfaces"].as_array().unwrap().len(),
        2,
        "{status}"
    );
    // The bridge forwards without a daemon.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    assert_enforced(&wire);
    let mut again = Daemon::launch(&wire.bump, wire.root(), &binary(), &[]).unwrap();
    again.wait_for("adopted", PATIENCE).unwrap();
    again.wait_for("adopted", PATIENCE).unwrap();
    assert_enforced(&wire);
    // Detaching ends forwarding and restores promiscuous mode.
    let verb = "detach --yes-unfiltered";
    let output = daemon::query(&wire.bump, wire.root(), &binary(), verb).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!promiscuous(&wire), "detach restores the former mode");
    assert_ne!(
        tcp(&wire, 0, 80),
        Observed::Allowed,
        "no bridge, no connection"
    );
}

/// Unknown unicast, broadcast and multicast frames go to the peer port. IP packets in such frames
/// are evaluated like any other packet.
#[test]
#[ignore = "needs root and BPF"]
fn unknown_unicast_and_broadcast_frames_cross_bridge() {
    let wire = InlineTestbed::new().unwrap();
    let _daemon = start(&wire, "[frames]\ngroups = [\"10.9.0.255\"]\n");
    ping(&wire, 0);
    // The neighbour entry sends frames to a hardware address that no station has.
    wire.left
        .ip("neigh replace 10.9.0.77 lladdr 02:00:00:00:00:77 dev eth0")
        .unwrap();
    let send = |to: &'static str| {
        let before = wire.right.frames("eth0").unwrap().received;
        wire.left.run(move || {
            let socket = UdpSocket::bind((LEFT[0], 0)).unwrap();
            socket.set_broadcast(true).unwrap();
            for _ in 0..10 {
                socket.send_to(b"x", (to, 9)).unwrap();
            }
        });
        sleep(Duration::from_millis(200));
        wire.right.frames("eth0").unwrap().received - before
    };
    assert!(send("10.9.0.77") >= 10, "unknown unicast");
    assert!(
        send("10.9.0.255") >= 10,
        "a broadcast address in frames.groups"
    );
    // A broadcast that frames.groups does not list is dropped.
    let before = counted(&wire, SIDES[0], "group");
    send("255.255.255.255");
    assert!(
        counted(&wire, SIDES[0], "group") >= before + 10,
        "an unlisted broadcast would reach isolated endpoints"
    );
    // A spanning-tree bridge on the left sends LLC hello frames to 01:80:c2:00:00:00.
    wire.left
        .ip("link add br0 type bridge stp_state 1")
        .unwrap();
    wire.left.ip("link set eth0 master br0").unwrap();
    wire.left.ip("link set br0 up").unwrap();
    for _ in 0..60 {
        if counted(&wire, SIDES[0], "link-local-control") > 0 {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    // Hello frames reach the right host.
    let before = wire.right.frames("eth0").unwrap().received;
    let hellos = counted(&wire, SIDES[0], "link-local-control");
    sleep(Duration::from_secs(5));
    assert!(counted(&wire, SIDES[0], "link-local-control") > hellos);
    assert!(wire.right.frames("eth0").unwrap().received > before);
}

/// Every received frame is sent at the peer port, or counted under the reason of its drop.
#[test]
#[ignore = "needs root and BPF"]
fn bridge_frames_in_equal_frames_out_plus_counted() {
    let wire = InlineTestbed::new().unwrap();
    servers(&wire);
    let mut daemon = start(&wire, "");
    assert_enforced(&wire);
    let drops = |wire: &InlineTestbed| {
        let counters = json(wire, "counters");
        let rows = counters["counters"].as_array().unwrap().clone();
        rows.iter()
            .filter(|row| row["interface"] == SIDES[0] && row["verdict"] == "drop")
            .map(|row| row["packets"].as_u64().unwrap())
            .sum::<u64>()
    };
    // Frames received on the left, sent on the right, and dropped; read when they rest.
    let reading = || {
        (
            wire.bump.frames(SIDES[0]).unwrap().received,
            wire.bump.frames(SIDES[1]).unwrap().sent,
            drops(&wire),
        )
    };
    let steady = || {
        loop {
            let (a, b) = (reading(), reading());
            if a == b {
                return a;
            }
            sleep(Duration::from_millis(100));
        }
    };
    // Both ports up: received = sent + dropped.
    let before = steady();
    for _ in 0..10 {
        assert_eq!(tcp(&wire, 0, 80), Observed::Allowed);
        assert_eq!(tcp(&wire, 0, 81), Observed::Silent);
    }
    let between = steady();
    let delta = |a: (u64, u64, u64), b: (u64, u64, u64)| (b.0 - a.0, b.1 - a.1, b.2 - a.2);
    let (taken, sent, dropped) = delta(before, between);
    assert!(taken > 50 && dropped >= 10, "{taken} {sent} {dropped}");
    assert_eq!(taken, sent + dropped, "peer port up");
    // The peer port goes down: allowed frames are lost and counted.
    wire.bump
        .ip(&format!("link set {} down", SIDES[1]))
        .unwrap();
    daemon.wait_for("down interface=", PATIENCE).unwrap();
    let down = steady();
    for _ in 0..3 {
        assert_ne!(tcp(&wire, 0, 80), Observed::Allowed);
    }
    let (taken, sent, dropped) = delta(down, steady());
    assert!(taken > 0, "the left host continued to send");
    assert_eq!((sent, dropped), (0, taken), "peer port down");
    assert!(counted(&wire, SIDES[0], "redirect-failed") > 0);
    wire.bump.ip(&format!("link set {} up", SIDES[1])).unwrap();
    daemon.wait_for("up interface=", PATIENCE).unwrap();
    assert_enforced(&wire);
}

#[test]
#[ignore = "needs root and BPF"]
fn replaced_bridge_port_is_attached_again() {
    let wire = InlineTestbed::new().unwrap();
    servers(&wire);
    let mut daemon = start(&wire, "");
    assert_enforced(&wire);
    let before = counted(&wire, SIDES[1], "");
    wire.bump.ip(&format!("link delete {}", SIDES[1])).unwrap();
    daemon.wait_for("interface disappeared", PATIENCE).unwrap();
    let _ = tcp(&wire, 0, 80);
    assert!(
        counted(&wire, SIDES[0], "bridge-port") > 0,
        "dropped by name"
    );
    let status = json(&wire, "status");
    let problems = status["daemon"]["problems"].as_array().unwrap();
    assert!(problems[0].as_str().unwrap().contains(SIDES[1]), "{status}");
    wire.connect(1).unwrap();
    daemon.wait_for("attached interface=", PATIENCE).unwrap();
    assert_enforced(&wire);
    assert!(
        counted(&wire, SIDES[1], "") > before,
        "its counters go with its name"
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn bridge_ports_with_unequal_mtu_are_refused() {
    let wire = InlineTestbed::new().unwrap();
    wire.bump
        .ip(&format!("link set {} mtu 1400", SIDES[1]))
        .unwrap();
    fs::create_dir_all(wire.root().join(POLICIES)).unwrap();
    fs::write(wire.root().join(POLICIES).join("p.yaml"), POLICY).unwrap();
    let top = format!("topology = \"bridge\"\ninterfaces = {SIDES:?}");
    daemon::write_config(wire.root(), &top).unwrap();
    let mut daemon = Daemon::launch(&wire.bump, wire.root(), &binary(), &[]).unwrap();
    let line = daemon.wait_for("MTU", PATIENCE).unwrap();
    assert!(line.contains("1500") && line.contains("1400"), "{line}");
    assert_eq!(daemon.wait().unwrap().code(), Some(10));
    assert!(
        !promiscuous(&wire),
        "the failed start restores the former mode"
    );
    assert!(!wire.root().join("bpf/bailey").exists());
}

/// Each NIC has its own link, and a flow passes both.
#[test]
#[ignore = "needs root and BPF"]
fn upgrade_from_layout_7_keeps_bridged_connections() {
    let wire = InlineTestbed::new().unwrap();
    servers(&wire);
    let mut old = start_binary(&wire, "", &former());
    assert_enforced(&wire);
    let connect = |family: usize| {
        let to = SocketAddr::new(ip(RIGHT[family]), 80);
        traffic::tcp_connect(&wire.left, ip(LEFT[family]), to).unwrap()
    };
    let mut connections: Vec<TcpStream> = (0..40).map(|number| connect(number % 2)).collect();
    old.signal(Signal::SIGTERM).unwrap();
    old.wait().unwrap();

    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let data = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                for stream in &mut connections {
                    assert_eq!(traffic::tcp_echo(stream), Observed::Allowed);
                }
            }
        });
        let mut daemon = Daemon::launch(&wire.bump, wire.root(), &binary(), &[]).unwrap();
        daemon.wait_for("taken over", PATIENCE).unwrap();
        daemon.wait_for("adopted", PATIENCE).unwrap();
        is_done.store(true, Ordering::Relaxed);
        data.join().unwrap();
        assert_enforced(&wire);
    });
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Sends a TCP segment between port 40000 of the left host and port 80 of the right one, and asserts
/// that the port where it arrives counts it with a reason.
fn assert_segment(wire: &InlineTestbed, side: usize, vlan: u16, flags: u8, reason: &str) {
    for (left, right) in LEFT.iter().zip(RIGHT) {
        let hosts = [(ip(left), 40000), (ip(right), 80)];
        let ((source, from), (destination, to)) = (hosts[side], hosts[1 - side]);
        let segment = frame::tcp(from, to, flags);
        let frame = frame::ip(source, destination, Protocol::TCP, &segment);
        let before = counted(wire, SIDES[side], reason);
        let host = [&wire.left, &wire.right][side];
        send_frames(host, "eth0", vec![tagged(&frame, &[(0x8100, vlan)])]);
        let counts = || counted(wire, SIDES[side], reason) == before + 1;
        let is_counted = (0..50).any(|_| {
            sleep(Duration::from_millis(20));
            counts()
        });
        assert!(
            is_counted,
            "{source}, VLAN {vlan}: {}",
            json(wire, "counters")
        );
    }
}

/// Zones of the connections to port 80, in the order of their slots.
fn zones(wire: &InlineTestbed) -> Vec<u32> {
    let pins = PinDir::Path(wire.root().join("bpf/bailey"));
    FlowTable::open(&pins)
        .unwrap()
        .iter()
        .map(|flow| flow.zone)
        .collect()
}

#[test]
#[ignore = "needs root and BPF"]
fn upgrade_from_layout_7_keeps_vlan_zones() {
    const VLAN: u16 = 100;
    let wire = InlineTestbed::new().unwrap();
    let by_vlan = "[frames]\nvlan_zones = true\n";
    let mut old = start_binary(&wire, by_vlan, &former());
    for (side, flags, reason) in [(0, SYN, "new"), (1, SYN | ACK, "flow"), (0, ACK, "flow")] {
        assert_segment(&wire, side, VLAN, flags, reason);
    }
    old.signal(Signal::SIGTERM).unwrap();
    old.wait().unwrap();

    let mut daemon = Daemon::launch(&wire.bump, wire.root(), &binary(), &[]).unwrap();
    daemon.wait_for("taken over", PATIENCE).unwrap();
    daemon.wait_for("adopted", PATIENCE).unwrap();
    assert_eq!(zones(&wire), [u32::from(VLAN); 2], "one per family");
    for side in [0, 1] {
        assert_segment(&wire, side, VLAN, ACK, "flow");
        assert_segment(&wire, side, VLAN + 1, ACK, "tcp-no-flow");
    }
}
