//! Detaching: the commands of the README, and the NIC settings that Bailey had changed.

use std::fs;
use std::path::Path;
use std::process::Command;

use bailey_lab::daemon::CONFIG;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server};
use nix::sys::signal::Signal;

use crate::demo_lab::*;

/// The detach commands of the README, with the paths of this lab.
fn readme_detach_commands(lab: &Lab, pid: u32) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(readme).unwrap();
    let (_, section) = text.split_once("### Detach Bailey").unwrap();
    let section = section.split("\n#").next().unwrap();
    let root = lab.root().display().to_string();
    let detach = format!("{} detach --config {root}/{CONFIG}", binary().display());
    section
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| {
            line.replace("sudo ", "")
                .replace("bailey detach", &detach)
                // Other daemons may run on a test machine: kill only this one.
                .replace("pkill -KILL -x bailey", &format!("kill -9 {pid}"))
                .replace("/sys/fs/bpf", &format!("{root}/bpf"))
        })
        .collect()
}

#[test]
#[ignore = "needs root and BPF"]
fn readme_detach_commands_remove_everything() {
    let lab = lab();
    Server::tcp(lab.workload("web"), 9090).unwrap();
    let open = || traffic::tcp(&lab.outside, ip(STRANGER[0]), at(WEB[0], 9090));
    // With a dead daemon, a running daemon, and a stopped daemon.
    for signal in [Some(Signal::SIGKILL), None, Some(Signal::SIGSTOP)] {
        for which in [0, 1] {
            let mut daemon = start(&lab, "");
            let commands = readme_detach_commands(&lab, daemon.pid());
            assert_eq!(commands.len(), 2, "{commands:?}");
            assert_eq!(open(), Observed::Silent);
            if let Some(signal) = signal {
                daemon.signal(signal).unwrap();
            }
            // Without --yes-unfiltered detach is refused.
            let refused = ask(&lab, "detach");
            assert_eq!(
                refused.status.code(),
                Some(2),
                "detach needs --yes-unfiltered"
            );
            assert_eq!(open(), Observed::Silent);
            // Run the command of the README.
            let command = commands[which].clone();
            let output = lab.node.run(move || {
                let mut shell = Command::new("sh");
                shell.args(["-c", &command]).output().unwrap()
            });
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            daemon.wait().unwrap();
            // The kernel detaches a moment after the last pin and descriptor of the link are
            // closed.
            let opened = (0..5).any(|_| open() == Observed::Allowed);
            assert!(opened, "{output:?}");
            assert_detached(&lab);
            assert_eq!(ask(&lab, "status").status.code(), Some(4));
            let again = ask(&lab, "detach --yes-unfiltered");
            assert_eq!(again.status.code(), Some(0));
        }
    }
}

/// Whether VLAN RX offload is active on the NIC.
fn strips_tags(lab: &Lab) -> bool {
    let features = lab.node.run(|| {
        let output = Command::new("ethtool").args(["-k", "nic0"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
    let line = features
        .lines()
        .find_map(|line| line.strip_prefix("rx-vlan-offload: "));
    line.unwrap().starts_with("on")
}

#[test]
#[ignore = "needs root and BPF"]
fn vlan_rx_offload_is_disabled_until_detach() {
    for before in [true, false] {
        let lab = lab();
        let set = if before { "on" } else { "off" };
        lab.node
            .command("ethtool", &format!("-K nic0 rxvlan {set}"))
            .unwrap();
        assert_eq!(strips_tags(&lab), before);
        let mut daemon = start(&lab, "[frames]\nvlan_zones = true");
        assert!(!strips_tags(&lab));
        daemon.signal(Signal::SIGKILL).unwrap();
        daemon.wait().unwrap();
        assert!(!strips_tags(&lab));
        let output = ask(&lab, "detach --yes-unfiltered");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            strips_tags(&lab),
            before,
            "detach restores the former setting"
        );
    }
}
