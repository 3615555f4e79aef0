//! The egress hook of kernels without tcx: a tc filter, which is not held by a BPF link.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::process::Command;

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server};
use demo_lab::*;
use nix::sys::signal::Signal;

/// The filters at the NIC's egress hook that run programs.
fn filters(lab: &Lab) -> Vec<String> {
    let text = lab.node.run(|| {
        let output = Command::new("tc")
            .args(["filter", "show", "dev", "nic0", "egress"])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
    let ours = text.lines().filter(|line| line.contains("direct-action"));
    ours.map(str::to_owned).collect()
}

/// Replies to a workload's requests pass, because the filter has created their flow.
fn assert_replies(lab: &Lab) {
    for family in [0, 1] {
        let to = at(BACKUP[family], 53);
        let web = lab.workload("web");
        // The first try may fail: IPv6 may still check the address for duplicates.
        let mut tries = (0..5).map(|_| traffic::udp(web, ip(WEB[family]), to));
        assert!(
            tries.any(|seen| seen == Observed::Allowed),
            "family {family}"
        );
    }
}

fn filtered_lab() -> (Lab, Daemon) {
    let lab = lab();
    for family in [0, 1] {
        Server::udp(&lab.outside, ip(BACKUP[family]), 53).unwrap();
    }
    let daemon = start(&lab, "egress_hook = \"clsact\"");
    assert_enforced(&lab);
    assert_replies(&lab);
    (lab, daemon)
}

#[test]
#[ignore = "needs root and BPF"]
fn clsact_filter_outlives_daemon_and_is_detached() {
    let (lab, mut daemon) = filtered_lab();
    let first = filters(&lab);
    assert_eq!(first.len(), 1, "{first:?}");
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        daemon.signal(signal).unwrap();
        daemon.wait().unwrap();
        assert_enforced(&lab);
        assert_replies(&lab);
        daemon = Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap();
        daemon.wait_for("adopted: ", PATIENCE).unwrap();
        assert_eq!(filters(&lab), first, "the same program, once");
    }
    // Another process removes all filters: the daemon attaches its filter again.
    lab.node.command("tc", "qdisc del dev nic0 clsact").unwrap();
    daemon
        .wait_for(" INFO attached interface=", PATIENCE)
        .unwrap();
    assert_eq!(filters(&lab).len(), 1, "{:?}", daemon.log());
    assert_replies(&lab);
    let detached = ask(&lab, "detach --yes-unfiltered");
    assert!(detached.status.success(), "{detached:?}");
    assert_detached(&lab);
    assert!(filters(&lab).is_empty());
}

#[test]
#[ignore = "needs root and BPF"]
fn clsact_filter_is_replaced_by_another_build() {
    let upgrade = std::env::var("BAILEY_UPGRADE").expect("BAILEY_UPGRADE names another build");
    let (lab, mut daemon) = filtered_lab();
    let first = filters(&lab);
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let mut daemon = Daemon::launch(&lab.node, lab.root(), upgrade.as_ref(), &[]).unwrap();
    daemon.wait_for("replaced", PATIENCE).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    let second = filters(&lab);
    assert_eq!(second.len(), 1, "{second:?}");
    assert_ne!(first, second);
    assert_replies(&lab);
}
