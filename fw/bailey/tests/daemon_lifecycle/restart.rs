//! A daemon that stops, crashes or starts again finds its programs, its flows and its generation.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use bailey_datapath::testing::pinned_program;
use bailey_lab::Server;
use bailey_lab::traffic::{self, Observed};
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{attached, edit_config, pinned_links, pins_named, relaunch};

#[test]
#[ignore = "needs root and BPF"]
fn attached_programs_outlive_daemon_and_are_adopted() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        let mut daemon = if signal == Signal::SIGTERM {
            start(&lab, "")
        } else {
            let mut daemon = relaunch(&lab, &[]);
            daemon.wait_for("adopted", PATIENCE).unwrap();
            daemon
        };
        let mut stream =
            traffic::tcp_connect(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432)).unwrap();
        assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
        // The daemon ends: enforcement and connections continue, and status exits with 9.
        let (before, rules) = (attached(&lab), json(&lab, "rules"));
        daemon.signal(signal).unwrap();
        daemon.wait().unwrap();
        assert_enforced(&lab);
        assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
        let output = ask(&lab, "status");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(9), "{text}");
        assert!(
            text.starts_with("ENFORCING\n") && text.contains("none answers"),
            "{text}"
        );
        // The next daemon adopts programs, flows and counters.
        let mut again = relaunch(&lab, &[]);
        again.wait_for("adopted", PATIENCE).unwrap();
        assert_eq!(attached(&lab), before, "no program was attached again");
        assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
        assert_enforced(&lab);
        for (old, new) in std::iter::zip(
            rules["rules"].as_array().unwrap(),
            json(&lab, "rules")["rules"].as_array().unwrap(),
        ) {
            assert_eq!(old["rule"], new["rule"]);
            assert!(
                old["packets"].as_u64() <= new["packets"].as_u64(),
                "{old} {new}"
            );
        }
        again.signal(Signal::SIGTERM).unwrap();
        again.wait().unwrap();
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn restart_with_invalid_policies_keeps_active_generation() {
    let lab = lab();
    drop(start(&lab, ""));
    let good = fs::read_to_string(policies(&lab)).unwrap();
    fs::write(policies(&lab), "kind: NetworkPolicy\n").unwrap();
    let mut daemon = relaunch(&lab, &[]);
    daemon.wait_for("stays active", PATIENCE).unwrap();
    daemon.wait_for("adopted", PATIENCE).unwrap();
    assert_enforced(&lab);
    // The daemon runs, reports the error, and commits the next valid version.
    let mut status = ask(&lab, "status");
    for _ in 0..50 {
        if status.status.code() == Some(9)
            && String::from_utf8_lossy(&status.stdout).contains("PROBLEM: policy")
        {
            break;
        }
        sleep(Duration::from_millis(100));
        status = ask(&lab, "status");
    }
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("PROBLEM: policy"), "{text}");
    fs::write(policies(&lab), good).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn other_flow_table_size_is_refused_with_reason() {
    let lab = lab();
    drop(start(&lab, ""));
    edit_config(&lab, "flows = 4096", "flows = 8192");
    let mut daemon = relaunch(&lab, &[]);
    let line = daemon.wait_for("flow_tags", PATIENCE).unwrap();
    assert!(
        line.contains("8192 bytes per value, 16384 are needed; flow_table.flows")
            && line.contains("bailey detach --yes-unfiltered"),
        "{line}"
    );
    daemon
        .wait_for("the earlier generation stays active", PATIENCE)
        .unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(3));
    assert_enforced(&lab);
    edit_config(&lab, "flows = 8192", "flows = 4096");
    relaunch(&lab, &[]).wait_for("adopted", PATIENCE).unwrap();
}

#[test]
#[ignore = "needs root and BPF"]
fn lost_rule_id_file_only_resets_counts() {
    let lab = lab();
    let daemon = start(&lab, "");
    assert_enforced(&lab);
    drop(daemon);
    fs::remove_file(lab.root().join("state/rules.json")).unwrap();
    let mut daemon = relaunch(&lab, &[]);
    daemon.wait_for("count from zero", PATIENCE).unwrap();
    daemon.wait_for("adopted", PATIENCE).unwrap();
    let rules = json(&lab, "rules");
    let named = rules["rules"].as_array().unwrap().iter();
    let packets: u64 = named
        .filter(|rule| rule["id"].as_u64() >= Some(16))
        .map(|rule| rule["packets"].as_u64().unwrap())
        .sum();
    assert_eq!(packets, 0, "a rule has the counts of another rule: {rules}");
    assert_enforced(&lab);
}

/// Pins of one hook during a take-over: the program array of the old build, and the links with
/// their programs.
struct OldPins {
    array: PathBuf,
    links: Vec<(PathBuf, u32)>,
}

impl OldPins {
    fn of_hook(folder: &Path, hook: &str) -> Self {
        let old = Self {
            array: pins_named(folder, &format!("policies_{hook}-")).remove(0),
            links: pinned_links(folder, &format!("link_{hook}_")),
        };
        assert!(!old.links.is_empty());
        old
    }

    /// Whether a link holds its old program although the array's pin is gone: the kernel has
    /// emptied the array that the program uses.
    fn is_array_lost(&self) -> bool {
        // In this order: a pin does not return, and a link does not return to its old program.
        !self.array.exists()
            && self
                .links
                .iter()
                .any(|(link, program)| pinned_program(link).is_ok_and(|now| now == *program))
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn programs_of_other_build_are_replaced_in_place() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    drop(start(&lab, ""));
    let mut stream = traffic::tcp_connect(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432)).unwrap();
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    let before = attached(&lab);
    // Other constants make another build of the programs.
    edit_config(
        &lab,
        "[flow_table]",
        "[timeouts]\nudp_new = 31\n[flow_table]",
    );
    let folder = lab.root().join("bpf/bailey");
    let old = ["xdp", "tc"].map(|hook| OldPins::of_hook(&folder, hook));
    let is_done = AtomicBool::new(false);
    let _daemon = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                assert!(!old.iter().any(OldPins::is_array_lost), "an array is lost");
            }
        });
        let mut daemon = relaunch(&lab, &[]);
        daemon.wait_for("replaced", PATIENCE).unwrap();
        daemon.wait_for("adopted", PATIENCE).unwrap();
        is_done.store(true, Ordering::Relaxed);
        watch.join().unwrap();
        daemon
    });
    let after = attached(&lab);
    assert_ne!(before[0]["xdp_program"], after[0]["xdp_program"]);
    assert_ne!(before[0]["tc_program"], after[0]["tc_program"]);
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    assert_enforced(&lab);
    let pins = fs::read_dir(lab.root().join("bpf/bailey")).unwrap();
    let arrays = pins
        .filter(|pin| {
            let name = pin.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("policies_xdp")
        })
        .count();
    assert_eq!(arrays, 1, "the program arrays of the old build are removed");
}

#[test]
#[ignore = "needs root and BPF"]
fn changed_xdp_mode_is_applied_at_restart() {
    let lab = lab();
    drop(start(&lab, "xdp_mode = \"native\""));
    for (from, to) in [("native", "generic"), ("generic", "native")] {
        edit_config(&lab, &format!("\"{from}\""), &format!("\"{to}\""));
        let mut daemon = relaunch(&lab, &[]);
        let line = daemon.wait_for(ATTACHED, PATIENCE).unwrap();
        assert!(line.contains(to), "{line}");
        assert_eq!(attached(&lab)[0]["xdp_mode"], to);
        assert_enforced(&lab);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn stopped_daemon_does_not_block_readers() {
    let lab = lab();
    let daemon = start(&lab, "");
    wait_for_socket(&lab);
    daemon.signal(Signal::SIGSTOP).unwrap();
    let output = ask(&lab, "status");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("no response from the daemon"), "{stderr}");
    assert_eq!(output.status.code(), Some(9));
    assert_enforced(&lab);
    daemon.signal(Signal::SIGCONT).unwrap();
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
}

/// The test writes through a hard link elsewhere, so inotify reports no change, and the next rescan
/// is an hour away.
#[test]
#[ignore = "needs root and BPF"]
fn sighup_rereads_policy_files() {
    let lab = lab();
    let elsewhere = lab.root().join("elsewhere.yaml");
    fs::hard_link(policies(&lab), &elsewhere).unwrap();
    let mut daemon = start(&lab, "[watch]\nrescan_ms = 3600000");
    let text = fs::read_to_string(&elsewhere).unwrap();
    fs::write(&elsewhere, text.replace("role: backup", "role: nobody")).unwrap();
    sleep(Duration::from_secs(1));
    let committed = daemon.log().iter().filter(|l| l.contains(COMMITTED));
    assert_eq!(
        committed.count(),
        1,
        "the daemon has not noticed the change"
    );
    daemon.signal(Signal::SIGHUP).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
}
