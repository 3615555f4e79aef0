//! `make demo`: real policies decide real packets. Needs root; leaves nothing behind.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bailey_lab::daemon::POLICIES;
use bailey_lab::{Daemon, Lab, Namespace, Observed, Server, traffic};
use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;

const WEB: [&str; 2] = ["10.42.0.11", "fd42::11"];
const DB: [&str; 2] = ["10.42.0.12", "fd42::12"];
const BACKUP: [&str; 2] = ["203.0.113.10", "2001:db8:a::10"];
const STRANGER: [&str; 2] = ["198.51.100.20", "2001:db8:b::20"];
const NODE: [&str; 2] = ["203.0.113.1", "2001:db8:a::1"];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tcp(u16),
    Udp(u16),
    Ping,
}

/// A connection of the demo: what, from whom to whom, and whether it must work, before and after
/// the edit.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    what: &'static str,
    from: [&'static str; 2],
    to: [&'static str; 2],
    kind: Kind,
    allowed: [bool; 2],
}

const ATTEMPTS: [Attempt; 11] = [
    Attempt {
        what: "anyone to web",
        from: BACKUP,
        to: WEB,
        kind: Kind::Tcp(8080),
        allowed: [true, true],
    },
    Attempt {
        what: "excepted net to web",
        from: STRANGER,
        to: WEB,
        kind: Kind::Tcp(8080),
        allowed: [false, true],
    },
    Attempt {
        what: "anyone to web, other port",
        from: BACKUP,
        to: WEB,
        kind: Kind::Tcp(9090),
        allowed: [false, false],
    },
    Attempt {
        what: "backup to db",
        from: BACKUP,
        to: DB,
        kind: Kind::Tcp(5432),
        allowed: [true, false],
    },
    Attempt {
        what: "stranger to db",
        from: STRANGER,
        to: DB,
        kind: Kind::Tcp(5432),
        allowed: [false, false],
    },
    Attempt {
        what: "backup pings db",
        from: BACKUP,
        to: DB,
        kind: Kind::Ping,
        allowed: [true, false],
    },
    Attempt {
        what: "backup pings web",
        from: BACKUP,
        to: WEB,
        kind: Kind::Ping,
        allowed: [false, false],
    },
    Attempt {
        what: "web asks DNS outside",
        from: WEB,
        to: BACKUP,
        kind: Kind::Udp(53),
        allowed: [true, true],
    },
    Attempt {
        what: "web to outside, TCP",
        from: WEB,
        to: BACKUP,
        kind: Kind::Tcp(443),
        allowed: [false, false],
    },
    Attempt {
        what: "db to outside, TCP",
        from: DB,
        to: BACKUP,
        kind: Kind::Tcp(443),
        allowed: [false, false],
    },
    Attempt {
        what: "node to outside, TCP",
        from: NODE,
        to: BACKUP,
        kind: Kind::Tcp(443),
        allowed: [true, true],
    },
];

fn main() -> ExitCode {
    match demo() {
        Ok(0) => {
            say("every packet did what the policy says");
            ExitCode::SUCCESS
        }
        Ok(mismatches) => {
            eprintln!("{mismatches} connections did NOT behave as the policy says");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<usize> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [binary, examples] = &arguments[..] else {
        bail!("usage: bailey-demo BAILEY-BINARY DIRECTORY-WITH-POLICIES");
    };
    say("building a lab of network namespaces: an outside, a node, two pods behind it");
    let lab = Lab::new()?;
    let policies = lab.root().join(POLICIES);
    copy_policies(examples, &policies)?;
    serve(&lab)?;
    say("starting bailey on the node's NIC");
    let mut daemon = Daemon::start(&lab, binary, "")?;
    println!(
        "  {}",
        daemon.wait_for("generation committed", Duration::from_secs(20))?
    );
    println!(
        "  {}",
        daemon.wait_for("attached interface=", Duration::from_secs(20))?
    );
    let mut mismatches = try_all(&lab, binary, &policies, 0)?;

    say("editing policies.yaml: web now serves the excepted net, the db loses its backup");
    let file = policies.join("policies.yaml");
    let text = fs::read_to_string(&file)?;
    let edited = text
        .replace(", except: [198.51.100.0/24]", "")
        .replace(", except: [\"2001:db8:b::/64\"]", "")
        .replace("{role: backup}", "{role: nobody}");
    anyhow::ensure!(
        edited != text,
        "the policies of the demo have changed; edit it along"
    );
    fs::write(&file, edited)?;
    println!(
        "  {}",
        daemon.wait_for("generation committed", Duration::from_secs(20))?
    );
    mismatches += try_all(&lab, binary, &policies, 1)?;

    for (title, verb) in [
        ("what each rule did (bailey rules)", "rules"),
        ("the flow table (bailey conntrack list)", "conntrack list"),
        (
            "why packets passed or were dropped (bailey counters)",
            "counters",
        ),
    ] {
        say(title);
        print!("{}", daemon.ask(&lab, verb)?);
    }
    Ok(mismatches)
}

fn say(text: &str) {
    println!("\n==> {text}");
    let _ = io::stdout().flush();
}

fn copy_policies(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for name in ["inventory.yaml", "policies.yaml"] {
        fs::copy(from.join(name), to.join(name))
            .with_context(|| from.join(name).display().to_string())?;
    }
    Ok(())
}

/// Everyone listens on everything that is tried, so that only policy can keep it away.
fn serve(lab: &Lab) -> Result<()> {
    Server::tcp(lab.workload("web"), 8080)?;
    Server::tcp(lab.workload("web"), 9090)?;
    Server::tcp(lab.workload("db"), 5432)?;
    Server::tcp(&lab.outside, 443)?;
    for address in BACKUP {
        Server::udp(&lab.outside, address.parse()?, 53)?;
    }
    Ok(())
}

fn namespace<'a>(lab: &'a Lab, address: &str) -> &'a Namespace {
    match address {
        "10.42.0.11" | "fd42::11" => lab.workload("web"),
        "10.42.0.12" | "fd42::12" => lab.workload("db"),
        _ if NODE.contains(&address) => &lab.node,
        _ => &lab.outside,
    }
}

/// Tries every connection in both families, prints the table, and counts what was unexpected.
fn try_all(lab: &Lab, binary: &Path, policies: &Path, phase: usize) -> Result<usize> {
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
                format!("{}: {from} -> {to} {}", attempt.what, shown(attempt.kind)),
                expected.to_string(),
                observed.to_string(),
                decided_by(binary, policies, from, to, attempt.kind)?,
            ]);
        }
    }
    println!("{table}");
    Ok(mismatches)
}

fn observe(lab: &Lab, from: &str, to: &str, kind: Kind) -> Result<Observed> {
    let client = namespace(lab, from);
    let (from, to): (IpAddr, IpAddr) = (from.parse()?, to.parse()?);
    Ok(match kind {
        Kind::Tcp(port) => traffic::tcp(client, from, SocketAddr::new(to, port)),
        Kind::Udp(port) => traffic::udp(client, from, SocketAddr::new(to, port)),
        Kind::Ping => traffic::ping(client, from, to),
    })
}

fn shown(kind: Kind) -> String {
    match kind {
        Kind::Tcp(port) => format!("TCP/{port}"),
        Kind::Udp(port) => format!("UDP/{port}"),
        Kind::Ping => "ICMP".to_owned(),
    }
}

/// What `bailey explain` says decides, on the same files.
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
