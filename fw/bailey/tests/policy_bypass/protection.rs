//! Moments and states in which a NIC could be without a program or without policies.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use bailey_lab::daemon::POLICIES;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Server, daemon};
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{NODE, launch};

/// A NIC is created again while packets arrive: at most 100 packets pass before the program is
/// attached.
#[test]
#[ignore = "needs root and BPF"]
fn recreated_nic_is_unprotected_only_briefly() {
    let lab = lab();
    // A socket stays in the network namespace in which it was created.
    let bind = |address: &'static str, port| move || UdpSocket::bind(at(address, port)).unwrap();
    let from = lab.outside.run(bind(STRANGER[0], 0));
    let to = lab.workload("db").run(bind(DB[0], 9));
    to.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    // One thread sends denied packets, another counts arrivals, while the NIC returns.
    let mut daemon = start(&lab, "");
    lab.node.ip("link delete nic0").unwrap();
    daemon.wait_for("interface disappeared", PATIENCE).unwrap();
    let stop = AtomicBool::new(false);
    // The threads also end if the daemon never attaches.
    let end = Instant::now() + PATIENCE + PATIENCE;
    let goes_on = || !stop.load(Ordering::Relaxed) && Instant::now() < end;
    let arrivals = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0_u32;
            while goes_on() {
                sent += u32::from(from.send_to(b"x", at(DB[0], 9)).is_ok());
                sleep(Duration::from_micros(200));
            }
            sent
        });
        let receiver = scope.spawn(|| {
            let mut arrivals = Vec::new();
            while goes_on() {
                if to.recv(&mut [0; 8]).is_ok() {
                    arrivals.push(Instant::now());
                }
            }
            arrivals
        });
        lab.reconnect().unwrap();
        daemon.wait_for(ATTACHED, PATIENCE).unwrap();
        sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        assert!(sender.join().unwrap() > 100, "packets were sent");
        receiver.join().unwrap()
    });
    // The interval between the first and the last arrival.
    let open = match (arrivals.first(), arrivals.last()) {
        (Some(first), Some(last)) => last.duration_since(*first),
        _ => Duration::ZERO,
    };
    println!("{} packets arrived within {open:?}", arrivals.len());
    assert!(arrivals.len() < 100, "{} arrived", arrivals.len());
    assert_enforced(&lab);
}

/// Without pins the attached programs would end with the daemon.
#[test]
#[ignore = "needs root and BPF"]
fn removed_pins_are_recreated() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    let status = json(&lab, "status");
    let pins = lab.root().join("bpf/bailey");
    assert!(pins.exists(), "{status}");
    fs::remove_dir_all(&pins).unwrap();
    daemon.wait_for("they are recreated", PATIENCE).unwrap();
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait_for("continue to enforce", PATIENCE).unwrap();
    daemon.wait().unwrap();
    assert_enforced(&lab);
}

/// Another user could replace pins in a directory with write permission for all.
#[test]
#[ignore = "needs root and BPF"]
fn world_writable_pin_directory_is_refused() {
    let lab = lab();
    daemon::write_config(lab.root(), "interfaces = [\"nic0\"]").unwrap();
    let pins = lab.root().join("bpf/bailey");
    fs::create_dir(&pins).unwrap();
    fs::set_permissions(&pins, fs::Permissions::from_mode(0o777)).unwrap();
    let mut refused = launch(&lab);
    refused.wait_for("chmod go-w", PATIENCE).unwrap();
    assert_ne!(refused.wait().unwrap().code(), Some(0));
    fs::set_permissions(&pins, fs::Permissions::from_mode(0o755)).unwrap();
    let _daemon = start(&lab, "");
    let mode = fs::metadata(&pins).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Lock files of editors, dangling links and `.git` are not policies.
#[test]
#[ignore = "needs root and BPF"]
fn hidden_files_are_ignored() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    let directory = lab.root().join(POLICIES);
    symlink("user@host.1:2", directory.join(".#policies.yaml")).unwrap();
    symlink("nowhere", directory.join("dangling.yaml")).unwrap();
    fs::create_dir(directory.join(".git")).unwrap();
    fs::write(directory.join(".git/a.yaml"), "{").unwrap();
    sleep(Duration::from_secs(3));
    set_backup_permission(&lab, &mut daemon, false);
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
}

/// `without_policy = "failsafe-only"`: with invalid files and no active generation only the
/// failsafe passes, until the files are corrected.
#[test]
#[ignore = "needs root and BPF"]
fn failsafe_only_start_drops_until_valid_policy() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let file = policies(&lab);
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, "kind: {").unwrap();
    daemon::write_config(
        lab.root(),
        "interfaces = [\"nic0\"]\n[boot]\nwithout_policy = \"failsafe-only\"",
    )
    .unwrap();
    let mut daemon = launch(&lab);
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    let reach = || traffic::tcp(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432));
    assert_eq!(reach(), Observed::Silent);
    assert!(counted(&lab, "nic0", "xdp", "no-policy") > 0);
    assert_eq!(ask(&lab, "status").status.code(), Some(9));
    fs::write(&file, good).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(reach(), Observed::Allowed);
}

/// A NIC that is created without a running daemon has no program. The guard then drops all IP
/// packets except those of the failsafe. The next start attaches the NIC, and `detach` removes the
/// guard.
#[test]
#[ignore = "needs root and BPF"]
fn guard_closes_nic_without_program() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    Server::tcp(lab.workload("db"), 2222).unwrap();
    let failsafe = "failsafe = [{ cidr = \"203.0.113.10/32\", port = 2222 }]";
    daemon::write_config(
        lab.root(),
        &format!("interfaces = [\"nic0\"]\nguard = \"nftables\"\n{failsafe}"),
    )
    .unwrap();
    // The guard does not affect an attached NIC.
    let reach = |port| traffic::tcp(&lab.outside, ip(BACKUP[0]), at(DB[0], port));
    let mut daemon = launch(&lab);
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    lab.wait_for_carrier();
    let assert_allowed_soon = || {
        wait_until("policy allows the connection", || {
            reach(5432) == Observed::Allowed
        })
    };
    assert_allowed_soon();
    assert_enforced(&lab);
    // Another process flushes nftables: the daemon creates the guard again.
    lab.node.command("nft", "flush ruleset").unwrap();
    daemon.wait_for("recreated it", PATIENCE).unwrap();
    // A dead daemon, then a new NIC: only the failsafe passes.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    assert_eq!(
        reach(5432),
        Observed::Allowed,
        "the attached programs go on"
    );
    lab.node.ip("link del nic0").unwrap();
    lab.reconnect().unwrap();
    lab.wait_for_carrier();
    assert_eq!(reach(5432), Observed::Silent, "the new NIC has no program");
    assert_eq!(
        traffic::ping(&lab.outside, ip(STRANGER[0]), ip(NODE[0])),
        Observed::Silent
    );
    assert_eq!(reach(2222), Observed::Allowed, "the failsafe");
    let status = ask(&lab, "status");
    let shown = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(status.status.code(), Some(9));
    assert!(
        shown.contains("guard") && !shown.contains("UNPROTECTED"),
        "{shown}"
    );
    // The next daemon attaches the NIC; detach removes program and guard.
    let mut daemon = launch(&lab);
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    lab.wait_for_carrier();
    assert_allowed_soon();
    ask(&lab, "detach --yes-unfiltered");
    assert_detached(&lab);
    assert_eq!(
        traffic::ping(&lab.outside, ip(STRANGER[0]), ip(DB[0])),
        Observed::Allowed,
        "everything passes"
    );
    let tables = lab.node.run(|| {
        let output = std::process::Command::new("nft")
            .args(["list", "tables"])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
    assert!(!tables.contains("bailey_guard"), "{tables}");
}
