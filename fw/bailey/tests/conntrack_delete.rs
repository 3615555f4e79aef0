//! `bailey conntrack delete` and `flush` beside open connections.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::net::TcpStream;
use std::process::Output;

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server};
use demo_lab::*;
use serde_json::Value;

fn connected(lab: &Lab, family: usize) -> TcpStream {
    let (from, to) = (ip(BACKUP[family]), at(DB[family], 5432));
    let mut stream = traffic::tcp_connect(&lab.outside, from, to).unwrap();
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    stream
}

fn text(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Packets of the rule that allows the connections.
fn packets_of_rule(lab: &Lab) -> u64 {
    let rules = json(lab, "rules shop/db-backup");
    let rules = rules["rules"].as_array().unwrap().iter();
    let allowing = rules.filter(|rule: &&Value| rule["kind"] == "rule");
    allowing.map(|rule| rule["packets"].as_u64().unwrap()).sum()
}

#[test]
#[ignore = "needs root and BPF"]
fn deleted_flow_ends_at_its_next_packet() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    for family in [0, 1] {
        let mut stream = connected(&lab, family);
        let mut other = connected(&lab, family);
        let before = packets_of_rule(&lab);
        let port = stream.local_addr().unwrap().port();
        let (source, destination) = (BACKUP[family], DB[family]);
        let none = ask(
            &lab,
            &format!("conntrack delete --src {source} --dst {destination} --port 1"),
        );
        assert_eq!(none.status.code(), Some(1), "{}", text(&none));
        // Filters select by the initiator; both connections match.
        let ended = ask(
            &lab,
            &format!("conntrack delete --src {source} --dst {destination} --port 5432"),
        );
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));
        assert!(text(&ended).contains("2 flows ended"), "{}", text(&ended));
        let dropped = counted(&lab, "nic0", "xdp", "tcp-no-flow");
        assert_eq!(
            traffic::tcp_echo(&mut stream),
            Observed::Silent,
            "port {port}"
        );
        assert_eq!(traffic::tcp_echo(&mut other), Observed::Silent);
        assert!(counted(&lab, "nic0", "xdp", "tcp-no-flow") > dropped);
        // No packet of the rule is lost, and new connections come through.
        assert!(packets_of_rule(&lab) >= before);
        connected(&lab, family);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn flush_ends_all_flows() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let mut streams = [connected(&lab, 0), connected(&lab, 1)];
    let flushed = ask(&lab, "conntrack flush --yes");
    assert_eq!(flushed.status.code(), Some(0), "{}", text(&flushed));
    for stream in &mut streams {
        // An isolated endpoint's connection needs a SYN.
        assert_eq!(traffic::tcp_echo(stream), Observed::Silent);
    }
    connected(&lab, 0);
    wait_until("the sweeper frees ended flows", || {
        ask(&lab, "conntrack flush --yes");
        json(&lab, "conntrack list")["flows"]
            .as_array()
            .unwrap()
            .is_empty()
    });
    // No source keeps a live flow that has ended.
    assert_eq!(json(&lab, "status")["flow_table"]["live_flows"], 0);
    for verb in [
        "conntrack delete",
        "conntrack flush",
        "conntrack delete --rule shop/none",
    ] {
        let output = ask(&lab, verb);
        assert_eq!(output.status.code(), Some(2), "{verb}: {}", text(&output));
    }
}
