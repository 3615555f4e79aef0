//! The first start: existing connections during the warm-up, and internal sources from external
//! interfaces.
#![cfg(target_os = "linux")]

mod demo_lab;

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server, daemon};
use demo_lab::*;

fn problems(lab: &Lab) -> String {
    String::from_utf8(ask(lab, "status").stdout).unwrap()
}

#[test]
#[ignore = "needs root and BPF"]
fn live_connections_survive_warm_up_then_policy_applies() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let connect =
        |from: &str| traffic::tcp_connect(&lab.outside, ip(from), at(DB[0], 5432)).unwrap();
    let (mut allowed, mut denied) = (connect(BACKUP[0]), connect(STRANGER[0]));
    for stream in [&mut allowed, &mut denied] {
        assert_eq!(traffic::tcp_echo(stream), Observed::Allowed);
    }
    // During the warm-up no connection is dropped.
    let mut daemon = start(&lab, "warm_up = 6");
    let tally = Tally::begin(&lab);
    assert!(
        problems(&lab).contains("policy only observes until"),
        "{}",
        problems(&lab)
    );
    for stream in [&mut allowed, &mut denied] {
        assert_eq!(
            traffic::tcp_echo(stream),
            Observed::Allowed,
            "nothing is dropped yet"
        );
    }
    daemon.wait_for("the warm-up has ended", PATIENCE).unwrap();
    // The last tick of the warm-up may still run.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!problems(&lab).contains("observes"), "{}", problems(&lab));
    assert_eq!(traffic::tcp_echo(&mut allowed), Observed::Allowed);
    assert_eq!(traffic::tcp_echo(&mut denied), Observed::Silent);
    assert_enforced(&lab);
    tally.assert(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn internal_source_from_external_interface_is_spoofed() {
    let lab = lab();
    Server::udp(lab.workload("db"), ip(DB[0]), 161).unwrap();
    // The external host uses an internal address.
    lab.outside
        .ip("address add 10.42.0.99/32 dev eth0")
        .unwrap();
    lab.node
        .ip("route add 10.42.0.99/32 via 203.0.113.10")
        .unwrap();
    let sources = "[sources]\nexternal = [\"nic0\"]\ninternal = [\"10.42.0.0/16\", \"fd42::/64\"]";
    let _daemon = start(&lab, sources);
    let tally = Tally::begin(&lab);
    let spoofed = traffic::udp(&lab.outside, ip("10.42.0.99"), at(DB[0], 161));
    assert_eq!(spoofed, Observed::Silent);
    let output = daemon::query(&lab.node, lab.root(), &binary(), "counters").unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("spoofed"), "{text}");
    let honest = traffic::udp(&lab.outside, ip(BACKUP[0]), at(DB[0], 161));
    assert_eq!(honest, Observed::Allowed);
    tally.assert(&lab);
}
