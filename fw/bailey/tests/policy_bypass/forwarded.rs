//! Packets that the machine translates, decapsulates or forwards between XDP and the egress hook.

use bailey_datapath::kernel::netlink;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Namespace, Server, connect, sctp};
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{NODE, start_on};

/// The node translates one of its ports to a workload behind another NIC. XDP has admitted a packet
/// to the node, which is not isolated. The egress hook evaluates the workload's policy, and replies
/// to allowed clients match the flow.
#[test]
#[ignore = "needs root and BPF"]
fn dnat_port_is_evaluated_as_workload_traffic() {
    for masquerade in [false, true] {
        let lab = lab();
        Server::tcp(lab.workload("db"), 5432).unwrap();
        // nftables rules: DNAT for TCP, UDP and SCTP.
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
        // Servers, and masquerading in the second round.
        for address in DB {
            Server::udp(lab.workload("db"), ip(address), 5432).unwrap();
            sctp::serve(lab.workload("db"), ip(address), 5432).unwrap();
        }
        if masquerade {
            rules("add chain inet nodeport post { type nat hook postrouting priority 100 ; }");
            rules("add rule inet nodeport post oifname db masquerade");
        }
        // Policy decides by the original client, in every topology.
        for extra in ["", "tcp_strict = true", "topology = \"router\""] {
            let mut daemon = start_on(&lab, &["nic0", "db"], extra);
            for f in [0, 1] {
                let outside = &lab.outside;
                let tcp = |from: &str| traffic::tcp(outside, ip(from), at(NODE[f], 30432));
                let udp = |from: &str| traffic::udp(outside, ip(from), at(NODE[f], 30433));
                let sctp = |from: &str| sctp::connect(outside, ip(from), at(NODE[f], 30434));
                // After masquerading the source is the node, and the workload is not one of its
                // pods.
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

/// The machine decapsulates packets of a tunnel that came in through an attached NIC. The egress
/// hook evaluates the inner packets.
#[test]
#[ignore = "needs root and BPF"]
fn decapsulated_packets_are_evaluated_at_egress() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    for address in DB {
        Server::udp(lab.workload("db"), ip(address), 5432).unwrap();
    }
    // A VXLAN tunnel between the external host and the node, with a route to the workload.
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
    // Policy decides by the inner source.
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
    // The packets came through the tunnel.
    assert!(lab.node.frames("vx").unwrap().received > 0);
    assert_eq!(counted(&lab, "nic0", "xdp", "policy"), 0);
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
}

/// An interface of another network namespace may have the ifindex of an attached NIC. Its packets
/// come in through an interface without a program, so the egress hook must evaluate them.
#[test]
#[ignore = "needs root and BPF"]
fn packets_from_other_namespace_are_evaluated() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let (between, beyond) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    between.sysctl("net.ipv4.ip_forward", "1").unwrap();
    // A veth in the namespace between, with the ifindex of the NIC.
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
        "both interfaces have the same ifindex"
    );
    // Addresses and routes: beyond - between - node.
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
    // Policy decides by the source.
    let mut daemon = start_on(&lab, &["nic0", "db"], "");
    let way = |from: &str| traffic::tcp(&beyond, ip(from), at(DB[0], 5432));
    assert_eq!(way(STRANGER[0]), Observed::Silent);
    assert!(counted(&lab, "db", "tc", "policy") > 0);
    assert_eq!(way(BACKUP[0]), Observed::Allowed);
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
}

/// A packet forwarded between two attached NICs matches its flow at the egress hook and is counted
/// once.
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
    assert!(counted(&lab, "db", "tc", "evaluated") > 0);
    assert!(counted(&lab, "nic0", "tc", "evaluated") > 0);
    for hook in ["new", "flow"] {
        assert_eq!(
            counted(&lab, "db", "tc", hook),
            0,
            "evaluated at the XDP hook"
        );
    }
}
