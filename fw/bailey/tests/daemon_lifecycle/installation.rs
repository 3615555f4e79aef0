//! The shipped systemd unit, and `bailey doctor`.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};

use bailey_lab::Lab;
use bailey_lab::daemon::{self, CONFIG};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::demo_lab::*;

/// The value of a key of the unit.
fn value(unit: &str, key: &str) -> String {
    let line = unit.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("{key}")).to_owned()
}

/// Asserts that systemd accepts the unit without a warning.
fn assert_verified(lab: &Lab, unit: &str) {
    let copy = lab.root().join("bailey.service");
    let here = binary().display().to_string();
    fs::write(&copy, unit.replace("/usr/bin/bailey", &here)).unwrap();
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(
        verified.status.success() && !stderr.contains("bailey.service"),
        "{stderr}"
    );
}

/// Runs the command of the unit with its capabilities only, and with this socket for notifications.
fn run_unit(lab: &Lab, unit: &str, socket: &Path) -> Child {
    let capabilities: Vec<String> = value(unit, "CapabilityBoundingSet=")
        .split_whitespace()
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    let config = lab.root().join(CONFIG).display().to_string();
    let arguments: Vec<String> = value(unit, "ExecStart=")
        .split_whitespace()
        .skip(1)
        .map(|argument| match argument {
            "/etc/bailey/bailey.toml" => config.clone(),
            other => other.to_owned(),
        })
        .collect();
    let socket = socket.to_owned();
    lab.node.run(move || {
        Command::new("setpriv")
            .arg(format!("--bounding-set=-all,{}", capabilities.join(",")))
            .args(["--no-new-privs", "--pdeathsig", "INT"])
            .arg(binary())
            .args(arguments)
            .env("NOTIFY_SOCKET", socket)
            .spawn()
            .unwrap()
    })
}

/// The shipped unit: its capabilities are enough, the daemon notifies readiness, and stopping the
/// unit leaves the programs attached.
#[test]
#[ignore = "needs root and BPF"]
fn shipped_systemd_unit_runs_daemon() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd/bailey.service");
    let unit = fs::read_to_string(path).unwrap();
    assert_eq!(value(&unit, "Type="), "notify");
    assert_eq!(
        value(&unit, "Before=").split_whitespace().next(),
        Some("network-pre.target")
    );
    assert!(
        !unit.contains("ExecStop"),
        "the unit must not detach when stopped"
    );
    let lab = lab();
    assert_verified(&lab, &unit);

    // The daemon notifies when it is ready.
    drop(start(&lab, ""));
    let socket = lab.root().join("notify");
    let notified = UnixDatagram::bind(&socket).unwrap();
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = run_unit(&lab, &unit, &socket);
    let mut buffer = [0; 256];
    let mut notification = || {
        let len = notified.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    assert!(notification().contains("READY=1"));
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
    assert_enforced(&lab);

    // A stopped daemon leaves the programs attached.
    let pid = Pid::from_raw(child.id() as i32);
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(notification().contains("STOPPING=1"));
    assert!(child.wait().unwrap().success());
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn doctor_grades_good_degraded_and_missing_setups() {
    let lab = lab();
    // A sysctl that is not optimal is degraded, with the command to change it.
    lab.node.sysctl("net.ipv4.tcp_syncookies", "1").unwrap();
    daemon::write_config(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    let output = ask(&lab, "doctor");
    assert_eq!(output.status.code(), Some(9));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("sysctl -w net.ipv4.tcp_syncookies=2"),
        "{text}"
    );
    lab.node.sysctl("net.ipv4.tcp_syncookies", "2").unwrap();
    // Configurations: exit code 0 = good, 9 = degraded, 10 = cannot run.
    for (top, code, expected) in [
        ("interfaces = [\"nic0\"]", 0, "native XDP configured"),
        (
            "interfaces = [\"nic0\"]\negress_hook = \"clsact\"",
            9,
            "egress_hook = \"auto\"",
        ),
        (
            "interfaces = [\"nic0\"]\nxdp_mode = \"generic\"",
            9,
            "xdp_mode = \"native\"",
        ),
        ("interfaces = [\"nope\"]", 10, "no such interface"),
        ("", 0, "no interfaces"),
    ] {
        daemon::write_config(lab.root(), top).unwrap();
        let output = ask(&lab, "doctor");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{top}: {text}");
        assert!(text.contains(expected), "{top}: {text}");
    }
    // An interface that is down is degraded, in JSON too.
    daemon::write_config(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    lab.node.ip("link set nic0 down").unwrap();
    let findings = ask(&lab, "doctor -o json");
    let json: serde_json::Value = serde_json::from_slice(&findings.stdout).unwrap();
    let down = json["findings"].as_array().unwrap().iter();
    let down =
        down.filter(|finding| finding["subject"] == "nic0" && finding["grade"] == "DEGRADED");
    assert_eq!(down.count(), 1, "{json}");
}
