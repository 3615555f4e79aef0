//! The router topology: packets between attached NICs bypass the kernel network stack.
#![cfg(target_os = "linux")]

mod demo_lab;

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server, daemon};
use demo_lab::*;

fn forwarded_by_stack(lab: &Lab) -> u64 {
    ["nic0", "web", "db"]
        .map(|interface| counted(lab, interface, "tc", "evaluated"))
        .iter()
        .sum()
}

fn start_router(lab: &Lab) -> Daemon {
    // A veth accepts redirected frames only if its other end receives by NAPI (`gro on`). XDP
    // completes no checksums, so the sender must (`tx off`).
    let ends = [&lab.outside, lab.workload("web"), lab.workload("db")];
    for end in ends {
        end.command("ethtool", "-K eth0 tx off gro on").unwrap();
    }
    daemon::write_config(
        lab.root(),
        "topology = \"router\"\ninterfaces = [\"nic0\", \"web\", \"db\"]",
    )
    .unwrap();
    let mut daemon = Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap();
    for interface in ["nic0", "web", "db"] {
        let line = format!("attached interface={interface:?}");
        daemon.wait_for(&line, PATIENCE).unwrap();
    }
    daemon
}

#[test]
#[ignore = "needs root and BPF"]
fn packets_between_nics_are_forwarded_in_xdp() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    Server::tcp(lab.workload("web"), 8080).unwrap();
    let _daemon = start_router(&lab);
    let tally = Tally::begin(&lab);
    for family in [0, 1] {
        let (backup, stranger) = (ip(BACKUP[family]), ip(STRANGER[family]));
        // The first packets find no neighbour entry and pass the network stack.
        let connect = || traffic::tcp_connect(&lab.outside, backup, at(DB[family], 5432)).ok();
        let mut stream = (0..8).find_map(|_| connect()).expect("policy allows it");
        assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
        let before = forwarded_by_stack(&lab);
        assert_eq!(traffic::tcp_transfer(&stream, 1 << 18), Observed::Allowed);
        assert_eq!(forwarded_by_stack(&lab), before, "family {family}");
        // Policy applies to forwarded packets.
        let silent = traffic::tcp(&lab.outside, stranger, at(DB[family], 5432));
        assert_eq!(silent, Observed::Silent);
        // Each pod has an attached NIC, so policies also apply between pods of one node.
        let (web, db) = (lab.workload("web"), ip(WEB[family]));
        assert_eq!(
            traffic::tcp(web, db, at(DB[family], 5432)),
            Observed::Silent
        );
    }
    assert!(counted(&lab, "nic0", "xdp", "policy") > 0);
    assert!(counted(&lab, "web", "xdp", "policy") > 0);
    assert_eq!(counted(&lab, "nic0", "xdp", "bridge-port"), 0);
    tally.assert(&lab);
}

/// A packet with TTL 1 goes to the network stack, which answers with time exceeded.
#[test]
#[ignore = "needs root and BPF"]
fn expired_ttl_is_answered_by_network_stack() {
    let lab = lab();
    Server::udp(lab.workload("db"), ip(DB[0]), 161).unwrap();
    let _daemon = start_router(&lab);
    let tally = Tally::begin(&lab);
    let send = |ttl: u32| {
        lab.outside.run(move || {
            let socket = std::net::UdpSocket::bind((ip(BACKUP[0]), 0)).unwrap();
            socket.set_ttl(ttl).unwrap();
            socket.connect(at(DB[0], 161)).unwrap();
            socket
                .set_read_timeout(Some(std::time::Duration::from_secs(1)))
                .unwrap();
            socket.send(b"hop").unwrap();
            socket.recv(&mut [0; 8]).map_err(|error| error.kind())
        })
    };
    assert!(
        (0..8).any(|_| send(64).is_ok()),
        "TTL 64 is enough for two hops"
    );
    assert_eq!(send(2), Ok(3), "TTL 2 arrives with TTL 1");
    let before = counted(&lab, "nic0", "tc", "related");
    assert!(send(1).is_err());
    let errors = counted(&lab, "nic0", "tc", "related") - before;
    assert_eq!(errors, 1, "one time exceeded, related to the flow");
    tally.assert(&lab);
}

/// With IPsec policies in the kernel, XDP leaves forwarding to the network stack, and `doctor`
/// reports it.
#[test]
#[ignore = "needs root and BPF"]
fn ipsec_policy_moves_forwarding_to_network_stack() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start_router(&lab);
    let backup = ip(BACKUP[0]);
    let connect = || traffic::tcp_connect(&lab.outside, backup, at(DB[0], 5432)).ok();
    let mut stream = (0..8).find_map(|_| connect()).expect("policy allows it");
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    let before = forwarded_by_stack(&lab);
    assert_eq!(traffic::tcp_transfer(&stream, 1 << 16), Observed::Allowed);
    assert_eq!(forwarded_by_stack(&lab), before, "XDP forwards");
    assert!(!doctor(&lab).contains("IPsec policy exists"));
    // The IPsec policy names unrelated addresses, so that it affects no packet of the test.
    lab.node
        .ip("xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out action block")
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(traffic::tcp_transfer(&stream, 1 << 16), Observed::Allowed);
    assert!(
        forwarded_by_stack(&lab) > before,
        "the network stack forwards"
    );
    assert!(
        doctor(&lab).contains("IPsec policy exists"),
        "{}",
        doctor(&lab)
    );
    lab.node.ip("xfrm policy flush").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let before = forwarded_by_stack(&lab);
    assert_eq!(traffic::tcp_transfer(&stream, 1 << 16), Observed::Allowed);
    assert_eq!(forwarded_by_stack(&lab), before, "XDP forwards again");
}

fn doctor(lab: &Lab) -> String {
    String::from_utf8(ask(lab, "doctor").stdout).unwrap()
}
