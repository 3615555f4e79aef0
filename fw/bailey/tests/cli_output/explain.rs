//! `bailey explain` of a running datapath: flows, blocks, failsafe.

use bailey_lab::Server;
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{code, connected, out};

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
    let open = explain(BACKUP[0]);
    assert_eq!(code(&open), Some(0), "{}", out(&open));
    assert!(
        out(&open).contains("flow") && out(&open).contains("ESTABLISHED"),
        "{}",
        out(&open)
    );
    assert_eq!(code(&explain(STRANGER[0])), Some(1));
    // The failsafe comes before policy, and a block before both flow and policy.
    let saved = explain("203.0.113.77");
    assert_eq!(code(&saved), Some(0), "{}", out(&saved));
    assert!(
        out(&saved).contains("passes whatever else"),
        "{}",
        out(&saved)
    );
    // The node is in this subnet.
    let all = ask(
        &lab,
        "explain --from 203.0.113.10 --to 203.0.113.255 --port 9 --protocol udp",
    );
    assert!(out(&all).contains("deny   group"), "{}", out(&all));
    ask(&lab, &format!("block {} --ttl 5m --reason scan", BACKUP[0]));
    let blocked = explain(BACKUP[0]);
    assert_eq!(code(&blocked), Some(1), "{}", out(&blocked));
    assert!(
        out(&blocked).contains("BLOCKED") && out(&blocked).contains("scan"),
        "{}",
        out(&blocked)
    );
    let status = ask(&lab, "status");
    assert_eq!(code(&status), Some(0), "a block is no problem");
    assert!(
        out(&status).contains("BLOCKED") && out(&status).contains(BACKUP[0]),
        "{}",
        out(&status)
    );
    assert_eq!(json(&lab, "status")["blocks"], 1);
    // With files it says what it does not know.
    let files = demo();
    let offline = ask(
        &lab,
        &format!(
            "explain {} --from {} --to pod:shop/db --port 5432",
            files.display(),
            BACKUP[0]
        ),
    );
    assert_eq!(code(&offline), Some(0), "files know of no block");
    assert!(out(&offline).contains("are not known"), "{}", out(&offline));
    // Without a daemon the failsafe is not known, the block still is.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let dead = explain(BACKUP[0]);
    assert_eq!(code(&dead), Some(1));
    assert!(
        out(&dead).contains("failsafe") && out(&dead).contains("not known"),
        "{}",
        out(&dead)
    );
}
