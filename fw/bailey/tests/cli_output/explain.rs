//! `bailey explain` of a running datapath: flows, blocks, failsafe.

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server};
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{connected, exit_code, stdout};

/// With files, explain reports that blocks and flows are unknown.
fn assert_files_know_no_block(lab: &Lab) {
    let files = demo();
    let offline = ask(
        lab,
        &format!(
            "explain {} --from {} --to pod:shop/db --port 5432",
            files.display(),
            BACKUP[0]
        ),
    );
    assert_eq!(exit_code(&offline), Some(0), "files contain no block");
    assert!(
        stdout(&offline).contains("are not considered"),
        "{}",
        stdout(&offline)
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn explain_without_paths_uses_running_datapath() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(
        &lab,
        "failsafe = [{ cidr = \"203.0.113.77/32\", port = 5432 }]",
    );
    let _stream = connected(&lab);
    let explain = |from: &str| {
        ask(
            &lab,
            &format!("explain --from {from} --to pod:shop/db --port 5432"),
        )
    };
    // An open connection is reported as its flow.
    let open = explain(BACKUP[0]);
    assert_eq!(exit_code(&open), Some(0), "{}", stdout(&open));
    assert!(
        stdout(&open).contains("flow") && stdout(&open).contains("ESTABLISHED"),
        "{}",
        stdout(&open)
    );
    assert!(
        stdout(&open).contains("under the active policies")
            && stdout(&open).contains("PASS new TCP"),
        "{}",
        stdout(&open)
    );
    assert_eq!(exit_code(&explain(STRANGER[0])), Some(1));
    assert_denials_are_shown(&lab);
    // The failsafe takes precedence over policy, and a block over flow and policy.
    let saved = explain("203.0.113.77");
    assert_eq!(exit_code(&saved), Some(0), "{}", stdout(&saved));
    assert!(
        stdout(&saved).contains("passes regardless of policy"),
        "{}",
        stdout(&saved)
    );
    // The broadcast address of a subnet of the node is a group.
    let all = ask(
        &lab,
        "explain --from 203.0.113.10 --to 203.0.113.255 --port 9 --protocol udp",
    );
    assert!(stdout(&all).contains("deny   group"), "{}", stdout(&all));
    // A block denies, and status reports the block without a problem.
    ask(&lab, &format!("block {} --ttl 5m --reason scan", BACKUP[0]));
    let blocked = explain(BACKUP[0]);
    assert_eq!(exit_code(&blocked), Some(1), "{}", stdout(&blocked));
    assert!(
        stdout(&blocked).contains("BLOCKED") && stdout(&blocked).contains("scan"),
        "{}",
        stdout(&blocked)
    );
    let status = ask(&lab, "status");
    assert_eq!(exit_code(&status), Some(0), "a block is not a problem");
    assert!(
        stdout(&status).contains("BLOCKED") && stdout(&status).contains(BACKUP[0]),
        "{}",
        stdout(&status)
    );
    assert_eq!(json(&lab, "status")["blocks"], 1);
    assert_files_know_no_block(&lab);
    // Without a daemon the failsafe is unknown; the pinned block is known.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let dead = explain(BACKUP[0]);
    assert_eq!(exit_code(&dead), Some(1));
    assert!(
        stdout(&dead).contains("failsafe") && stdout(&dead).contains("unknown"),
        "{}",
        stdout(&dead)
    );
}

/// The packets of a source that was denied, and none of another.
fn assert_denials_are_shown(lab: &Lab) {
    let denied = traffic::tcp(&lab.outside, ip(STRANGER[0]), at(DB[0], 5432));
    assert_eq!(denied, Observed::Silent);
    let steps = ask(
        lab,
        &format!(
            "explain --from {} --to pod:shop/db --port 5432",
            STRANGER[0]
        ),
    );
    for step in [
        "flow     none",
        "failsafe no entry",
        "blocks   none",
        "flood    none",
        "DROP policy TCP",
    ] {
        assert!(stdout(&steps).contains(step), "{step}: {}", stdout(&steps));
    }
    let denials = ask(lab, &format!("explain --from {}", STRANGER[0]));
    assert_eq!(exit_code(&denials), Some(1));
    assert!(
        stdout(&denials).contains("-> shop/db:5432 SYN"),
        "{}",
        stdout(&denials)
    );
    let none = ask(lab, &format!("explain --from {}", BACKUP[0]));
    assert_eq!(exit_code(&none), Some(0), "{}", stdout(&none));
    let both = ask(lab, &format!("explain --from {} --port 80", STRANGER[0]));
    assert_eq!(exit_code(&both), Some(2));
}
