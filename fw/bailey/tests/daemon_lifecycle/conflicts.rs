//! A start beside another daemon, beside a foreign XDP program, or in another network namespace.

use std::fs;
use std::process::Command;

use bailey_lab::Daemon;
use bailey_lab::daemon::CONFIG;
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{attached, edit_config, relaunch};

#[test]
#[ignore = "needs root and BPF"]
fn second_daemon_on_same_pins_is_refused() {
    let lab = lab();
    let _daemon = start(&lab, "");
    let mut second = Daemon::start(&lab, &binary(), "").unwrap();
    second.wait_for("another bailey holds", PATIENCE).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1));
    assert_enforced(&lab);
    // Another run directory, but the same pins.
    edit_config(&lab, "/run\"", "/run2\"");
    let mut third = relaunch(&lab, &[]);
    let line = third.wait_for("another bailey holds", PATIENCE).unwrap();
    assert!(line.contains("bpf/bailey"), "{line}");
    assert_eq!(third.wait().unwrap().code(), Some(1));
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn foreign_program_is_replaced_only_with_replace_option() {
    let lab = lab();
    drop(start(&lab, ""));
    // The program of a Bailey with other pins is as foreign as any other program.
    let text = fs::read_to_string(lab.root().join(CONFIG)).unwrap();
    let root = lab.root().display().to_string();
    let other = text
        .replace(&format!("{root}/bpf/bailey"), &format!("{root}/bpf/other"))
        .replace(&format!("{root}/run"), &format!("{root}/run2"))
        .replace(&format!("{root}/state"), &format!("{root}/state2"));
    fs::write(lab.root().join(CONFIG), other).unwrap();
    let mut second = relaunch(&lab, &[]);
    let line = second.wait_for("is attached", PATIENCE).unwrap();
    assert!(
        line.contains("\"entry_xdp\" (id ") && line.contains("--replace"),
        "{line}"
    );
    assert_eq!(second.wait().unwrap().code(), Some(1));
    assert!(!lab.root().join("bpf/other").exists(), "no pins are left");
    assert_enforced(&lab);
    // With --replace the second Bailey takes the interface.
    let mut third = relaunch(&lab, &["--replace"]);
    third.wait_for(ATTACHED, PATIENCE).unwrap();
    wait_until("the socket answers", || {
        ask(&lab, "status").status.code() == Some(0)
    });
    // The egress program of the first Bailey is still attached and does not know the new flows.
    fs::write(lab.root().join("first.toml"), text).unwrap();
    let first = lab.root().join("first.toml");
    let output = lab.node.run(move || {
        Command::new(binary())
            .args(["detach", "--yes-unfiltered", "--config"])
            .arg(first)
            .output()
    });
    assert!(output.unwrap().status.success());
    assert_enforced(&lab);
}

/// The foreign program is attached without a BPF link, as `ip link set … xdp` and old xdp-loader
/// do.
#[test]
#[ignore = "needs root and BPF"]
fn foreign_program_without_link_is_replaced() {
    let lab = lab();
    drop(start(&lab, ""));
    // Attach the program to another interface without a link.
    let program = attached(&lab)[0]["xdp_program"].to_string();
    let attach = program.clone();
    let output = lab.node.run(move || {
        Command::new("bpftool")
            .args(["net", "attach", "xdpdrv", "id", &attach, "dev", "web"])
            .output()
    });
    let output = output.expect("bpftool is installed");
    assert!(output.status.success(), "{output:?}");
    // Without --replace the daemon reports the foreign program.
    edit_config(
        &lab,
        "interfaces = [\"nic0\"]",
        "interfaces = [\"nic0\", \"web\"]",
    );
    let mut second = relaunch(&lab, &[]);
    let line = second.wait_for("is attached", PATIENCE).unwrap();
    assert!(line.contains(&format!("(id {program})")), "{line}");
    // The daemon still maintains the programs on other interfaces.
    wait_for_socket(&lab);
    let status = ask(&lab, "status");
    let text = String::from_utf8(status.stdout).unwrap();
    assert_eq!(status.status.code(), Some(9), "{text}");
    assert!(text.contains("PROBLEM: interface web"), "{text}");
    assert_enforced(&lab);
    // With --replace the daemon attaches its own.
    drop(second);
    let mut third = relaunch(&lab, &["--replace"]);
    third
        .wait_for("attached interface=\"web\"", PATIENCE)
        .unwrap();
    assert_eq!(attached(&lab).as_array().unwrap().len(), 2);
    // The daemon detaches from an interface that is no longer configured.
    third.signal(Signal::SIGTERM).unwrap();
    third.wait().unwrap();
    edit_config(&lab, "[\"nic0\", \"web\"]", "[\"nic0\"]");
    let mut fourth = relaunch(&lab, &[]);
    fourth.wait_for("no longer configured", PATIENCE).unwrap();
    assert_eq!(attached(&lab).as_array().unwrap().len(), 1);
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn pins_of_other_network_namespace_are_refused() {
    let lab = lab();
    drop(start(&lab, ""));
    let mut stray = Daemon::launch(&lab.outside, lab.root(), &binary(), &[]).unwrap();
    let line = stray
        .wait_for("another network namespace", PATIENCE)
        .unwrap();
    assert!(line.contains("net:["), "{line}");
    assert_eq!(stray.wait().unwrap().code(), Some(10));
    assert_enforced(&lab);
}
