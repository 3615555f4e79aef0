//! `bailey capture` beside known traffic: every frame with its verdict, and nothing left behind.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server};
use demo_lab::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running `bailey capture`.
struct Capture(Child, BufReader<std::process::ChildStderr>);

/// Starts a capture, and waits until the programs copy frames.
fn capture(lab: &Lab, options: &str) -> Capture {
    let (root, options) = (lab.root().to_owned(), options.to_owned());
    let mut child = lab.node.run(move || {
        Command::new(binary())
            .arg("capture")
            .args(options.split_whitespace())
            .args(["--config".into(), root.join("bailey.toml")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("capturing "), "{line}");
    assert_eq!(json(lab, "status")["capturing"], true);
    Capture(child, stderr)
}

impl Capture {
    /// Interrupts the capture; returns standard output and the last messages.
    fn stop(self) -> (String, String) {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGINT).unwrap();
        self.wait()
    }

    fn wait(mut self) -> (String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut pipe = self.0.stdout.take().unwrap();
        pipe.read_to_string(&mut stdout).unwrap();
        self.1.read_to_string(&mut stderr).unwrap();
        assert!(self.0.wait().unwrap().success(), "{stderr}");
        (stdout, stderr)
    }
}

/// Fields of the frames that a display filter of tshark selects.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(file)
        .args(["-Y", filter, "-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark is installed by setup-test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines();
    rows.map(|row| row.split('\t').map(str::to_owned).collect())
        .collect()
}

fn connect(lab: &Lab, from: &str) -> Observed {
    let family = usize::from(from.contains(':'));
    traffic::tcp(&lab.outside, ip(from), at(DB[family], 5432))
}

/// Packets of all reasons but those between neighbours, which come at any time.
fn all_packets(lab: &Lab) -> u64 {
    let counters = json(lab, "counters");
    let rows = counters["counters"].as_array().unwrap().iter();
    rows.filter(|row| !["arp", "nd"].contains(&row["reason"].as_str().unwrap()))
        .map(|row| row["packets"].as_u64().unwrap())
        .sum()
}

#[test]
#[ignore = "needs root and BPF"]
fn tshark_reads_every_frame_with_verdict() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    let file: PathBuf = lab.root().join("all.pcapng");
    let before = all_packets(&lab);
    let running = capture(&lab, &format!("-w {} --count 100000", file.display()));
    for family in [0, 1] {
        assert_eq!(connect(&lab, BACKUP[family]), Observed::Allowed);
        assert_eq!(connect(&lab, STRANGER[family]), Observed::Silent);
    }
    // An edit during the capture: later frames have the next revision.
    set_backup_permission(&lab, &mut daemon, false);
    assert_eq!(connect(&lab, BACKUP[0]), Observed::Silent);
    let (_, summary) = running.stop();
    assert!(summary.contains("; interrupted"), "{summary}");
    assert!(!summary.contains("missing"), "{summary}");

    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let others = tshark(
        &file,
        "not arp and not icmpv6.type in {133..137}",
        &["frame.number"],
    );
    // Frames that were read between the two counts are in neither.
    assert_eq!(others.len() as u64, all_packets(&lab) - before);

    let allowed = "frame.comment contains \"shop/db-backup\" and tcp.flags.syn == 1";
    let fields = [
        "frame.interface_name",
        "ip.src",
        "tcp.dstport",
        "frame.comment",
    ];
    let rows = tshark(&file, &format!("{allowed} and ip"), &fields);
    let opened = rows.iter().find(|row| row[1] == BACKUP[0]).unwrap();
    assert_eq!((&*opened[0], &*opened[2]), ("nic0", "5432"));
    assert!(
        opened[3].starts_with("nic0 ingress (XDP), PASS new, ")
            && opened[3].contains("allowed at the destination by shop/db-backup")
            && opened[3].ends_with(", revision 1"),
        "{}",
        opened[3]
    );
    let established = "tcp.len > 0 and frame.comment contains \"PASS flow\"";
    assert!(!tshark(&file, established, &fields).is_empty());
    let egress = "frame.comment contains \"nic0 egress (tc), PASS flow\" and tcp.srcport == 5432";
    assert!(!tshark(&file, egress, &fields).is_empty());
    let denied = "frame.comment contains \"DROP policy\" and tcp.flags.syn == 1";
    let denied = tshark(&file, denied, &["ip.src", "ipv6.src", "frame.comment"]);
    for source in [STRANGER[0], STRANGER[1], BACKUP[0]] {
        let of_source = |row: &&Vec<String>| row[..2].iter().any(|address| address == source);
        let row = denied.iter().find(of_source).expect(source);
        let revision = if source == BACKUP[0] { 2 } else { 1 };
        assert!(
            row[2].contains("denied at the destination by shop default-deny in")
                && row[2].ends_with(&format!(", revision {revision}")),
            "{}",
            row[2]
        );
    }
    let times = tshark(&file, "frame", &["frame.time_delta"]);
    let is_ordered = |row: &Vec<String>| row[0].parse::<f64>().is_ok_and(|delta| delta >= 0.0);
    assert!(times.iter().all(is_ordered), "{times:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn limits_and_filters_choose_the_lines() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    // Without the daemon too.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let running = capture(
        &lab,
        &format!(
            "--drops --count 2 --ip {} --not --protocol icmp",
            STRANGER[0]
        ),
    );
    assert_eq!(connect(&lab, BACKUP[0]), Observed::Allowed);
    let ping = traffic::ping(&lab.outside, ip(STRANGER[0]), ip(DB[0]));
    assert_eq!(ping, Observed::Silent);
    for _ in 0..3 {
        assert_eq!(connect(&lab, STRANGER[0]), Observed::Silent);
    }
    let (lines, summary) = running.wait();
    assert!(
        summary.starts_with("2 frames as lines; the number of --count"),
        "{summary}"
    );
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        assert!(
            line.contains(" nic0 ingress DROP policy TCP 198.51.100.20:"),
            "{line}"
        );
    }
    let (lines, summary) = capture(&lab, "--duration 1s --passed --port 1 -o json").wait();
    assert_eq!(lines, "");
    assert!(
        summary.starts_with("0 frames as lines; the time of --duration"),
        "{summary}"
    );
    let file = lab.root().join("small.pcapng");
    let running = capture(&lab, &format!("-w {} --size 1K", file.display()));
    assert_eq!(connect(&lab, BACKUP[0]), Observed::Allowed);
    let (_, summary) = running.wait();
    assert!(summary.contains("the size of --size"), "{summary}");
    let size = fs::metadata(&file).unwrap().len();
    assert!((1024..1024 + 600).contains(&size), "{size}");
}

/// A capture that cannot run.
fn refused(lab: &Lab, options: &str) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = ask(lab, &format!("capture {options}"));
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
#[ignore = "needs root and BPF"]
fn killed_capture_leaves_no_trace() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start(&lab, "");
    let mut running = capture(&lab, "--duration 1s");
    let (code, message) = refused(&lab, "");
    assert_eq!(code, Some(1), "{message}");
    let expected = format!("another bailey capture runs (pid {})", running.0.id());
    assert!(message.contains(&expected), "{message}");
    running.0.kill().unwrap();
    running.0.wait().unwrap();

    assert_eq!(connect(&lab, BACKUP[0]), Observed::Allowed);
    // The lock and the rings have ended with the process.
    let running = capture(&lab, "--count 1 --drops");
    assert_eq!(connect(&lab, STRANGER[0]), Observed::Silent);
    assert_eq!(running.wait().0.lines().count(), 1);
    assert_enforced(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn mistakes_are_explained_before_anything_is_copied() {
    let lab = lab();
    let _daemon = start(&lab, "");
    for (options, code, expected) in [
        (
            "-w /nonexistent/file.pcapng",
            1,
            "cannot write /nonexistent/file.pcapng",
        ),
        ("--count 0", 2, "0 is not in 1.."),
        ("--size 10X", 2, "as in 64M"),
        ("--duration 60", 2, "as in 2h"),
        ("--snaplen 70000", 2, "70000 is not in 1..=65000"),
        ("--drops --passed", 2, "cannot be used with"),
        ("--reason polcy", 2, "did you mean `policy`"),
        ("--ip 10.42.0.1/16", 2, "did you mean 10.42.0.0/16"),
        ("--not", 2, "--not reverses the filter behind it"),
    ] {
        let (found, message) = refused(&lab, options);
        assert_eq!(found, Some(code), "{options}: {message}");
        assert!(message.contains(expected), "{options}: {message}");
    }
}
