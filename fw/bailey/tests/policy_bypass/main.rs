//! Known ways past policy, each tried with real packets.
#![cfg(target_os = "linux")]

/// Spoofed, shared, unknown and link-local addresses.
mod addresses;
#[path = "../demo_lab/mod.rs"]
mod demo_lab;
/// Packets that change between XDP and the egress hook.
mod forwarded;
/// States without a program or without policies.
mod protection;

use bailey_lab::{Daemon, Lab, daemon};
use demo_lab::*;

const NODE: [&str; 2] = ["203.0.113.1", "2001:db8:a::1"];

fn launch(lab: &Lab) -> Daemon {
    Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap()
}

fn start_on(lab: &Lab, interfaces: &[&str], extra: &str) -> Daemon {
    daemon::write_config(lab.root(), &format!("interfaces = {interfaces:?}\n{extra}")).unwrap();
    let mut daemon = launch(lab);
    for interface in interfaces {
        let line = format!("attached interface={interface:?}");
        daemon.wait_for(&line, PATIENCE).unwrap();
    }
    daemon
}
