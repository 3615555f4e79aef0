//! Real clients and servers during a flood of spoofed packets.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use bailey_lab::daemon::{self, POLICIES};
use bailey_lab::inline_testbed::{LEFT, RIGHT, SIDES};
use bailey_lab::topology::NIC;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, InlineTestbed, Lab, Namespace, Server, SpoofedFlood, sized};
use demo_lab::*;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Every peer may reach the web server on one TCP and one UDP port.
const POLICY: &str = "\
apiVersion: bailey.dev/v1
kind: Workload
metadata: {name: web, namespace: shop}
spec: {addresses: [10.42.0.11, \"fd42::11\", 10.9.0.2, \"fd09::2\"]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {}
  ingress:
  - ports: [{port: 80}, {port: 80, protocol: UDP}]
";

const NODE: [&str; 2] = ["203.0.113.1", "2001:db8:a::1"];
const PORT: u16 = 80;
/// Flood packets per second: four times the rate that one CPU admits here, but too few to fill a
/// queue.
const RATE: u64 = 4000;
/// Number of client addresses per family, none of which has connected before.
const CLIENTS: u32 = 60;
/// Maximum duration of a new connection.
const WITHIN: Duration = Duration::from_secs(3);

fn client(family: usize, number: u32) -> IpAddr {
    let number = 100 + number % CLIENTS;
    match family {
        0 => ip(&format!("203.0.113.{number}")),
        _ => ip(&format!("2001:db8:a::{number:x}")),
    }
}

/// Attaches an XDP program to the client's end: a veth delivers frames that XDP transmits only to
/// an XDP program. Cards need none.
fn receive_with_xdp(namespace: &Namespace, root: &std::path::Path) {
    if std::env::var_os("BAILEY_LAB_PAIRS").is_some() {
        return;
    }
    let object = root.join("pass.o");
    fs::write(&object, bailey_bpf::object::NOOP).unwrap();
    let attach = format!("link set dev eth0 xdp obj {} sec xdp", object.display());
    namespace.ip(&attach).unwrap();
}

fn flooded_lab() -> Lab {
    let lab = Lab::new().unwrap();
    fs::create_dir(lab.root().join(POLICIES)).unwrap();
    fs::write(lab.root().join(POLICIES).join("p.yaml"), POLICY).unwrap();
    for number in 0..CLIENTS {
        for family in [0, 1] {
            let (address, bits) = (client(family, number), [24, 64][family]);
            let extra = ["", "nodad"][family];
            let add = format!("address add {address}/{bits} dev eth0 {extra}");
            lab.outside.ip(&add).unwrap();
        }
    }
    // Routes spoofed sources out of the NIC; otherwise no SYN would be answered.
    lab.node.ip("route add default via 203.0.113.10").unwrap();
    lab.node
        .ip("-6 route add default via 2001:db8:a::10")
        .unwrap();
    receive_with_xdp(&lab.outside, lab.root());
    lab
}

fn event(lab: &Lab, name: &str) -> u64 {
    let stats = json(lab, "conntrack stats");
    let events = stats["events"].as_array().unwrap();
    let event = events.iter().find(|event| event["name"] == name);
    event.unwrap()["count"].as_u64().unwrap()
}

/// Pins this thread and its children to one CPU, because each CPU detects a flood by itself.
fn on_one_cpu() {
    let mut cpus = CpuSet::new();
    cpus.set(0).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
}

/// Whether a new connection works within [`WITHIN`].
fn connects(from: &Namespace, source: IpAddr, to: SocketAddr) -> bool {
    let stream = traffic::tcp_connect_with_timeout(WITHIN, from, source, to);
    stream.is_ok_and(|mut stream| traffic::tcp_echo(&mut stream) == Observed::Allowed)
}

/// An attempt that a thread repeats until stopped.
struct Attempts {
    name: &'static str,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u32, u32, Duration)>,
}

impl Attempts {
    fn every(
        pause: Duration,
        name: &'static str,
        attempt: impl Fn(u32) -> bool + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut tried, mut done, mut slowest) = (0, 0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let worked = attempt(tried);
                let took = begun.elapsed();
                slowest = slowest.max(took);
                done += u32::from(worked && took < WITHIN);
                tried += 1;
                sleep(pause);
            }
            (tried, done, slowest)
        });
        Self { name, stop, thread }
    }

    /// Stops, and asserts that at least `least` per thousand attempts succeeded in time.
    fn assert(self, least: u32) {
        self.stop.store(true, Ordering::Relaxed);
        let (tried, done, slowest) = self.thread.join().unwrap();
        println!("{}: {done} of {tried}, slowest {slowest:?}", self.name);
        assert!(tried > 20, "{}: {tried} tries", self.name);
        assert!(
            u64::from(done) * 1000 >= u64::from(tried) * u64::from(least),
            "{}: {done} of {tried}, slowest {slowest:?}",
            self.name
        );
    }
}

fn connections(from: &Namespace, name: &'static str, family: usize, to: IpAddr) -> Attempts {
    let from = from.clone();
    Attempts::every(Duration::from_millis(200), name, move |number| {
        connects(&from, client(family, number), SocketAddr::new(to, PORT))
    })
}

/// Segments that a connection has sent, and how many of them were retransmissions.
fn segments(namespace: &Namespace, port: u16) -> (u64, u64) {
    let text = namespace.run(move || {
        let filter = format!("sport = :{port}");
        let output = Command::new("ss").args(["-tinH", &filter]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
    let field = |name: &str| {
        let mut fields = text.split_whitespace();
        let value = fields.find_map(|field| field.strip_prefix(name))?;
        value.rsplit('/').next()?.parse().ok()
    };
    (field("segs_out:").unwrap(), field("retrans:").unwrap_or(0))
}

/// New connections to workload and node, to a failsafe port, and DNS requests of the node.
fn attempts_of_all_kinds(lab: &Lab) -> [Attempts; 6] {
    let outside = &lab.outside;
    [
        connections(outside, "web, IPv4", 0, ip(WEB[0])),
        connections(outside, "web, IPv6", 1, ip(WEB[1])),
        connections(outside, "node, IPv4", 0, ip(NODE[0])),
        connections(outside, "node, IPv6", 1, ip(NODE[1])),
        {
            let outside = lab.outside.clone();
            Attempts::every(Duration::from_millis(500), "failsafe", move |_| {
                connects(&outside, ip(STRANGER[0]), at("198.51.100.1", 22))
            })
        },
        {
            let node = lab.node.clone();
            Attempts::every(Duration::from_millis(100), "DNS of the node", move |_| {
                node.run(|| {
                    let socket = UdpSocket::bind(("203.0.113.1", 0)).unwrap();
                    socket.set_read_timeout(Some(WITHIN)).unwrap();
                    socket.send_to(b"name?", (BACKUP[0], 53)).unwrap();
                    socket.recv(&mut [0; 16]).is_ok()
                })
            })
        },
    ]
}

/// Transfers data over an established connection for a minute. Asserts that at most one segment per
/// thousand is retransmitted.
fn assert_transfers_undisturbed(lab: &Lab, stream: &TcpStream) {
    let port = stream.local_addr().unwrap().port();
    let before = segments(&lab.outside, port);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(sized(60, 30)) {
        assert_eq!(traffic::tcp_transfer(stream, 1 << 20), Observed::Allowed);
        sleep(Duration::from_millis(100));
    }
    let after = segments(&lab.outside, port);
    let (sent, again) = (after.0 - before.0, after.1 - before.1);
    println!("established: {sent} segments, {again} sent again");
    assert!(sent > 1000 && again * 1000 <= sent, "{again} of {sent}");
}

#[test]
#[ignore = "needs root and BPF"]
fn clients_connect_during_flood() {
    // Servers on workload and node, an established connection, and neighbour entries for all
    // targets.
    let lab = flooded_lab();
    lab.node.sysctl("net.ipv4.tcp_syncookies", "2").unwrap();
    for namespace in [lab.workload("web"), &lab.node] {
        Server::tcp(namespace, PORT).unwrap();
        Server::tcp(namespace, 22).unwrap();
    }
    Server::udp(&lab.outside, ip(BACKUP[0]), 53).unwrap();
    let extra = "failsafe = [{ cidr = \"198.51.100.0/24\", port = 22 }]";
    let _daemon = start(&lab, extra);
    let tally = Tally::begin(&lab);
    let mut stream = traffic::tcp_connect(&lab.outside, ip(BACKUP[0]), at(WEB[0], PORT)).unwrap();
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    let targets = [WEB[0], WEB[1], NODE[0], NODE[1]].map(ip);
    for target in &targets {
        let family = usize::from(target.is_ipv6());
        let to = SocketAddr::new(*target, PORT);
        assert!(connects(&lab.outside, client(family, CLIENTS - 1), to));
    }

    // The flood is detected and reported.
    let flood = SpoofedFlood::start(&lab.outside, &targets, PORT, 10_000).unwrap();
    sleep(Duration::from_secs(1));
    let status = json(&lab, "status");
    assert!(status["flood_seconds"].is_u64(), "{status}");
    let text = String::from_utf8(ask(&lab, "status").stdout).unwrap();
    assert!(text.contains("FLOOD"), "{text}");

    // During the flood new connections and the established one work.
    let attempts = attempts_of_all_kinds(&lab);
    assert_transfers_undisturbed(&lab, &stream);
    let table = 2 * 4096;
    println!("{} packets of flood, {table} slots", flood.sent());
    assert!(flood.sent() >= 5 * table);
    for attempts in attempts {
        attempts.assert(990);
    }
    drop(flood);

    // Every defence was used, and the flood ends.
    for reason in ["challenged", "syn-cookie", "challenge-answer", "flood"] {
        let packets = counted(&lab, NIC, "xdp", reason);
        println!("{reason}: {packets}");
        assert!(packets > 0, "{reason}");
    }
    for name in ["challenge-passed", "cookie-returned", "flood-began"] {
        assert!(event(&lab, name) > 0, "{name}");
    }
    sleep(Duration::from_secs(4));
    let status = json(&lab, "status");
    assert!(status["flood_seconds"].is_null(), "{status}");
    tally.assert(&lab);
}

/// As behind a NAT that drops packets without a connection, such as the RST that answers the
/// challenge.
#[test]
#[ignore = "needs root and BPF"]
fn client_without_challenge_connects_by_retransmitted_syn() {
    on_one_cpu();
    let lab = flooded_lab();
    Server::tcp(lab.workload("web"), PORT).unwrap();
    let _daemon = start(&lab, "");
    let tally = Tally::begin(&lab);
    let targets = WEB.map(ip);
    for family in [0, 1] {
        // Resolves the neighbour first: the flood would prevent it later.
        let to = at(WEB[family], PORT);
        assert!(connects(&lab.outside, client(family, CLIENTS - 1), to));
    }
    let flood = SpoofedFlood::start(&lab.outside, &targets, PORT, RATE).unwrap();
    sleep(Duration::from_secs(1));
    for family in [0, 1] {
        let to = at(WEB[family], PORT);
        assert!(
            connects(&lab.outside, client(family, 0), to),
            "a client that answers the challenge"
        );
    }
    let proven = event(&lab, "challenge-passed");
    assert!(proven >= 2);
    // From here on the client drops its own RSTs.
    lab.outside.run(|| {
        let rules = "table inet hide { chain out { type filter hook output priority 0; \
                     tcp flags & rst == rst drop; }; }";
        let nft = Command::new("nft").arg(rules).status();
        assert!(nft.unwrap().success());
    });
    for family in [0, 1] {
        let to = at(WEB[family], PORT);
        for number in 1..6 {
            assert!(
                connects(&lab.outside, client(family, number), to),
                "client {number}"
            );
        }
    }
    assert_eq!(
        event(&lab, "challenge-passed"),
        proven,
        "the RSTs were dropped"
    );
    // The IPv6 clients share one /64, which one of them has verified.
    assert!(event(&lab, "syn-retransmitted") >= 5);
    drop(flood);
    tally.assert(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn annotation_limits_flows_per_source() {
    let lab = flooded_lab();
    let annotated = POLICY.replace(
        "{name: web, namespace: shop}\nspec:\n  podSelector",
        "{name: web, namespace: shop, annotations: {bailey.dev/rate-limit-per-source: 5/h}}\n\
         spec:\n  podSelector",
    );
    assert_ne!(annotated, POLICY);
    let file = lab.root().join(POLICIES).join("p.yaml");
    fs::write(&file, annotated).unwrap();
    Server::tcp(lab.workload("web"), PORT).unwrap();
    let mut daemon = start(&lab, "");
    let tally = Tally::begin(&lab);
    let try_ten = |number: u32| {
        let to = at(WEB[0], PORT);
        let attempts = (0..10).map(|_| traffic::tcp(&lab.outside, client(0, number), to));
        attempts.filter(|seen| *seen == Observed::Allowed).count()
    };
    // Five connections of each source, and the rest is counted.
    assert_eq!(try_ten(0), 5);
    assert_eq!(try_ten(1), 5, "another source has a limit of its own");
    let rules = json(&lab, "rules");
    let rule = &rules["rules"].as_array().unwrap()[0];
    assert_eq!(rule["rule"], "shop/web in[0] :80/TCP,80/UDP");
    assert_eq!(rule["hits"], 10);
    assert!(rule["rate_limited"].as_u64().unwrap() >= 10, "{rule}");
    assert!(counted(&lab, NIC, "xdp", "rate-limit") >= 10);
    // Without the annotation no client is limited. An invalid annotation keeps the active policies.
    fs::write(&file, POLICY).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(try_ten(0), 10);
    let wrong = POLICY.replace("name: web, namespace: shop}\nspec:\n  podSelector", 
        "name: web, namespace: shop, annotations: {bailey.dev/rate-limit: fast}}\nspec:\n  podSelector");
    fs::write(&file, wrong).unwrap();
    daemon
        .wait_for("must be connections per second", PATIENCE)
        .unwrap();
    assert_eq!(try_ten(0), 10);
    tally.assert(&lab);
}

/// Runs on any driver: few packets are a flood here, because emulated machines are slow.
#[test]
#[ignore = "needs root and BPF"]
fn clients_pass_challenges_to_workload_and_node() {
    let lab = flooded_lab();
    lab.node.sysctl("net.ipv4.tcp_syncookies", "2").unwrap();
    Server::tcp(lab.workload("web"), PORT).unwrap();
    Server::tcp(&lab.node, PORT).unwrap();
    let _daemon = start(&lab, "[flood]\nnew_flows_per_second = 50\n");
    let tally = Tally::begin(&lab);
    let targets = [WEB[0], WEB[1], NODE[0], NODE[1]];
    for target in targets {
        let family = usize::from(target.contains(':'));
        assert!(connects(
            &lab.outside,
            client(family, CLIENTS - 1),
            at(target, PORT)
        ));
    }
    let flood = SpoofedFlood::start(&lab.outside, &targets.map(ip), PORT, 500).unwrap();
    sleep(Duration::from_secs(2));
    // A new client for each target connects within two tries.
    for (number, target) in (0..).zip(targets) {
        let family = usize::from(target.contains(':'));
        let mut tries =
            (0..2).map(|_| connects(&lab.outside, client(family, number), at(target, PORT)));
        assert!(tries.any(|connected| connected), "{target}");
    }
    for reason in ["challenged", "syn-cookie"] {
        assert!(counted(&lab, NIC, "xdp", reason) > 0, "{reason}");
    }
    for name in ["challenge-passed", "cookie-returned"] {
        assert!(event(&lab, name) > 0, "{name}");
    }
    drop(flood);
    tally.assert(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn bridge_challenges_clients_in_flood() {
    on_one_cpu();
    let wire = InlineTestbed::new().unwrap();
    receive_with_xdp(&wire.left, wire.root());
    Server::tcp(&wire.right, PORT).unwrap();
    fs::create_dir(wire.root().join(POLICIES)).unwrap();
    fs::write(wire.root().join(POLICIES).join("p.yaml"), POLICY).unwrap();
    let [left, right] = SIDES;
    let top = format!("topology = \"bridge\"\ninterfaces = [\"{left}\", \"{right}\"]\n");
    daemon::write_config(wire.root(), &top).unwrap();
    let mut daemon = Daemon::launch(&wire.bump, wire.root(), &binary(), &[]).unwrap();
    for _ in SIDES {
        daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    }
    for family in [0, 1] {
        let to = at(RIGHT[family], PORT);
        assert!(connects(&wire.left, ip(LEFT[family]), to));
    }
    let _flood = SpoofedFlood::start(&wire.left, &RIGHT.map(ip), PORT, RATE).unwrap();
    sleep(Duration::from_secs(1));
    for family in [0, 1] {
        let to = at(RIGHT[family], PORT);
        for number in 0..5 {
            assert!(connects(&wire.left, ip(LEFT[family]), to), "{number}");
        }
    }
    let ask = |verb: &str| daemon::query(&wire.bump, wire.root(), &binary(), verb).unwrap();
    let text = String::from_utf8(ask("counters").stdout).unwrap();
    assert!(text.contains("challenge-answer"), "{text}");
}
