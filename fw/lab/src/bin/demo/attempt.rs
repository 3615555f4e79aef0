//! Attempts connections in the lab and compares the results with the expected ones.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use bailey_lab::{Lab, Namespace, Observed, traffic};
use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;

use crate::connections::{ATTEMPTS, Kind, NODE};

/// The namespace of the host with an address.
fn namespace<'a>(lab: &'a Lab, address: &str) -> &'a Namespace {
    match address {
        "10.42.0.11" | "fd42::11" => lab.workload("web"),
        "10.42.0.12" | "fd42::12" => lab.workload("db"),
        _ if NODE.contains(&address) => &lab.node,
        _ => &lab.outside,
    }
}

/// Attempts each connection in both families, prints the table, and returns the number of
/// unexpected results.
pub(crate) fn try_all(lab: &Lab, binary: &Path, policies: &Path, phase: usize) -> Result<usize> {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["", "CONNECTION", "EXPECTED", "OBSERVED", "DECIDED BY"]);
    let mut mismatches = 0;
    for attempt in ATTEMPTS {
        for family in [0, 1] {
            let (from, to) = (attempt.from[family], attempt.to[family]);
            let observed = observe(lab, from, to, attempt.kind)?;
            let expected = if attempt.allowed[phase] {
                Observed::Allowed
            } else {
                Observed::Silent
            };
            let as_expected = observed == expected;
            mismatches += usize::from(!as_expected);
            table.add_row([
                if as_expected {
                    "ok".to_owned()
                } else {
                    "WRONG".to_owned()
                },
                format!(
                    "{}: {from} -> {to} {}",
                    attempt.title,
                    display(attempt.kind)
                ),
                expected.to_string(),
                observed.to_string(),
                decided_by(binary, policies, from, to, attempt.kind)?,
            ]);
        }
    }
    println!("{table}");
    Ok(mismatches)
}

/// Attempts one connection.
pub(crate) fn observe(lab: &Lab, from: &str, to: &str, kind: Kind) -> Result<Observed> {
    let client = namespace(lab, from);
    let (from, to): (IpAddr, IpAddr) = (from.parse()?, to.parse()?);
    Ok(match kind {
        Kind::Tcp(port) => traffic::tcp(client, from, SocketAddr::new(to, port)),
        Kind::Udp(port) => traffic::udp(client, from, SocketAddr::new(to, port)),
        Kind::Ping => traffic::ping(client, from, to),
    })
}

fn display(kind: Kind) -> String {
    match kind {
        Kind::Tcp(port) => format!("TCP/{port}"),
        Kind::Udp(port) => format!("UDP/{port}"),
        Kind::Ping => "ICMP".to_owned(),
    }
}

/// The rules that decide the connection, according to `bailey explain` with the same files.
fn decided_by(binary: &Path, policies: &Path, from: &str, to: &str, kind: Kind) -> Result<String> {
    let mut command = Command::new(binary);
    command
        .arg("explain")
        .arg(policies)
        .args(["--from", from, "--to", to, "-o", "json"]);
    match kind {
        Kind::Tcp(port) => command.args(["--protocol", "TCP", "--port", &port.to_string()]),
        Kind::Udp(port) => command.args(["--protocol", "UDP", "--port", &port.to_string()]),
        Kind::Ping => command.args(["--protocol", "ICMP"]),
    };
    let output = command.output().context("cannot run bailey explain")?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let connection = &answer["connections"][0];

    // The rules of those sides whose verdict is the verdict of the connection.
    let mut deciders = Vec::new();
    for side in ["egress", "ingress"] {
        let decided = connection["verdict"] == connection[side]["verdict"];
        let rule = connection[side]["rule"].as_str().unwrap_or("?");
        if decided && rule != "not-isolated" {
            let label = if rule.contains('/') {
                rule.to_owned()
            } else {
                format!("{side} {rule}")
            };
            deciders.push(label);
        }
    }
    if deciders.is_empty() {
        deciders.push("not isolated".to_owned());
    }
    Ok(deciders.join(", "))
}
