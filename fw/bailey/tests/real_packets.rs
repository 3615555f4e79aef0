//! `bailey run` in a lab: real packets, policy edits under open connections, invalid input, refused
//! starts.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::symlink;

use std::thread::sleep;
use std::time::Duration;

use bailey_lab::daemon::POLICIES;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server};

mod demo_lab;

use demo_lab::*;

#[test]
#[ignore = "needs root and BPF"]
fn allowed_traffic_passes_denied_is_dropped_all_counted() {
    let lab = lab();
    // Servers in the workloads and at the external host.
    Server::tcp(lab.workload("web"), 8080).unwrap();
    Server::tcp(lab.workload("web"), 9090).unwrap();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    for family in [0, 1] {
        Server::udp(lab.workload("db"), ip(DB[family]), 161).unwrap();
        Server::udp(&lab.outside, ip(BACKUP[family]), 53).unwrap();
    }
    Server::tcp(&lab.outside, 443).unwrap();
    let _daemon = start(&lab, "");
    let tally = Tally::begin(&lab);
    let (outside, web, db) = (&lab.outside, lab.workload("web"), lab.workload("db"));
    // Ingress to the workloads, for both families.
    for f in [0, 1] {
        let (backup, stranger) = (ip(BACKUP[f]), ip(STRANGER[f]));
        assert_eq!(
            traffic::tcp(outside, backup, at(WEB[f], 8080)),
            Observed::Allowed
        );
        assert_eq!(
            traffic::tcp(outside, stranger, at(WEB[f], 8080)),
            Observed::Silent
        );
        assert_eq!(
            traffic::tcp(outside, backup, at(WEB[f], 9090)),
            Observed::Silent
        );
        assert_eq!(
            traffic::tcp(outside, backup, at(DB[f], 5432)),
            Observed::Allowed
        );
        assert_eq!(
            traffic::udp(outside, backup, at(DB[f], 161)),
            Observed::Allowed
        );
        assert_eq!(
            traffic::udp(outside, stranger, at(DB[f], 161)),
            Observed::Silent
        );
        assert_eq!(traffic::ping(outside, backup, ip(DB[f])), Observed::Allowed);
        assert_eq!(
            traffic::ping(outside, stranger, ip(DB[f])),
            Observed::Silent
        );
        // Egress of the workloads: the reply needs no rule.
        assert_eq!(
            traffic::udp(web, ip(WEB[f]), at(BACKUP[f], 53)),
            Observed::Allowed
        );
        assert_eq!(
            traffic::udp(db, ip(DB[f]), at(BACKUP[f], 53)),
            Observed::Silent
        );
        assert_eq!(
            traffic::tcp(web, ip(WEB[f]), at(BACKUP[f], 443)),
            Observed::Silent
        );
        // No policy isolates the node itself.
        let node = ["203.0.113.1", "2001:db8:a::1"][f];
        assert_eq!(
            traffic::tcp(&lab.node, ip(node), at(BACKUP[f], 443)),
            Observed::Allowed
        );
        assert_eq!(traffic::ping(outside, backup, ip(node)), Observed::Allowed);
    }
    tally.assert(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn revoked_connection_ends_unless_mode_is_keep() {
    for (mode, survives) in [("revalidate", false), ("keep", true)] {
        let lab = lab();
        Server::tcp(lab.workload("db"), 5432).unwrap();
        let mut daemon = start(&lab, &format!("on_policy_change = \"{mode}\""));
        let mut streams: Vec<_> = [0, 1]
            .map(|f| traffic::tcp_connect(&lab.outside, ip(BACKUP[f]), at(DB[f], 5432)).unwrap())
            .into();
        for stream in &mut streams {
            assert_eq!(traffic::tcp_echo(stream), Observed::Allowed, "{mode}");
        }
        // Existing connections follow the mode; new connections follow the new policy.
        set_backup_permission(&lab, &mut daemon, false);
        let expected = if survives {
            Observed::Allowed
        } else {
            Observed::Silent
        };
        for stream in &mut streams {
            assert_eq!(traffic::tcp_echo(stream), expected, "{mode}");
        }
        for f in [0, 1] {
            let new = traffic::tcp(&lab.outside, ip(BACKUP[f]), at(DB[f], 5432));
            assert_eq!(
                new,
                Observed::Silent,
                "{mode}: new connections see the new policy"
            );
        }
        set_backup_permission(&lab, &mut daemon, true);
        let new = traffic::tcp(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432));
        assert_eq!(new, Observed::Allowed, "{mode}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn generic_xdp_mode_enforces_policy() {
    let lab = lab();
    let mut daemon = Daemon::start(&lab, &binary(), "xdp_mode = \"generic\"").unwrap();
    let line = daemon.wait_for("attached", PATIENCE).unwrap();
    assert!(line.contains("generic"), "{line}");
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn pin_directory_outside_bpffs_is_refused() {
    let lab = lab();
    let pins = lab.root().join("not-bpffs");
    fs::create_dir(&pins).unwrap();
    let config = lab.root().join("pins.toml");
    let root = lab.root().display();
    let text = format!(
        "interfaces = [\"nic0\"]\npolicies = [\"{root}/{POLICIES}\"]\n[paths]\n\
         pins = \"{root}/not-bpffs/bailey\"\nrun = \"{root}/run\"\nstate = \"{root}/state\"\n"
    );
    fs::write(&config, text).unwrap();
    let output = lab.node.run(move || {
        std::process::Command::new(binary())
            .args(["run", "--config"])
            .arg(config)
            .output()
            .unwrap()
    });
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{log}");
    assert!(
        log.contains(&format!("mount -t bpf -o mode=0700 bpf {}", pins.display())),
        "{log}"
    );
    assert_eq!(fs::read_dir(&pins).unwrap().count(), 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn invalid_edit_keeps_last_good_generation() {
    const KEPT: &str = "the last good generation stays";
    let lab = lab();
    let mut daemon = start(&lab, "");
    let good = fs::read_to_string(policies(&lab)).unwrap();
    let moved = lab.root().join("elsewhere");
    let directory = lab.root().join(POLICIES);

    // An invalid value.
    fs::write(policies(&lab), good.replace("port: http", "protocol: ICMP")).unwrap();
    let line = daemon.wait_for("Unsupported value", PATIENCE).unwrap();
    assert!(line.contains("policies.yaml:"), "{line}");
    daemon.wait_for(KEPT, PATIENCE).unwrap();
    assert_enforced(&lab);

    // No policies at all.
    fs::write(policies(&lab), "").unwrap();
    daemon.wait_for("no policies left", PATIENCE).unwrap();
    daemon.wait_for(KEPT, PATIENCE).unwrap();
    assert_enforced(&lab);

    // No directory.
    fs::rename(&directory, &moved).unwrap();
    daemon.wait_for("No such file", PATIENCE).unwrap();
    daemon.wait_for(KEPT, PATIENCE).unwrap();
    assert_enforced(&lab);

    // A valid edit.
    fs::write(
        moved.join("policies.yaml"),
        good.replace("role: backup", "role: nobody"),
    )
    .unwrap();
    fs::rename(&moved, &directory).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(
        traffic::ping(&lab.outside, ip(BACKUP[0]), ip(DB[0])),
        Observed::Silent
    );
}

/// As with `bailey run 2>&1 | tee log` when tee exits.
#[test]
#[ignore = "needs root and BPF"]
fn closed_log_pipe_does_not_end_enforcement() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    let good = fs::read_to_string(policies(&lab)).unwrap();
    daemon.close_log();
    for round in 0..3 {
        fs::write(policies(&lab), format!("kind: {round}")).unwrap();
        sleep(Duration::from_millis(700));
    }
    assert_enforced(&lab);
    fs::write(policies(&lab), good.replace("role: backup", "role: nobody")).unwrap();
    sleep(Duration::from_secs(1));
    assert_eq!(
        traffic::ping(&lab.outside, ip(BACKUP[0]), ip(DB[0])),
        Observed::Silent
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn half_written_file_is_never_enforced() {
    use std::io::Write;
    let lab = lab();
    let mut daemon = start(&lab, "");
    let text = fs::read_to_string(policies(&lab)).unwrap();
    // The first half ends between two documents: a valid file without the rule for the backup
    // machine.
    let half = text.find("# The backup machine").unwrap();
    let mut file = fs::File::create(policies(&lab)).unwrap();
    file.write_all(&text.as_bytes()[..half]).unwrap();
    file.sync_all().unwrap();
    sleep(Duration::from_secs(5));
    assert_enforced(&lab);
    let committed = daemon
        .log()
        .iter()
        .filter(|line| line.contains(COMMITTED))
        .count();
    assert_eq!(committed, 1, "only the first generation");
    file.write_all(&text.as_bytes()[half..]).unwrap();
    file.write_all(b"\n").unwrap();
    drop(file);
    sleep(Duration::from_secs(1));
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn mounted_configmap_swap_is_read_atomically() {
    let lab = Lab::new().unwrap();
    let mount = lab.root().join(POLICIES);
    let first = mount.join("..2026_01");
    fs::create_dir_all(&first).unwrap();
    for file in ["inventory.yaml", "policies.yaml"] {
        fs::copy(demo().join(file), first.join(file)).unwrap();
        symlink(format!("..data/{file}"), mount.join(file)).unwrap();
    }
    symlink("..2026_01", mount.join("..data")).unwrap();
    let mut daemon = start(&lab, "");
    assert_enforced(&lab);
    // As the kubelet updates a ConfigMap: a new directory, then one rename.
    let second = mount.join("..2026_02");
    fs::create_dir(&second).unwrap();
    for file in ["inventory.yaml", "policies.yaml"] {
        let text = fs::read_to_string(first.join(file)).unwrap();
        fs::write(
            second.join(file),
            text.replace("role: backup}", "role: nobody}"),
        )
        .unwrap();
    }
    symlink("..2026_02", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    fs::remove_dir_all(&first).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
}

#[test]
#[ignore = "needs root and BPF"]
fn invalid_policies_at_start_attach_nothing() {
    let lab = lab();
    fs::write(policies(&lab), "kind: NetworkPolicy\n").unwrap();
    let mut daemon = Daemon::start(&lab, &binary(), "").unwrap();
    daemon.wait_for("UNPROTECTED", PATIENCE).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(3));
    assert_detached(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn refused_interface_names_cause_and_setting() {
    let lab = lab();
    let refused = |interface: &str, expected: &[&str]| {
        let config = lab.root().join("refused.toml");
        let root = lab.root().display();
        let text = format!(
            "interfaces = [{interface}]\npolicies = [\"{root}/{POLICIES}\"]\n[paths]\n\
             pins = \"{root}/bpf/bailey\"\nrun = \"{root}/run\"\nstate = \"{root}/state\"\n"
        );
        fs::write(&config, text).unwrap();
        let output = lab.node.run(move || {
            let mut command = std::process::Command::new(binary());
            command
                .args(["run", "--config"])
                .arg(config)
                .output()
                .unwrap()
        });
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(10), "{log}");
        for text in expected.iter().chain(&["UNPROTECTED"]) {
            assert!(log.contains(text), "{text:?} is not in:\n{log}");
        }
        assert_detached(&lab);
    };
    // A missing interface, and one without native XDP.
    refused("\"nosuch0\"", &["interface nosuch0", "ip link"]);
    refused(
        "\"lo\"",
        &["interface lo", "no native XDP", "xdp_mode = \"generic\""],
    );
    // If one of two interfaces is refused, none is attached.
    refused("\"nic0\", \"lo\"", &["interface lo"]);
}
