//! `bailey explain` of a running datapath: flows, blocks, failsafe.

use std::collections::BTreeMap;
use std::fs;

use bailey_datapath::testing::{Elements, contents_of_pins};
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

/// Contents of all maps but those that the daemon's threads write at any time: the sweeper's time stamps and
/// events, and the totals that `rates` has seen.
fn maps(lab: &Lab) -> BTreeMap<String, Elements> {
    let mut maps = contents_of_pins(&lab.root().join("bpf/bailey")).unwrap();
    for name in ["control", "flow_keys-8", "rule_totals-8", "flow_events"] {
        assert!(maps.remove(name).is_some(), "{name}: {:?}", maps.keys());
    }
    assert!(maps.len() > 20, "{:?}", maps.keys());
    maps
}

#[test]
#[ignore = "needs root and BPF"]
fn explain_changes_no_map() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    limit_backup(&lab, "3/h burst 3");
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let _stream = connected(&lab);
    let mut tries = 0;
    loop {
        // Neighbours may send packets at any time.
        let before = maps(&lab);
        for from in [BACKUP[0], STRANGER[1], "pod:shop/web"] {
            let to = if from.contains(':') && !from.starts_with("pod") {
                DB[1]
            } else {
                DB[0]
            };
            let answer = ask(
                &lab,
                &format!("explain --from {from} --to {to} --port 5432"),
            );
            assert!(
                exit_code(&answer).is_some_and(|code| code <= 1),
                "{answer:?}"
            );
        }
        ask(&lab, &format!("explain --from {}", STRANGER[0]));
        let after = maps(&lab);
        if before == after {
            return;
        }
        tries += 1;
        let changed = |name: &&String| before[*name] != after[*name];
        assert!(
            tries < 20,
            "{:?}",
            before.keys().filter(changed).collect::<Vec<_>>()
        );
    }
}

/// Adds a rate limit to the policy that admits the backup machine.
fn limit_backup(lab: &Lab, limit: &str) {
    let text = fs::read_to_string(policies(lab)).unwrap();
    let name = "name: db-backup";
    assert!(text.contains(name), "{text}");
    let annotated = format!("annotations: {{bailey.dev/rate-limit: \"{limit}\"}}\n  {name}");
    fs::write(policies(lab), text.replace(name, &annotated)).unwrap();
}

#[test]
#[ignore = "needs root and BPF"]
fn explain_has_limits_and_active_policies() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    limit_backup(&lab, "3/h burst 3");
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let explain = |from: &str| {
        let verb = format!("explain --from {from} --to pod:shop/db --port 5432");
        let answer = ask(&lab, &verb);
        (exit_code(&answer), stdout(&answer))
    };
    for left in (0..3).rev() {
        let connect = traffic::tcp(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432));
        assert_eq!(connect, Observed::Allowed);
        let (code, text) = explain(BACKUP[0]);
        assert!(
            text.contains(&format!(
                ": {left} of 3 new connections left for all sources"
            )),
            "{text}"
        );
        assert_eq!(code, Some(i32::from(left == 0)), "{text}");
    }
    assert!(
        explain(BACKUP[0])
            .1
            .contains("LIMITED  shop/db-backup ingress[0]:")
    );
    // Without any policy the files are refused, so the active policies stay.
    fs::write(policies(&lab), "").unwrap();
    wait_until("the files differ", || {
        explain(STRANGER[0]).1.contains("ACTIVE")
    });
    let (code, text) = explain(STRANGER[0]);
    assert_eq!(code, Some(1), "{text}");
    let expected = "the active policies say DENY (egress not-isolated, ingress default-deny)";
    assert!(text.contains(expected), "{text}");
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
