//! Refused starts and missing capabilities: the message names the cause.

use std::fs;
use std::process::Command;

use bailey_lab::Daemon;
use bailey_lab::daemon::{self, CONFIG};
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{exit_code, stderr, stdout};

#[test]
#[ignore = "needs root and BPF"]
fn second_start_names_protecting_daemon() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    let pid = format!("pid {}", daemon.pid());
    // Same paths: the daemon is already running.
    let mut second = Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap();
    second.wait_for(&pid, PATIENCE).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1));
    // Other paths: the interface carries the program of another Bailey.
    let other = lab.root().join("other");
    fs::create_dir(&other).unwrap();
    let text = fs::read_to_string(lab.root().join(CONFIG)).unwrap();
    let text = text
        .replace("/bpf/bailey", "/bpf/other")
        .replace("/run\"", "/other/run\"");
    fs::write(
        other.join(CONFIG),
        text.replace("/state\"", "/other/state\""),
    )
    .unwrap();
    let mut third = Daemon::launch(&lab.node, &other, &binary(), &[]).unwrap();
    third.wait_for(&pid, PATIENCE).unwrap();
    assert_eq!(third.wait().unwrap().code(), Some(1));
    assert!(
        !third.log().iter().any(|line| line.contains("UNPROTECTED")),
        "{:?}",
        third.log()
    );
    let answer = daemon::query(&lab.node, &other, &binary(), "status").unwrap();
    assert_eq!(exit_code(&answer), Some(4));
    assert!(
        stderr(&answer).contains("protected by a bailey"),
        "{}",
        stderr(&answer)
    );
    // The daemon is dead: the programs still enforce.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let dead = ask(&lab, "status");
    assert_eq!(exit_code(&dead), Some(9), "enforcing, but without a daemon");
    assert!(stdout(&dead).starts_with("ENFORCING"), "{}", stdout(&dead));
    // Another process may remove the XDP program: the exit code of status must then report that.
    lab.node.ip("link set dev nic0 xdp off").ok();
    let off = ask(&lab, "status");
    if stdout(&off).contains("NOT ENFORCING") {
        assert_eq!(exit_code(&off), Some(9));
    }
    // Without pins status exits with 4.
    ask(&lab, "detach --yes-unfiltered");
    assert_eq!(exit_code(&ask(&lab, "status")), Some(4));
}

/// A caller without the capability to read maps gets exit code 5 and the name of that capability.
#[test]
#[ignore = "needs root and BPF"]
fn missing_capability_is_named() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let config = lab.root().join(CONFIG);
    for verb in [
        "status",
        "rules",
        "conntrack list",
        "counters",
        "blocks",
        "block 192.0.2.1 --ttl 5m",
    ] {
        let arguments = format!("{verb} --config {}", config.display());
        let output = lab.node.run(move || {
            Command::new("setpriv")
                .args(["--reuid=65534", "--clear-groups", "--inh-caps=-all"])
                .arg(binary())
                .args(arguments.split_whitespace())
                .output()
                .unwrap()
        });
        assert_eq!(exit_code(&output), Some(5), "{verb}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("CAP_"),
            "{verb}: {}",
            stderr(&output)
        );
    }
}
