//! The life of the daemon: it comes and goes, and what is attached goes on.
#![cfg(target_os = "linux")]

#[path = "../demo_lab/mod.rs"]
mod demo_lab;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use bailey_lab::daemon::{CONFIG, POLICIES};
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server, daemon};
use demo_lab::*;
use nix::sys::signal::Signal;

fn relaunch(lab: &Lab, arguments: &[&str]) -> Daemon {
    Daemon::launch(&lab.node, lab.root(), &binary(), arguments).unwrap()
}

fn edit_config(lab: &Lab, from: &str, to: &str) {
    let path = lab.root().join(CONFIG);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// It is there a moment after the programs are attached.
fn wait_for_socket(lab: &Lab) {
    let socket = lab.root().join("run/bailey.sock");
    for _ in 0..100 {
        if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("no control socket");
}

/// Ids of the programs on the NIC, and of the links that hold them.
fn attached(lab: &Lab) -> serde_json::Value {
    let status = json(lab, "status");
    status["interfaces"].clone()
}

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
        assert_eq!(traffic::tcp_talk(&mut stream), Observed::Allowed);
        let (before, rules) = (attached(&lab), json(&lab, "rules"));
        daemon.signal(signal).unwrap();
        daemon.wait().unwrap();
        assert_in_force(&lab);
        assert_eq!(traffic::tcp_talk(&mut stream), Observed::Allowed);
        let output = ask(&lab, "status");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(9), "{text}");
        assert!(
            text.starts_with("ENFORCING\n") && text.contains("none answers"),
            "{text}"
        );
        let mut again = relaunch(&lab, &[]);
        again.wait_for("adopted", PATIENCE).unwrap();
        assert_eq!(attached(&lab), before, "nothing was attached anew");
        assert_eq!(traffic::tcp_talk(&mut stream), Observed::Allowed);
        assert_in_force(&lab);
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

/// The commands of the README's section, with this lab's paths.
fn get_me_out_commands(lab: &Lab, pid: u32) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(readme).unwrap();
    let (_, section) = text.split_once("### Get me out").unwrap();
    let section = section.split("\n#").next().unwrap();
    let root = lab.root().display().to_string();
    let detach = format!("{} detach --config {root}/{CONFIG}", binary().display());
    section
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| {
            line.replace("sudo ", "")
                .replace("bailey detach", &detach)
                // There are other daemons on a machine that runs tests.
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
    // Without a daemon, with one, and with one that is stopped.
    for signal in [Some(Signal::SIGKILL), None, Some(Signal::SIGSTOP)] {
        for which in [0, 1] {
            let mut daemon = start(&lab, "");
            let commands = get_me_out_commands(&lab, daemon.pid());
            assert_eq!(commands.len(), 2, "{commands:?}");
            assert_eq!(open(), Observed::Silent);
            if let Some(signal) = signal {
                daemon.signal(signal).unwrap();
            }
            let refused = ask(&lab, "detach");
            assert_eq!(refused.status.code(), Some(2), "it must be meant");
            assert_eq!(open(), Observed::Silent);
            let command = commands[which].clone();
            let output = lab.node.run(move || {
                let mut shell = Command::new("sh");
                shell.args(["-c", &command]).output().unwrap()
            });
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            daemon.wait().unwrap();
            // The kernel lets go of a link a moment after its last pin and descriptor.
            let opened = (0..5).any(|_| open() == Observed::Allowed);
            assert!(opened, "{output:?}");
            assert_detached(&lab);
            assert_eq!(ask(&lab, "status").status.code(), Some(4));
            let again = ask(&lab, "detach --yes-unfiltered");
            assert_eq!(again.status.code(), Some(0));
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn second_daemon_on_same_pins_is_refused() {
    let lab = lab();
    let _daemon = start(&lab, "");
    let mut second = Daemon::start(&lab, &binary(), "").unwrap();
    second.wait_for("another bailey holds", PATIENCE).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1));
    assert_in_force(&lab);
    // With another run directory, but the same pins.
    edit_config(&lab, "/run\"", "/run2\"");
    let mut third = relaunch(&lab, &[]);
    let line = third.wait_for("another bailey holds", PATIENCE).unwrap();
    assert!(line.contains("bpf/bailey"), "{line}");
    assert_eq!(third.wait().unwrap().code(), Some(1));
    assert_in_force(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn restart_with_invalid_policies_keeps_active_generation() {
    let lab = lab();
    drop(start(&lab, ""));
    let good = fs::read_to_string(policies(&lab)).unwrap();
    fs::write(policies(&lab), "kind: NetworkPolicy\n").unwrap();
    let mut daemon = relaunch(&lab, &[]);
    daemon.wait_for("stays in force", PATIENCE).unwrap();
    daemon.wait_for("adopted", PATIENCE).unwrap();
    assert_in_force(&lab);
    // The daemon runs, says what is wrong, and takes the next good version.
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
    assert_in_force(&lab);
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
        line.contains("1024 entries, 2048 are needed; flow_table.flows")
            && line.contains("bailey detach --yes-unfiltered"),
        "{line}"
    );
    daemon
        .wait_for("what was in force before goes on", PATIENCE)
        .unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(3));
    assert_in_force(&lab);
    edit_config(&lab, "flows = 8192", "flows = 4096");
    relaunch(&lab, &[]).wait_for("adopted", PATIENCE).unwrap();
}

#[test]
#[ignore = "needs root and BPF"]
fn lost_rule_id_file_only_resets_counts() {
    let lab = lab();
    let daemon = start(&lab, "");
    assert_in_force(&lab);
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
    assert_eq!(packets, 0, "no rule has the counts of another: {rules}");
    assert_in_force(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn foreign_program_is_replaced_only_with_replace_option() {
    let lab = lab();
    drop(start(&lab, ""));
    // Another Bailey, with pins of its own, is as foreign as any other program.
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
    assert!(!lab.root().join("bpf/other").exists(), "nothing is left");
    assert_in_force(&lab);
    let mut third = relaunch(&lab, &["--replace"]);
    third.wait_for(ATTACHED, PATIENCE).unwrap();
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
    // The first one's egress program is still there, and knows none of the new flows.
    fs::write(lab.root().join("first.toml"), text).unwrap();
    let first = lab.root().join("first.toml");
    let output = lab.node.run(move || {
        Command::new(binary())
            .args(["detach", "--yes-unfiltered", "--config"])
            .arg(first)
            .output()
    });
    assert!(output.unwrap().status.success());
    assert_in_force(&lab);
}

/// The shipped unit: what it lets the daemon do is enough, it hears when the daemon is ready, and
/// stopping it leaves enforcement.
#[test]
#[ignore = "needs root and BPF"]
fn shipped_systemd_unit_runs_daemon() {
    use std::os::unix::net::UnixDatagram;
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd/bailey.service");
    let text = fs::read_to_string(unit).unwrap();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("{key}")).to_owned()
    };
    assert_eq!(value("Type="), "notify");
    assert_eq!(
        value("Before=").split_whitespace().next(),
        Some("network-pre.target")
    );
    assert!(!text.contains("ExecStop"), "stopping detaches nothing");
    let lab = lab();
    // systemd itself finds nothing wrong with it.
    let copy = lab.root().join("bailey.service");
    let here = binary().display().to_string();
    fs::write(&copy, text.replace("/usr/bin/bailey", &here)).unwrap();
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(
        verified.status.success() && !said.contains("bailey.service"),
        "{said}"
    );

    drop(start(&lab, ""));
    let socket = lab.root().join("notify");
    let notified = UnixDatagram::bind(&socket).unwrap();
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    let capabilities: Vec<String> = value("CapabilityBoundingSet=")
        .split_whitespace()
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    let arguments: Vec<String> = value("ExecStart=")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let config = lab.root().join(CONFIG);
    let mut child = lab.node.run(move || {
        Command::new("setpriv")
            .arg(format!("--bounding-set=-all,{}", capabilities.join(",")))
            .args(["--no-new-privs", "--pdeathsig", "INT"])
            .arg(binary())
            .args(
                arguments
                    .iter()
                    .skip(1)
                    .map(|argument| match argument.as_str() {
                        "/etc/bailey/bailey.toml" => config.display().to_string(),
                        other => other.to_owned(),
                    }),
            )
            .env("NOTIFY_SOCKET", socket)
            .spawn()
            .unwrap()
    });
    let mut buffer = [0; 256];
    let mut heard = || {
        let len = notified.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    assert!(heard().contains("READY=1"));
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
    assert_in_force(&lab);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id() as i32),
        Signal::SIGTERM,
    )
    .unwrap();
    assert!(heard().contains("STOPPING=1"));
    assert!(child.wait().unwrap().success());
    assert_in_force(&lab);
}

/// A policy for the address that the operator came in through: `run` and `check --live` name the rule
/// and the line that prevents it.
#[test]
#[ignore = "needs root and BPF"]
fn policy_that_blocks_ssh_session_is_warned() {
    let lab = lab();
    let me = "apiVersion: bailey.dev/v1\nkind: Workload\nmetadata: {name: me, namespace: shop}\n\
              spec: {addresses: [203.0.113.2]}\n";
    fs::write(lab.root().join(POLICIES).join("me.yaml"), me).unwrap();
    daemon::configure(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    let run = |arguments: Vec<String>, session: &'static str| {
        let config = lab.root().join(CONFIG);
        lab.node.run(move || {
            // The session is the parent's, as behind sudo.
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
    let expected = [
        "LOCK-OUT",
        "default-deny (shop/default-deny)",
        "198.51.100.9/32",
    ];
    let log = check("198.51.100.9 51000 203.0.113.2 22");
    assert!(expected.iter().all(|text| log.contains(text)), "{log}");
    let log = run(vec!["run".into()], "198.51.100.9 51000 203.0.113.2 22");
    assert!(expected.iter().all(|text| log.contains(text)), "{log}");
    let log = check("198.51.100.9 51000 203.0.113.77 22");
    assert!(!log.contains("SSH session"), "{log}");
    let top = "interfaces = [\"nic0\"]\n\
               failsafe = [{cidr = \"198.51.100.0/24\", port = 22}]";
    daemon::configure(lab.root(), top).unwrap();
    let log = check("198.51.100.9 51000 203.0.113.2 22");
    assert!(!log.contains("SSH session"), "{log}");
}

/// As `ip link set … xdp` and xdp-loader's old mode do it.
#[test]
#[ignore = "needs root and BPF"]
fn foreign_program_without_link_is_replaced() {
    let lab = lab();
    drop(start(&lab, ""));
    let program = attached(&lab)[0]["xdp_program"].to_string();
    let attach = program.clone();
    let output = lab.node.run(move || {
        Command::new("bpftool")
            .args(["net", "attach", "xdpdrv", "id", &attach, "dev", "web"])
            .output()
    });
    let output = output.expect("bpftool is installed");
    assert!(output.status.success(), "{output:?}");
    edit_config(
        &lab,
        "interfaces = [\"nic0\"]",
        "interfaces = [\"nic0\", \"web\"]",
    );
    let mut second = relaunch(&lab, &[]);
    let line = second.wait_for("is attached", PATIENCE).unwrap();
    assert!(line.contains(&format!("(id {program})")), "{line}");
    // What is attached elsewhere is tended all the same.
    wait_for_socket(&lab);
    let status = ask(&lab, "status");
    let text = String::from_utf8(status.stdout).unwrap();
    assert_eq!(status.status.code(), Some(9), "{text}");
    assert!(text.contains("PROBLEM: interface web"), "{text}");
    assert_in_force(&lab);
    drop(second);
    let mut third = relaunch(&lab, &["--replace"]);
    third
        .wait_for("attached interface=\"web\"", PATIENCE)
        .unwrap();
    assert_eq!(attached(&lab).as_array().unwrap().len(), 2);
    // No longer configured: off again.
    third.signal(Signal::SIGTERM).unwrap();
    third.wait().unwrap();
    edit_config(&lab, "[\"nic0\", \"web\"]", "[\"nic0\"]");
    let mut fourth = relaunch(&lab, &[]);
    fourth.wait_for("no longer configured", PATIENCE).unwrap();
    assert_eq!(attached(&lab).as_array().unwrap().len(), 1);
    assert_in_force(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn programs_of_other_build_are_replaced_in_place() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    drop(start(&lab, ""));
    let mut stream = traffic::tcp_connect(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432)).unwrap();
    assert_eq!(traffic::tcp_talk(&mut stream), Observed::Allowed);
    let before = attached(&lab);
    // Other constants are another build.
    edit_config(
        &lab,
        "[flow_table]",
        "[timeouts]\nudp_new = 31\n[flow_table]",
    );
    let mut daemon = relaunch(&lab, &[]);
    daemon.wait_for("replaced", PATIENCE).unwrap();
    daemon.wait_for("adopted", PATIENCE).unwrap();
    let after = attached(&lab);
    assert_ne!(before[0]["xdp_program"], after[0]["xdp_program"]);
    assert_ne!(before[0]["tc_program"], after[0]["tc_program"]);
    assert_eq!(traffic::tcp_talk(&mut stream), Observed::Allowed);
    assert_in_force(&lab);
    let pins = fs::read_dir(lab.root().join("bpf/bailey")).unwrap();
    let arrays = pins
        .filter(|pin| {
            let name = pin.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("policies_xdp")
        })
        .count();
    assert_eq!(arrays, 1, "those of the old build are gone");
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
        assert_in_force(&lab);
    }
}

/// Names mean nothing to the kernel: programs stay where they are, and counters go with the names.
#[test]
#[ignore = "needs root and BPF"]
fn interfaces_that_swap_names_stay_protected() {
    let lab = lab();
    daemon::configure(lab.root(), "interfaces = [\"nic0\", \"web\"]").unwrap();
    let mut daemon = relaunch(&lab, &[]);
    daemon
        .wait_for("attached interface=\"web\"", PATIENCE)
        .unwrap();
    wait_for_socket(&lab);
    let programs = |lab: &Lab| {
        let mut programs: Vec<String> = attached(lab)
            .as_array()
            .unwrap()
            .iter()
            .map(|interface| interface["xdp_program"].to_string())
            .collect();
        programs.sort();
        programs
    };
    let before = programs(&lab);
    lab.node.ip("link set nic0 down").unwrap();
    lab.node.ip("link set web down").unwrap();
    for step in ["nic0 name other", "web name nic0", "other name web"] {
        lab.node.ip(&format!("link set {step}")).unwrap();
    }
    let fine = |lab: &Lab| {
        let status = json(lab, "status");
        let interfaces = status["interfaces"].as_array().unwrap().clone();
        status["daemon"]["problems"].as_array().unwrap().is_empty()
            && interfaces.len() == 2
            && interfaces
                .iter()
                .all(|i| i["renamed_to"].is_null() && i["complete"] == true)
    };
    let settled = (0..100).any(|_| {
        sleep(Duration::from_millis(100));
        fine(&lab)
    });
    assert!(settled, "{}", json(&lab, "status"));
    assert_eq!(programs(&lab), before);
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
    assert_in_force(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn recreated_interface_is_attached_again() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    lab.node.ip("link set nic0 down").unwrap();
    daemon.wait_for("down interface=", PATIENCE).unwrap();
    lab.node.ip("link set nic0 name nic9").unwrap();
    daemon.wait_for("renamed", PATIENCE).unwrap();
    let text = String::from_utf8(ask(&lab, "status").stdout).unwrap();
    assert!(
        text.contains("nic0 (now nic9)") && text.contains("PROBLEM"),
        "{text}"
    );
    lab.node.ip("link set nic9 name nic0").unwrap();
    daemon.wait_for("all is well again", PATIENCE).unwrap();
    lab.node.ip("link set nic0 up").unwrap();
    daemon.wait_for("up interface=", PATIENCE).unwrap();
    lab.node.ip("link delete nic0").unwrap();
    daemon.wait_for("the interface is gone", PATIENCE).unwrap();
    lab.reconnect().unwrap();
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    assert_in_force(&lab);
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
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
    for f in [0, 1] {
        assert_eq!(
            from(STRANGER[f], f),
            Observed::Allowed,
            "{}",
            json(&lab, "counters")
        );
        assert_eq!(from(BACKUP[f], f), Observed::Silent, "only the peers named");
    }
    let stats = json(&lab, "conntrack list");
    assert_eq!(stats["flows"].as_array().unwrap().len(), 0, "without state");
    // An answer's port is no way in the other direction.
    let reverse = traffic::tcp(lab.workload("web"), ip(WEB[0]), at(STRANGER[0], 22));
    assert_eq!(reverse, Observed::Silent);
    // A policy set that denies everything to everybody.
    let text = fs::read_to_string(policies(&lab)).unwrap();
    fs::write(policies(&lab), text.replace("role: backup", "role: nobody")).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(from(STRANGER[0], 0), Observed::Allowed);
    // With no daemon, and with a generation that cannot be.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    assert_eq!(from(STRANGER[0], 0), Observed::Allowed);
    let counters = json(&lab, "counters");
    let rows = counters["counters"].as_array().unwrap();
    let counted = |hook: &str| {
        rows.iter()
            .any(|row| row["reason"] == "failsafe" && row["hook"] == hook)
    };
    assert!(counted("xdp") && counted("tc"), "both legs: {counters}");
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
    use std::os::unix::fs::PermissionsExt;
    let lab = lab();
    let mode = |lab: &Lab| {
        let metadata = fs::metadata(lab.root().join("run/bailey.sock")).unwrap();
        metadata.permissions().mode() & 0o777
    };
    let mut daemon = start(&lab, "[control]\ngroup = \"no-such-group\"");
    daemon
        .wait_for("no group \"no-such-group\"", PATIENCE)
        .unwrap();
    ask(&lab, "status");
    assert_eq!(mode(&lab), 0o600);
    drop(daemon);
    // A group that every system has.
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
    // A member may ask, a stranger may not.
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
    // What is no request of this API is answered, and ends nothing.
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
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
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
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
    assert!(stderr.contains("does not answer"), "{stderr}");
    assert_eq!(output.status.code(), Some(9));
    assert_in_force(&lab);
    daemon.signal(Signal::SIGCONT).unwrap();
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
}

/// Through another name of the file, so that nobody reports the change, and long before a rescan.
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
    assert_eq!(committed.count(), 1, "nobody has told the daemon yet");
    daemon.signal(Signal::SIGHUP).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
}

/// Does the NIC take VLAN tags off what it receives?
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
        assert_eq!(strips_tags(&lab), before, "as it was found");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn doctor_grades_good_degraded_and_missing_setups() {
    let lab = lab();
    lab.node.sysctl("net.ipv4.tcp_syncookies", "1").unwrap();
    daemon::configure(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    let output = ask(&lab, "doctor");
    assert_eq!(output.status.code(), Some(9));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("sysctl -w net.ipv4.tcp_syncookies=2"),
        "{text}"
    );
    lab.node.sysctl("net.ipv4.tcp_syncookies", "2").unwrap();
    for (top, code, told) in [
        ("interfaces = [\"nic0\"]", 0, "native XDP asked for"),
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
        ("interfaces = [\"nope\"]", 10, "there is no such interface"),
        ("", 0, "no interfaces"),
    ] {
        daemon::configure(lab.root(), top).unwrap();
        let output = ask(&lab, "doctor");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{top}: {text}");
        assert!(text.contains(told), "{top}: {text}");
    }
    daemon::configure(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    lab.node.ip("link set nic0 down").unwrap();
    let findings = ask(&lab, "doctor -o json");
    let json: serde_json::Value = serde_json::from_slice(&findings.stdout).unwrap();
    let down = json["findings"].as_array().unwrap().iter();
    let down =
        down.filter(|finding| finding["subject"] == "nic0" && finding["grade"] == "DEGRADED");
    assert_eq!(down.count(), 1, "{json}");
}
