//! Output and exit codes of the verbs, with and without a running daemon.
#![cfg(target_os = "linux")]

#[path = "../demo_lab/mod.rs"]
mod demo_lab;
/// `bailey explain` of a running datapath.
mod explain;
/// Formats, filters and sorting.
mod lists;
/// The commands of the README.
mod readme;
/// Refused starts and missing capabilities.
mod refusals;
/// `bailey rules`.
mod rules;

use std::process::Output;

use bailey_lab::Lab;
use bailey_lab::traffic::{self, Observed};
use demo_lab::*;

fn exit_code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An open connection from the backup machine to the database.
fn connected(lab: &Lab) -> std::net::TcpStream {
    let mut stream = traffic::tcp_connect(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432)).unwrap();
    assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
    stream
}

/// The archive has all parts, and with --redact no address or name of the lab.
#[test]
#[ignore = "needs root and BPF"]
fn bugreport_is_whole_and_redacted() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let denied = traffic::tcp(&lab.outside, ip(STRANGER[0]), at(DB[0], 5432));
    assert_eq!(denied, Observed::Silent);
    let report = |options: &str| {
        let path = lab.root().join(format!("report{}.tar", options.len()));
        let verb = format!("bugreport -o {} {options}", path.display());
        let output = ask(&lab, &verb);
        assert_eq!(exit_code(&output), Some(0), "{}", stdout(&output));
        assert_eq!(exit_code(&ask(&lab, &verb)), Some(1), "the file exists");
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    };
    let (open, redacted) = (report(""), report("--redact"));
    for part in [
        "status.json",
        "records.ndjson",
        "bailey.toml",
        "doctor.json",
        "log.txt",
    ] {
        assert!(open.contains(&format!("bailey-report/{part}")), "{part}");
        assert!(
            redacted.contains(&format!("bailey-report/{part}")),
            "{part}"
        );
    }
    for secret in [STRANGER[0], DB[0], "db-backup", "\"shop\""] {
        assert!(open.contains(secret), "{secret}");
        assert!(!redacted.contains(secret), "{secret}");
    }
    assert!(redacted.contains("\"reason\":\"policy\""));
}
