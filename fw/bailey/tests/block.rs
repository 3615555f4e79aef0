//! `block`, `unblock` and `blocks` on real connections, with and without a running daemon.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::fs;
use std::process::Output;
use std::thread::sleep;
use std::time::Duration;

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server, daemon};
use demo_lab::*;
use nix::sys::signal::Signal;

/// Runs a verb, asserts its exit code, and returns its output.
fn verb(lab: &Lab, verb: &str, code: i32) -> String {
    let output = ask(lab, verb);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(code), "{verb}: {text}");
    text
}

fn printed(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

#[test]
#[ignore = "needs root and BPF"]
fn block_drops_live_connection_and_expires_without_daemon() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    daemon::write_config(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    let text = verb(&lab, "block 192.0.2.1 --ttl 1h", 4);
    assert!(text.contains("error"), "nothing is loaded: {text}");
    // A block drops an open connection and new ones.
    let daemon = start(&lab, "");
    let tally = Tally::begin(&lab);
    let connect = || traffic::tcp_connect(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432)).unwrap();
    let mut stream = connect();
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    let text = verb(
        &lab,
        "block 203.0.113.10 2001:db8:a::/64 --ttl 1h --reason scan",
        0,
    );
    assert!(text.contains("203.0.113.10 blocked for 1h 0m"), "{text}");
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Silent);
    assert_eq!(
        traffic::ping(&lab.outside, ip(BACKUP[1]), ip(DB[1])),
        Observed::Silent
    );
    let text = verb(&lab, "blocks", 0);
    assert!(
        text.contains("2001:db8:a::/64") && text.contains("scan"),
        "{text}"
    );
    assert_eq!(json(&lab, "blocks")["blocks"].as_array().unwrap().len(), 2);
    // An unblocked address connects again.
    verb(&lab, "unblock 203.0.113.10", 0);
    assert_eq!(
        verb(&lab, "unblock 203.0.113.10", 1),
        "not blocked: 203.0.113.10\n"
    );
    let mut stream = connect();
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    // The daemon is dead: the verbs still work, and blocks still expire.
    daemon.signal(Signal::SIGKILL).unwrap();
    verb(&lab, "block 203.0.113.10 --ttl 3s", 0);
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Silent);
    sleep(Duration::from_secs(3));
    let mut stream = connect();
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    // A new daemon finds the blocks, and its commits do not remove them.
    let mut daemon = Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap();
    daemon.wait_for("adopted: ", PATIENCE).unwrap();
    set_backup_permission(&lab, &mut daemon, false);
    set_backup_permission(&lab, &mut daemon, true);
    assert_eq!(verb(&lab, "blocks", 0).lines().count(), 2);
    let blocked = traffic::ping(&lab.outside, ip(BACKUP[1]), ip(DB[1]));
    assert_eq!(blocked, Observed::Silent);
    verb(&lab, "unblock --all", 0);
    assert_eq!(
        traffic::ping(&lab.outside, ip(BACKUP[1]), ip(DB[1])),
        Observed::Allowed
    );
    assert_eq!(verb(&lab, "blocks", 0), "no address is blocked\n");
    tally.assert(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn invalid_block_is_reported_and_changes_nothing() {
    let lab = lab();
    let _daemon = start(&lab, "failsafe = [{ cidr = \"192.0.2.0/24\", port = 22 }]");
    for (arguments, code, expected) in [
        (
            "block 192.0.2.300 --ttl 1h",
            2,
            "neither an address nor a prefix",
        ),
        (
            "block 192.0.2.1/24 --ttl 1h",
            2,
            "did you mean 192.0.2.0/24?",
        ),
        ("block 192.0.2.1 10.0.0.x --ttl 1h", 2, "10.0.0.x"),
        ("block 192.0.2.1", 2, "--ttl"),
        ("block 192.0.2.1 --ttl 0s", 2, "at least 1s"),
        ("block --ttl 1h", 2, "required"),
        ("unblock", 2, "required"),
    ] {
        let text = verb(&lab, arguments, code);
        assert!(text.contains(expected), "{arguments}: {text}");
    }
    // An error in a list names its line, and blocks no address.
    let list = lab.root().join("list");
    fs::write(&list, "# scanners\n198.51.100.7\n\n198.51.100.256 # typo\n").unwrap();
    let text = verb(
        &lab,
        &format!("block --file {} --ttl 1h", list.display()),
        2,
    );
    assert!(text.contains("list:4: \"198.51.100.256\""), "{text}");
    fs::write(&list, "# nothing\n").unwrap();
    verb(
        &lab,
        &format!("block --file {} --ttl 1h", list.display()),
        2,
    );
    assert_eq!(verb(&lab, "blocks", 0), "no address is blocked\n");
    fs::write(&list, "198.51.100.7 # again\n198.51.100.8\n").unwrap();
    verb(
        &lab,
        &format!("block --file {} --ttl 1h", list.display()),
        0,
    );
    assert_eq!(verb(&lab, "blocks", 0).lines().count(), 3);
}

/// A block that contains the caller's SSH peer needs `--even-myself`, unless the failsafe passes
/// that peer.
#[test]
#[ignore = "needs root and BPF"]
fn block_of_callers_ssh_session_is_refused() {
    let lab = lab();
    let _daemon = start(&lab, "failsafe = [{ cidr = \"192.0.2.0/24\", port = 22 }]");
    let as_session = |session: &str, arguments: &str| {
        let (session, arguments) = (session.to_owned(), arguments.to_owned());
        let config = lab.root().join(daemon::CONFIG);
        lab.node.run(move || {
            std::process::Command::new(binary())
                .args(arguments.split_whitespace())
                .arg("--config")
                .arg(config)
                .env("SSH_CONNECTION", session)
                .output()
                .unwrap()
        })
    };
    // The block would contain the SSH peer.
    let session = "198.51.100.20 51000 203.0.113.1 22";
    let refused = as_session(session, "block 198.51.100.0/24 --ttl 1h");
    assert_eq!(refused.status.code(), Some(6), "{}", printed(&refused));
    assert!(
        printed(&refused).contains("--even-myself"),
        "{}",
        printed(&refused)
    );
    assert_eq!(verb(&lab, "blocks", 0), "no address is blocked\n");
    // Accepted: another prefix, --even-myself, or a peer of the failsafe.
    for (session, arguments) in [
        (session, "block 198.51.101.0/24 --ttl 1h"),
        (session, "block 198.51.100.0/24 --ttl 1h --even-myself"),
        (
            "192.0.2.7 51000 203.0.113.1 22",
            "block 192.0.2.0/24 --ttl 1h",
        ),
    ] {
        let done = as_session(session, arguments);
        assert!(done.status.success(), "{}", printed(&done));
    }
}
