//! Ways past policy that packets have been found to take, each tried with real packets.
#![cfg(target_os = "linux")]

#[path = "../demo_lab/mod.rs"]
mod demo_lab;

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use bailey_datapath::kernel::netlink;
use bailey_datapath::program::frame;
use bailey_lab::daemon::POLICIES;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Namespace, Server, connect, daemon, sctp};
use bailey_policy::Protocol;
use demo_lab::*;
use nix::sys::signal::Signal;

const NODE: [&str; 2] = ["203.0.113.1", "2001:db8:a::1"];

fn launch(lab: &Lab) -> Daemon {
    Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap()
}

fn start_on(lab: &Lab, interfaces: &[&str], extra: &str) -> Daemon {
    daemon::configure(lab.root(), &format!("interfaces = {interfaces:?}\n{extra}")).unwrap();
    let mut daemon = launch(lab);
    for interface in interfaces {
        let line = format!("attached interface={interface:?}");
        daemon.wait_for(&line, PATIENCE).unwrap();
    }
    daemon
}

/// The node translates a port of its own to a workload behind another NIC. XDP has seen a packet to the
/// node, which nobody isolates; the workload's policy is asked where the packet leaves, and the answer of
/// whom policy admits finds its flow.
#[test]
#[ignore = "needs root and BPF"]
fn dnat_port_is_evaluated_as_workload_traffic() {
    for masquerade in [false, true] {
        let lab = lab();
        Server::tcp(lab.workload("db"), 5432).unwrap();
        let rules = |nft: &'static str| lab.node.command("nft", nft).unwrap();
        rules("add table inet nodeport");
        rules("add chain inet nodeport pre { type nat hook prerouting priority -100 ; }");
        for (family, to) in [("ip", DB[0].to_owned()), ("ip6", format!("[{}]", DB[1]))] {
            for (protocol, port) in [("tcp", 30432), ("udp", 30433), ("sctp", 30434)] {
                let rule = format!(
                    "add rule inet nodeport pre {protocol} dport {port} dnat {family} to {to}:5432"
                );
                lab.node.command("nft", &rule).unwrap();
            }
        }
        for address in DB {
            Server::udp(lab.workload("db"), ip(address), 5432).unwrap();
            sctp::serve(lab.workload("db"), ip(address), 5432).unwrap();
        }
        if masquerade {
            rules("add chain inet nodeport post { type nat hook postrouting priority 100 ; }");
            rules("add rule inet nodeport post oifname db masquerade");
        }
        for extra in ["", "tcp_strict = true", "topology = \"router\""] {
            let mut daemon = start_on(&lab, &["nic0", "db"], extra);
            for f in [0, 1] {
                let outside = &lab.outside;
                let tcp = |from: &str| traffic::tcp(outside, ip(from), at(NODE[f], 30432));
                let udp = |from: &str| traffic::udp(outside, ip(from), at(NODE[f], 30433));
                let sctp = |from: &str| sctp::open(outside, ip(from), at(NODE[f], 30434));
                // Masqueraded, it comes from the node, whose workload it is not.
                let admitted = if masquerade {
                    Observed::Silent
                } else {
                    Observed::Allowed
                };
                for (from, expected) in [(BACKUP[f], admitted), (STRANGER[f], Observed::Silent)] {
                    let case = format!("{from} {masquerade} {extra}");
                    assert_eq!(tcp(from), expected, "TCP {case}");
                    assert_eq!(udp(from), expected, "UDP {case}");
                    assert_eq!(sctp(from), expected, "SCTP {case}");
                }
            }
            assert!(counted(&lab, "db", "tc", "policy") > 0);
            daemon.signal(Signal::SIGTERM).unwrap();
            daemon.wait().unwrap();
            ask(&lab, "detach --yes-unfiltered");
        }
    }
}

/// What comes out of a tunnel on this machine came in as a packet to the machine, through an attached NIC;
/// it is judged as what it is where it leaves.
#[test]
#[ignore = "needs root and BPF"]
fn decapsulated_packets_are_evaluated_at_egress() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    for address in DB {
        Server::udp(lab.workload("db"), ip(address), 5432).unwrap();
    }
    let tunnel = |end: &Namespace, device: &str, local: &str, remote: &str| {
        let make = format!(
            "link add vx type vxlan id 7 dstport 4789 local {local} remote {remote} dev {device}"
        );
        end.ip(&make).unwrap();
        end.ip("link set vx up").unwrap();
    };
    tunnel(&lab.outside, "eth0", BACKUP[0], NODE[0]);
    tunnel(&lab.node, "nic0", NODE[0], BACKUP[0]);
    lab.outside.ip("address add 192.0.2.2/24 dev vx").unwrap();
    lab.node.ip("address add 192.0.2.1/24 dev vx").unwrap();
    let route = |from: &str| format!("route add {} via 192.0.2.1 src {from}", DB[0]);
    lab.outside.ip(&route(STRANGER[0])).unwrap();
    let mut daemon = start_on(&lab, &["nic0", "db"], "");
    let dropped = || counted(&lab, "db", "tc", "policy");
    for from in [STRANGER[0], BACKUP[0]] {
        let expected = if from == BACKUP[0] {
            Observed::Allowed
        } else {
            Observed::Silent
        };
        let before = dropped();
        let tcp = traffic::tcp(&lab.outside, ip(from), at(DB[0], 5432));
        assert_eq!(tcp, expected, "TCP from {from}");
        let udp = traffic::udp(&lab.outside, ip(from), at(DB[0], 5432));
        assert_eq!(udp, expected, "UDP from {from}");
        assert_eq!(dropped() > before, expected == Observed::Silent, "{from}");
    }
    // It was the tunnel that brought them.
    assert!(lab.node.frames("vx").unwrap().received > 0);
    assert_eq!(counted(&lab, "nic0", "xdp", "policy"), 0);
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
}

/// An interface of another network namespace may have the number of an attached one. A packet that it brought
/// there comes here through an interface that nobody judges.
#[test]
#[ignore = "needs root and BPF"]
fn packets_from_other_namespace_are_evaluated() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let (between, beyond) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    between.sysctl("net.ipv4.ip_forward", "1").unwrap();
    let number = |namespace: &Namespace, name: &'static str| {
        let found = namespace.run(move || netlink::interface_by_name(name));
        found.unwrap().unwrap().index
    };
    let nic = number(&lab.node, "nic0");
    let pair = format!(
        "link add in index {nic} type veth peer name out netns {}",
        beyond.id()
    );
    between.ip(&pair).unwrap();
    assert_eq!(
        number(&between, "in"),
        nic,
        "the numbers are to be the same"
    );
    connect(&lab.node, "far", &between, "near").unwrap();
    for (namespace, line) in [
        (&between, "link set in up"),
        (&beyond, "link set out up"),
        (&lab.node, "address add 192.0.2.1/30 dev far"),
        (&between, "address add 192.0.2.2/30 dev near"),
        (&between, "address add 192.0.2.5/30 dev in"),
        (&beyond, "address add 192.0.2.6/30 dev out"),
        (&beyond, "address add 203.0.113.10/32 dev lo"),
        (&beyond, "address add 198.51.100.20/32 dev lo"),
        (&beyond, "route add default via 192.0.2.5"),
        (&between, "route add default via 192.0.2.1"),
        (&between, "route add 203.0.113.10 via 192.0.2.6"),
        (&between, "route add 198.51.100.20 via 192.0.2.6"),
        (&lab.node, "route add 203.0.113.10 via 192.0.2.2"),
        (&lab.node, "route add 198.51.100.20 via 192.0.2.2"),
    ] {
        namespace.ip(line).unwrap();
    }
    let mut daemon = start_on(&lab, &["nic0", "db"], "");
    let way = |from: &str| traffic::tcp(&beyond, ip(from), at(DB[0], 5432));
    assert_eq!(way(STRANGER[0]), Observed::Silent);
    assert!(counted(&lab, "db", "tc", "policy") > 0);
    assert_eq!(way(BACKUP[0]), Observed::Allowed);
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
}

/// An address of this machine does not come in as the source of a packet, also if the machine itself has
/// a flow that the packet would be of.
#[test]
#[ignore = "needs root and BPF"]
fn spoofed_machine_address_cannot_continue_flow() {
    const PORT: u16 = 5353;
    let lab = lab();
    Server::udp(lab.workload("db"), ip(DB[1]), 5432).unwrap();
    let _daemon = start_on(&lab, &["nic0", "db"], "");
    let answered = lab.node.run(|| {
        let socket = UdpSocket::bind((ip(NODE[1]), PORT)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        (0..3).all(|_| {
            socket.send_to(b"x", at(DB[1], 5432)).unwrap();
            socket.recv(&mut [0; 8]).is_ok()
        })
    });
    assert!(answered, "the node reaches its own workload");
    let datagram = frame::udp(PORT, 5432);
    let mut forged = frame::ip(ip(NODE[1]), ip(DB[1]), Protocol::UDP, &datagram);
    forged[..6].copy_from_slice(&mac_of(&lab.node, "nic0"));
    send_frames(&lab.outside, "eth0", vec![forged]);
    assert_eq!(counted(&lab, "nic0", "xdp", "spoofed"), 1);
    assert_eq!(counted(&lab, "nic0", "xdp", "flow"), 0);
}

/// Neighbour discovery for a subnet behind another interface would be routed there.
#[test]
#[ignore = "needs root and BPF"]
fn neighbour_discovery_is_not_routed() {
    let lab = lab();
    lab.node
        .ip("address add fd42::ffff/64 dev db nodad")
        .unwrap();
    let _daemon = start(&lab, "");
    let advertisement = [136, 0, 0, 0, 0, 0, 0, 0]
        .into_iter()
        .chain([0; 16])
        .collect::<Vec<u8>>();
    let send = |from: &str, to: &str| {
        let mut frame = frame::ip(ip(from), ip(to), Protocol::ICMPV6, &advertisement);
        frame[..6].copy_from_slice(&mac_of(&lab.node, "nic0"));
        frame[14 + 7] = 255;
        send_frames(&lab.outside, "eth0", vec![frame]);
        counted(&lab, "nic0", "xdp", "nd-scope")
    };
    assert_eq!(send("2001:db8:a::10", "2001:db8:a::20"), 0, "on the link");
    assert_eq!(send("fd42::99", DB[1]), 1);
}

/// An endpoint beside the machine (a macvlan) that takes an address which the machine has on another NIC is not
/// the machine.
#[test]
#[ignore = "needs root and BPF"]
fn macvlan_with_machine_address_is_not_machine() {
    let lab = lab();
    let pod = Namespace::new().unwrap();
    bailey_lab::move_macvlan(&lab.node, "nic0", &pod, "eth0").unwrap();
    // The lab's node has it on the interfaces to its workloads.
    pod.ip("address add fe80::1/64 dev eth0 nodad").unwrap();
    Server::tcp(&pod, 8080).unwrap();
    let mac = mac_of(&pod, "eth0")
        .map(|byte| format!("{byte:02x}"))
        .join(":");
    lab.outside
        .ip(&format!(
            "-6 neigh replace fe80::1 lladdr {mac} dev eth0 nud permanent"
        ))
        .unwrap();
    let index = lab.outside.run(|| netlink::interface_by_name("eth0"));
    let index = index.unwrap().unwrap().index;
    let to = SocketAddrV6::new("fe80::1".parse().unwrap(), 8080, 0, index).into();
    let reach = || traffic::tcp(&lab.outside, ip("::"), to);
    soon("reachable without Bailey", || reach() == Observed::Allowed);
    let _daemon = start_on(&lab, &["nic0", "db"], "");
    lab.wait_for_carrier();
    assert_eq!(reach(), Observed::Silent);
    assert!(counted(&lab, "nic0", "xdp", "link-local") > 0);
}

/// A NIC in a bridge of the machine, whose hardware address is another: what the machine sends by it is the
/// machine's.
#[test]
#[ignore = "needs root and BPF"]
fn machine_traffic_passes_bridge_on_its_nic() {
    let lab = lab();
    for line in [
        "link add br0 address 02:00:00:00:00:77 type bridge",
        "link set nic0 master br0",
        "address flush dev nic0",
        "link set br0 up",
        "address add 203.0.113.1/24 dev br0",
        "address add 2001:db8:a::1/64 dev br0 nodad",
    ] {
        lab.node.ip(line).unwrap();
    }
    Server::udp(&lab.outside, ip(BACKUP[0]), 7000).unwrap();
    Server::tcp(&lab.node, 7001).unwrap();
    let declared = "[inventory]\nisolated = [\"10.42.0.0/16\"]";
    let _daemon = start_on(&lab, &["nic0"], declared);
    lab.wait_for_carrier();
    let own = || traffic::udp(&lab.node, ip("203.0.113.1"), at(BACKUP[0], 7000));
    soon("the machine's datagrams leave", || {
        own() == Observed::Allowed
    });
    // By link-local addresses, too: they are the machine's, whatever endpoints are isolated.
    let index = lab.outside.run(|| netlink::interface_by_name("eth0"));
    let index = index.unwrap().unwrap().index;
    let [a, b, c, d, e, f] = [2_u8, 0, 0, 0, 0, 0x77];
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let words = [pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)];
    let local = Ipv6Addr::new(0xfe80, 0, 0, 0, words[0], words[1], words[2], words[3]);
    let to = SocketAddrV6::new(local, 7001, 0, index).into();
    soon("the machine answers at its link-local address", || {
        traffic::tcp(&lab.outside, ip("::"), to) == Observed::Allowed
    });
    assert_eq!(counted(&lab, "nic0", "tc", "spoofed"), 0);
}

/// What a macvlan endpoint forwards came in through an interface of its namespace, whatever the number.
#[test]
#[ignore = "needs root and BPF"]
fn spoofed_source_cannot_hide_behind_ifindex_collision() {
    let lab = lab();
    let (pod, beyond) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let nic = lab.node.run(|| netlink::interface_by_name("nic0"));
    let nic = nic.unwrap().unwrap().index;
    // Before the macvlan takes that number.
    let pair = format!(
        "link add in index {nic} type veth peer name out netns {}",
        beyond.id()
    );
    pod.ip(&pair).unwrap();
    bailey_lab::move_macvlan(&lab.node, "nic0", &pod, "eth0").unwrap();
    pod.sysctl("net.ipv4.ip_forward", "1").unwrap();
    for (namespace, line) in [
        (&pod, "address add 203.0.113.50/24 dev eth0"),
        (&pod, "link set in up"),
        (&pod, "address add 192.0.2.5/30 dev in"),
        (&beyond, "link set out up"),
        (&beyond, "address add 192.0.2.6/30 dev out"),
        (&beyond, "address add 198.18.0.9/32 dev lo"),
        (&beyond, "route add default via 192.0.2.5"),
    ] {
        namespace.ip(line).unwrap();
    }
    let declared = "[inventory]\nisolated = [\"10.42.0.0/16\"]";
    let _daemon = start_on(&lab, &["nic0"], declared);
    lab.wait_for_carrier();
    beyond.run(|| {
        let socket = UdpSocket::bind((ip("198.18.0.9"), 0)).unwrap();
        for _ in 0..5 {
            socket.send_to(b"x", at(BACKUP[0], 9)).unwrap();
        }
    });
    soon("forged packets are counted", || {
        counted(&lab, "nic0", "tc", "spoofed") >= 4
    });
}

/// What is forwarded from one attached NIC to another meets its flow where it leaves, and is counted once.
#[test]
#[ignore = "needs root and BPF"]
fn packet_admitted_in_xdp_matches_flow_at_tc() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start_on(&lab, &["nic0", "db"], "");
    for f in [0, 1] {
        let got = traffic::tcp(&lab.outside, ip(BACKUP[f]), at(DB[f], 5432));
        assert_eq!(got, Observed::Allowed);
    }
    assert!(counted(&lab, "db", "tc", "judged") > 0);
    assert!(counted(&lab, "nic0", "tc", "judged") > 0);
    for hook in ["new", "flow"] {
        assert_eq!(
            counted(&lab, "db", "tc", hook),
            0,
            "judged where it came in"
        );
    }
}

/// Linux takes an IPv6 packet with an address of its own as the source.
#[test]
#[ignore = "needs root and BPF"]
fn own_addresses_from_outside_are_spoofed() {
    let lab = lab();
    let _daemon = start(&lab, "");
    let outside = &lab.outside;
    outside
        .ip("addr add 2001:db8:b::1/128 dev eth0 nodad")
        .unwrap();
    outside
        .ip("addr add 2001:db8:c::1/128 dev lo nodad")
        .unwrap();
    let send = |from: &'static str| {
        outside.run(move || {
            let socket = UdpSocket::bind((ip(from), 0)).unwrap();
            for _ in 0..5 {
                socket.send_to(b"x", at(WEB[1], 9)).unwrap();
            }
        });
        sleep(Duration::from_millis(300));
        counted(&lab, "nic0", "xdp", "spoofed")
    };
    // The neighbour is found under an address that it can answer to.
    assert_eq!(send(BACKUP[1]), 0);
    assert_eq!(send("2001:db8:c::1"), 0);
    // Not the address that is its own way to the node.
    let spoofed = send("2001:db8:b::1");
    assert!(spoofed > 0, "{}", json(&lab, "counters"));
    // An address that the machine gets later is its own from then on.
    let before = counted(&lab, "nic0", "xdp", "spoofed");
    lab.node
        .ip("addr add 2001:db8:c::1/128 dev lo nodad")
        .unwrap();
    sleep(Duration::from_secs(1));
    assert!(send("2001:db8:c::1") > before);
}

/// An address in a declared prefix that the inventory does not know is a pod that is newer, or a second
/// address of one that is older.
#[test]
#[ignore = "needs root and BPF"]
fn unknown_address_in_declared_prefix_is_denied() {
    let lab = lab();
    let web = lab.workload("web");
    web.ip("addr add 10.42.0.77/32 dev eth0").unwrap();
    lab.node.ip("route add 10.42.0.77 dev web").unwrap();
    Server::udp(web, ip("10.42.0.77"), 7777).unwrap();
    let mut daemon = start(&lab, "");
    let reach = || traffic::udp(&lab.outside, ip(STRANGER[0]), at("10.42.0.77", 7777));
    assert_eq!(reach(), Observed::Allowed, "nothing is declared");
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
    daemon::configure(
        lab.root(),
        "interfaces = [\"nic0\"]\n[inventory]\nisolated = [\"10.42.0.0/16\"]",
    )
    .unwrap();
    let mut daemon = launch(&lab);
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(reach(), Observed::Silent);
    let rules = json(&lab, "rules");
    let unknown = |row: &serde_json::Value| {
        row["rule"] == "unknown-address" && row["packets"].as_u64() > Some(0)
    };
    assert!(
        rules["rules"].as_array().unwrap().iter().any(unknown),
        "{rules}"
    );
}

/// A NIC comes back while packets arrive: how many get through before the link is there?
#[test]
#[ignore = "needs root and BPF"]
fn recreated_nic_is_unprotected_only_briefly() {
    let lab = lab();
    // Sockets belong to the namespace that they were made in, whoever uses them.
    let bind = |address: &'static str, port| move || UdpSocket::bind(at(address, port)).unwrap();
    let from = lab.outside.run(bind(STRANGER[0], 0));
    let to = lab.workload("db").run(bind(DB[0], 9));
    to.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut daemon = start(&lab, "");
    lab.node.ip("link delete nic0").unwrap();
    daemon.wait_for("the interface is gone", PATIENCE).unwrap();
    let stop = AtomicBool::new(false);
    // Also if what is waited for meanwhile never comes.
    let end = Instant::now() + PATIENCE + PATIENCE;
    let goes_on = || !stop.load(Ordering::Relaxed) && Instant::now() < end;
    let arrivals = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0_u32;
            while goes_on() {
                sent += u32::from(from.send_to(b"x", at(DB[0], 9)).is_ok());
                sleep(Duration::from_micros(200));
            }
            sent
        });
        let receiver = scope.spawn(|| {
            let mut arrivals = Vec::new();
            while goes_on() {
                if to.recv(&mut [0; 8]).is_ok() {
                    arrivals.push(Instant::now());
                }
            }
            arrivals
        });
        lab.reconnect().unwrap();
        daemon.wait_for(ATTACHED, PATIENCE).unwrap();
        sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        assert!(sender.join().unwrap() > 100, "packets were sent");
        receiver.join().unwrap()
    });
    let open = match (arrivals.first(), arrivals.last()) {
        (Some(first), Some(last)) => last.duration_since(*first),
        _ => Duration::ZERO,
    };
    println!("{} packets arrived within {open:?}", arrivals.len());
    assert!(arrivals.len() < 100, "{} arrived", arrivals.len());
    assert_in_force(&lab);
}

/// Without pins what is attached would end with the daemon.
#[test]
#[ignore = "needs root and BPF"]
fn removed_pins_are_recreated() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    let status = json(&lab, "status");
    let pins = lab.root().join("bpf/bailey");
    assert!(pins.exists(), "{status}");
    fs::remove_dir_all(&pins).unwrap();
    daemon.wait_for("they are made again", PATIENCE).unwrap();
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait_for("stays in force", PATIENCE).unwrap();
    daemon.wait().unwrap();
    assert_in_force(&lab);
}

/// A directory that others can write to is theirs.
#[test]
#[ignore = "needs root and BPF"]
fn world_writable_pin_directory_is_refused() {
    let lab = lab();
    daemon::configure(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    let pins = lab.root().join("bpf/bailey");
    fs::create_dir(&pins).unwrap();
    fs::set_permissions(&pins, fs::Permissions::from_mode(0o777)).unwrap();
    let mut refused = launch(&lab);
    refused.wait_for("chmod go-w", PATIENCE).unwrap();
    assert_ne!(refused.wait().unwrap().code(), Some(0));
    fs::set_permissions(&pins, fs::Permissions::from_mode(0o755)).unwrap();
    let _daemon = start(&lab, "");
    let mode = fs::metadata(&pins).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// What editors and git keep beside policies is none of them.
#[test]
#[ignore = "needs root and BPF"]
fn hidden_files_are_ignored() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    let directory = lab.root().join(POLICIES);
    symlink("user@host.1:2", directory.join(".#policies.yaml")).unwrap();
    symlink("nowhere", directory.join("dangling.yaml")).unwrap();
    fs::create_dir(directory.join(".git")).unwrap();
    fs::write(directory.join(".git/a.yaml"), "{").unwrap();
    sleep(Duration::from_secs(3));
    set_backup(&lab, &mut daemon, false);
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
}

/// With invalid files and nothing in force the failsafe alone may pass, if so configured, until the files
/// are corrected.
#[test]
#[ignore = "needs root and BPF"]
fn failsafe_only_start_drops_until_valid_policy() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let file = policies(&lab);
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, "kind: {").unwrap();
    daemon::configure(
        lab.root(),
        "interfaces = [\"nic0\"]\n[boot]\nwithout_policy = \"failsafe-only\"",
    )
    .unwrap();
    let mut daemon = launch(&lab);
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    let reach = || traffic::tcp(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432));
    assert_eq!(reach(), Observed::Silent);
    assert!(counted(&lab, "nic0", "xdp", "no-policy") > 0);
    assert_eq!(ask(&lab, "status").status.code(), Some(9));
    fs::write(&file, good).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(reach(), Observed::Allowed);
}

/// A NIC that is made anew while no daemon lives carries no program, and the guard closes it; but for the
/// failsafe. With the next start it is open to whom policy admits, and `detach` takes the guard away.
#[test]
#[ignore = "needs root and BPF"]
fn guard_closes_nic_without_program() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    Server::tcp(lab.workload("db"), 2222).unwrap();
    let failsafe = "failsafe = [{ cidr = \"203.0.113.10/32\", port = 2222 }]";
    daemon::configure(
        lab.root(),
        &format!("interfaces = [\"nic0\"]\nguard = \"nftables\"\n{failsafe}"),
    )
    .unwrap();
    let reach = |port| traffic::tcp(&lab.outside, ip(BACKUP[0]), at(DB[0], port));
    let mut daemon = launch(&lab);
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    lab.wait_for_carrier();
    let allowed_soon = || soon("allowed", || reach(5432) == Observed::Allowed);
    allowed_soon();
    assert_in_force(&lab);
    // Somebody reloads the rules of the machine.
    lab.node.command("nft", "flush ruleset").unwrap();
    daemon.wait_for("it is made again", PATIENCE).unwrap();
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    assert_eq!(reach(5432), Observed::Allowed, "what is attached goes on");
    lab.node.ip("link del nic0").unwrap();
    lab.reconnect().unwrap();
    lab.wait_for_carrier();
    assert_eq!(reach(5432), Observed::Silent, "it carries no program");
    assert_eq!(
        traffic::ping(&lab.outside, ip(STRANGER[0]), ip(NODE[0])),
        Observed::Silent
    );
    assert_eq!(reach(2222), Observed::Allowed, "the failsafe");
    let status = ask(&lab, "status");
    let shown = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(status.status.code(), Some(9));
    assert!(
        shown.contains("guard") && !shown.contains("UNPROTECTED"),
        "{shown}"
    );
    let mut daemon = launch(&lab);
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    lab.wait_for_carrier();
    allowed_soon();
    ask(&lab, "detach --yes-unfiltered");
    assert_detached(&lab);
    assert_eq!(
        traffic::ping(&lab.outside, ip(STRANGER[0]), ip(DB[0])),
        Observed::Allowed,
        "everything passes"
    );
    let tables = lab.node.run(|| {
        let output = std::process::Command::new("nft")
            .args(["list", "tables"])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
    assert!(!tables.contains("bailey_guard"), "{tables}");
}
