//! Bonds and VLANs on bonds. Needs kernel modules: `make test-kernels` runs these tests.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use bailey_lab::bond_testbed::{BondTestbed, NODE, OUTSIDE};
use bailey_lab::daemon::{self, POLICIES};
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Server};
use demo_lab::{PATIENCE, at, binary, ip};

const POLICY: &str = "
apiVersion: bailey.dev/v1
kind: Workload
metadata: {name: node, namespace: rack}
spec: {addresses: [10.8.0.1, \"fd08::1\"]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: rack}
spec:
  podSelector: {}
  ingress:
  - ports: [{port: 80}]
";

fn start(lab: &BondTestbed, interfaces: &[&str]) -> Daemon {
    fs::create_dir_all(lab.root().join(POLICIES)).unwrap();
    fs::write(lab.root().join(POLICIES).join("p.yaml"), POLICY).unwrap();
    let top = format!("interfaces = {interfaces:?}\n[frames]\nvlan_zones = true");
    daemon::write_config(lab.root(), &top).unwrap();
    let mut daemon = Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap();
    for interface in interfaces {
        let line = format!("attached interface={interface:?}");
        daemon.wait_for(&line, PATIENCE).unwrap();
    }
    daemon
}

/// Asserts that policy is enforced in both directions, in the zone of the VLAN.
fn assert_enforced(lab: &BondTestbed) {
    lab.wait_for_carrier();
    for family in [0, 1] {
        let (node, outside) = (ip(NODE[family]), ip(OUTSIDE[family]));
        let tcp = |port| traffic::tcp(&lab.outside, outside, at(NODE[family], port));
        // LACP needs several seconds to negotiate.
        let tries: Vec<Observed> = (0..40)
            .map(|_| tcp(80))
            .take_while(|seen| *seen != Observed::Allowed)
            .collect();
        assert!(tries.len() < 40, "{tries:?}\n{}", lab.state());
        assert_ne!(tcp(81), Observed::Allowed);
        let ping = traffic::ping(&lab.outside, outside, node);
        assert_ne!(ping, Observed::Allowed);
        // Replies to the node's requests pass.
        let node_connects = || traffic::tcp(&lab.node, node, at(OUTSIDE[family], 443));
        assert!((0..10).any(|_| node_connects() == Observed::Allowed));
    }
}

fn bond(mode: &str, interfaces: &[&str]) {
    let lab = BondTestbed::new(mode).unwrap();
    Server::tcp(&lab.node, 80).unwrap();
    Server::tcp(&lab.node, 81).unwrap();
    Server::tcp(&lab.outside, 443).unwrap();
    let _daemon = start(&lab, interfaces);
    assert_enforced(&lab);
    // Fail-over: one cable goes down.
    lab.outside.ip("link set port0 down").unwrap();
    lab.node.ip("link set nic0 down").unwrap();
    sleep(Duration::from_secs(5));
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root, BPF, bonding and 8021q"]
fn policy_holds_on_active_backup_bond() {
    bond("active-backup", &["bond0"]);
}

#[test]
#[ignore = "needs root, BPF, bonding and 8021q"]
fn policy_holds_on_lacp_bond() {
    bond("802.3ad", &["bond0"]);
}

#[test]
#[ignore = "needs root, BPF, bonding and 8021q"]
fn policy_holds_on_lacp_bond_members() {
    bond("802.3ad", &["nic0", "nic1"]);
}

/// Packets of a bond may arrive through any member. A member that joins is therefore attached,
/// although the configuration does not list it.
#[test]
#[ignore = "needs root, BPF, bonding and 8021q"]
fn joining_bond_member_is_attached() {
    let lab = BondTestbed::new("active-backup").unwrap();
    Server::tcp(&lab.node, 80).unwrap();
    Server::tcp(&lab.node, 81).unwrap();
    Server::tcp(&lab.outside, 443).unwrap();
    lab.node.ip("link set nic1 nomaster").unwrap();
    let mut daemon = start(&lab, &["nic0"]);
    lab.node.ip("link set nic1 down").unwrap();
    lab.node.ip("link set nic1 master bond0").unwrap();
    daemon
        .wait_for("attached interface=\"nic1\"", PATIENCE)
        .unwrap();
    assert_enforced(&lab);
    // Only the new member carries traffic.
    lab.outside.ip("link set port0 down").unwrap();
    lab.node.ip("link set nic0 down").unwrap();
    sleep(Duration::from_secs(5));
    assert_enforced(&lab);
}
