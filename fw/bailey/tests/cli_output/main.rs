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
