//! Inputs that must not delay enforcement or answers: files that are written endlessly, invalid
//! files of rule ids, idle clients, object names that look like log lines, and alternative
//! interface names.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use bailey_lab::Lab;
use bailey_lab::daemon::{self, POLICIES};
use demo_lab::*;
use nix::sys::signal::Signal;

/// Appends to a policy file until dropped, and never closes the file before.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(lab: &Lab) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, path) = (
            Arc::clone(&stop),
            lab.root().join(POLICIES).join("slow.yaml"),
        );
        let thread = thread::spawn(move || {
            let mut options = OpenOptions::new();
            let mut file = options.create(true).append(true).open(path).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                writeln!(file, "# more").unwrap();
                sleep(Duration::from_millis(100));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

fn revoke(lab: &Lab) {
    let text = fs::read_to_string(policies(lab)).unwrap();
    fs::write(
        policies(lab),
        text.replace("{role: backup}", "{role: nobody}"),
    )
    .unwrap();
}

#[test]
#[ignore = "needs root and BPF"]
fn endless_file_write_delays_reload_until_timeout() {
    let lab = lab();
    let mut daemon = start(&lab, "[watch]\nwrite_timeout_ms = 4000");
    let writer = Writer::start(&lab);
    sleep(Duration::from_millis(500));
    let begun = Instant::now();
    revoke(&lab);
    wait_until("status names the file", || {
        let status = ask(&lab, "status");
        let text = String::from_utf8_lossy(&status.stdout).into_owned();
        status.status.code() == Some(9) && text.contains("slow.yaml is being written")
    });
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    drop(writer);
}

#[test]
#[ignore = "needs root and BPF"]
fn sighup_reloads_despite_open_writer() {
    let lab = lab();
    let mut daemon = start(&lab, "[watch]\nwrite_timeout_ms = 120000");
    let _writer = Writer::start(&lab);
    sleep(Duration::from_millis(500));
    revoke(&lab);
    daemon.signal(Signal::SIGHUP).unwrap();
    daemon.wait_for(COMMITTED, Duration::from_secs(20)).unwrap();
}

/// Rule ids on disk that exceed every map are ignored.
#[test]
#[ignore = "needs root and BPF"]
fn rule_ids_beyond_limits_are_ignored() {
    let lab = lab();
    fs::create_dir_all(lab.root().join("state")).unwrap();
    let rule = |id: u64| {
        format!(
            "{{\"id\":{id},\"kind\":\"rule\",\"direction\":\"ingress\",\"namespace\":\"a\",\
             \"name\":\"b\",\"index\":0}}"
        )
    };
    let text = format!(
        "{{\"schema_version\":3,\"rules\":[{}],\"retired\":[{}]}}",
        rule(16_777_300),
        rule(4_294_967_295)
    );
    fs::write(lab.root().join("state/rules.json"), text).unwrap();
    let _daemon = start(&lab, "");
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn idle_clients_do_not_block_status() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let socket = lab.root().join("run/bailey.sock");
    let idle: Vec<UnixStream> = (0..64)
        .map(|at| {
            let mut client = UnixStream::connect(&socket).unwrap();
            if at % 2 == 0 {
                client.write_all(b"GET /v1/sta").unwrap();
            }
            client
        })
        .collect();
    for _ in 0..5 {
        let begun = Instant::now();
        let status = ask(&lab, "status");
        let stderr = String::from_utf8_lossy(&status.stderr).into_owned();
        assert_eq!(status.status.code(), Some(0), "{stderr}");
        assert!(!stderr.contains("warning"), "the daemon answers: {stderr}");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    drop(idle);
}

/// An object name is untrusted text: newlines and escape sequences in it must not reach log or
/// terminal.
#[test]
#[ignore = "needs root and BPF"]
fn object_name_cannot_forge_log_lines() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    let forged = "2026-01-01T00:00:00.000000Z  INFO forged";
    let file = lab.root().join(POLICIES).join("name.yaml");
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{namespace: a, name: \"x\\n{forged}\\e[31m\"}}\n"
    );
    fs::write(file, text).unwrap();
    daemon.wait_for("stays active", PATIENCE).unwrap();
    let log = daemon.log();
    assert!(log.iter().any(|line| line.contains("forged")), "{log:?}");
    assert!(!log.iter().any(|line| line.starts_with(forged)), "{log:?}");
    assert!(!log.iter().any(|line| line.contains('\u{1b}')), "{log:?}");
    let status = ask(&lab, "status");
    let shown = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        !shown.lines().any(|line| line.starts_with(forged)),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'));
}

#[test]
#[ignore = "needs root and BPF"]
fn interface_altname_is_accepted_in_configuration() {
    let lab = lab();
    lab.node
        .ip("link property add dev nic0 altname a-name-of-more-than-fifteen-letters")
        .unwrap();
    let config = "interfaces = [\"a-name-of-more-than-fifteen-letters\"]";
    for expected in ["attached interface", "adopted: already attached"] {
        daemon::write_config(lab.root(), config).unwrap();
        let mut daemon = bailey_lab::Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap();
        daemon.wait_for(expected, PATIENCE).unwrap();
        sleep(Duration::from_secs(2));
        assert_eq!(ask(&lab, "status").status.code(), Some(0));
        assert_enforced(&lab);
    }
}
