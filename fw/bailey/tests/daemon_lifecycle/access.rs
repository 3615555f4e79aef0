//! The operator keeps access: lock-out warning, failsafe, control socket.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use bailey_lab::daemon::{CONFIG, POLICIES};
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server, daemon};
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{edit_config, relaunch};

/// A policy isolates the address of the operator's SSH session: `run` and `check --live` report the
/// rule that would block the session, and the failsafe line that prevents it.
#[test]
#[ignore = "needs root and BPF"]
fn policy_that_blocks_ssh_session_is_warned() {
    let lab = lab();
    let me = "apiVersion: bailey.dev/v1\nkind: Workload\nmetadata: {name: me, namespace: shop}\n\
              spec: {addresses: [203.0.113.2]}\n";
    fs::write(lab.root().join(POLICIES).join("me.yaml"), me).unwrap();
    daemon::write_config(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    let run = |arguments: Vec<String>, session: &'static str| {
        let config = lab.root().join(CONFIG);
        lab.node.run(move || {
            // Only the parent process has SSH_CONNECTION, as behind sudo.
            let command = format!(
                "env -u SSH_CONNECTION timeout 5 {} {} --config {}; true",
                binary().display(),
                arguments.join(" "),
                config.display()
            );
            let output = Command::new("sh")
                .args(["-c", &command])
                .env("SSH_CONNECTION", session)
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stderr).into_owned()
        })
    };
    let policies = lab.root().join(POLICIES).display().to_string();
    let check = |session| run(vec!["check --live".into(), policies.clone()], session);
    // A session with the isolated address: both verbs name the rule and the failsafe entry.
    let expected = [
        "LOCK-OUT",
        "default-deny (shop/default-deny)",
        "198.51.100.9/32",
    ];
    let log = check("198.51.100.9 51000 203.0.113.2 22");
    assert!(expected.iter().all(|text| log.contains(text)), "{log}");
    let log = run(vec!["run".into()], "198.51.100.9 51000 203.0.113.2 22");
    assert!(expected.iter().all(|text| log.contains(text)), "{log}");
    // No warning for a session with another address, or with a failsafe entry.
    let log = check("198.51.100.9 51000 203.0.113.77 22");
    assert!(!log.contains("SSH session"), "{log}");
    let top = "interfaces = [\"nic0\"]\n\
               failsafe = [{cidr = \"198.51.100.0/24\", port = 22}]";
    daemon::write_config(lab.root(), top).unwrap();
    let log = check("198.51.100.9 51000 203.0.113.2 22");
    assert!(!log.contains("SSH session"), "{log}");
}

#[test]
#[ignore = "needs root and BPF"]
fn failsafe_passes_despite_policy_and_dead_daemon() {
    let lab = lab();
    Server::tcp(lab.workload("web"), 22).unwrap();
    let failsafe = format!(
        "failsafe = [{{cidr = \"{}/32\", port = 22}}, {{cidr = \"{}/128\", port = 22}}]",
        STRANGER[0], STRANGER[1]
    );
    let mut daemon = start(&lab, &failsafe);
    let web = |f: usize| at(WEB[f], 22);
    let from = |address: &str, f: usize| traffic::tcp(&lab.outside, ip(address), web(f));
    // Only the configured peers pass, and without a flow.
    for f in [0, 1] {
        assert_eq!(
            from(STRANGER[f], f),
            Observed::Allowed,
            "{}",
            json(&lab, "counters")
        );
        assert_eq!(
            from(BACKUP[f], f),
            Observed::Silent,
            "only the configured peers"
        );
    }
    let stats = json(&lab, "conntrack list");
    assert_eq!(
        stats["flows"].as_array().unwrap().len(),
        0,
        "the failsafe creates no flow"
    );
    // The failsafe does not allow the reverse direction from the server's port.
    let reverse = traffic::tcp(lab.workload("web"), ip(WEB[0]), at(STRANGER[0], 22));
    assert_eq!(reverse, Observed::Silent);
    // A policy set that allows no peer.
    let text = fs::read_to_string(policies(&lab)).unwrap();
    fs::write(policies(&lab), text.replace("role: backup", "role: nobody")).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(from(STRANGER[0], 0), Observed::Allowed);
    // Without a daemon.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    assert_eq!(from(STRANGER[0], 0), Observed::Allowed);
    // Both directions are counted as failsafe.
    let counters = json(&lab, "counters");
    let rows = counters["counters"].as_array().unwrap();
    let counted = |hook: &str| {
        rows.iter()
            .any(|row| row["reason"] == "failsafe" && row["hook"] == hook)
    };
    assert!(
        counted("xdp") && counted("tc"),
        "both hooks count: {counters}"
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn run_without_failsafe_suggests_configuration_line() {
    let lab = lab();
    let mut daemon = Daemon::start(&lab, &binary(), "").unwrap();
    let line = daemon.wait_for("no failsafe", PATIENCE).unwrap();
    assert!(line.contains("failsafe = [{ cidr"), "{line}");
}

#[test]
#[ignore = "needs root and BPF"]
fn control_socket_is_restricted_to_group_or_root() {
    let lab = lab();
    let mode = |lab: &Lab| {
        let metadata = fs::metadata(lab.root().join("run/bailey.sock")).unwrap();
        metadata.permissions().mode() & 0o777
    };
    // A group that does not exist: only root may use the socket.
    let mut daemon = start(&lab, "[control]\ngroup = \"no-such-group\"");
    daemon
        .wait_for("no group \"no-such-group\"", PATIENCE)
        .unwrap();
    ask(&lab, "status");
    assert_eq!(mode(&lab), 0o600);
    drop(daemon);
    // A group that exists on every system.
    edit_config(&lab, "no-such-group", "daemon");
    let mut daemon = relaunch(&lab, &[]);
    daemon.wait_for("adopted", PATIENCE).unwrap();
    for _ in 0..50 {
        if lab.root().join("run/bailey.sock").exists() && mode(&lab) == 0o660 {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    assert_eq!(mode(&lab), 0o660);
    // A member of the group may query the daemon, another user may not.
    let copy = lab.root().join("bailey");
    fs::copy(binary(), &copy).unwrap();
    let config = lab.root().join(CONFIG);
    let group = nix::unistd::Group::from_name("daemon").unwrap().unwrap();
    for (gid, expected) in [(group.gid.as_raw(), 0), (65_534, 5)] {
        let (copy, config) = (copy.clone(), config.clone());
        let output = lab.node.run(move || {
            Command::new("setpriv")
                .args(["--reuid", "65534", "--clear-groups"])
                .arg(format!("--regid={gid}"))
                .arg(copy)
                .args(["status", "--config"])
                .arg(config)
                .output()
                .unwrap()
        });
        assert_eq!(output.status.code(), Some(expected), "{output:?}");
    }
    assert_requests_answered(&lab);
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
}

/// Invalid requests get an HTTP error and do not end the daemon.
fn assert_requests_answered(lab: &Lab) {
    let socket = lab.root().join("run/bailey.sock");
    for (request, expected) in [
        (
            "GET /nonsense HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "404",
        ),
        (
            "POST /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "405",
        ),
        ("\x01\x02\r\n\r\n", "400"),
        (
            "GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "200",
        ),
    ] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(expected), "{request:?}: {answer}");
    }
}
