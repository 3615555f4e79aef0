//! `make demo`: shows how policies decide real packets. Needs root; leaves nothing on the machine.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bailey_lab::daemon::POLICIES;
use bailey_lab::{Daemon, Lab, Server};

use connections::BACKUP;

/// Attempts connections and compares the results.
mod attempt;
/// The connections that the demo attempts.
mod connections;
/// The console at the end.
mod console;

fn main() -> ExitCode {
    match demo() {
        Ok(0) => {
            say("all connections behaved as the policies say");
            ExitCode::SUCCESS
        }
        Ok(mismatches) => {
            eprintln!("{mismatches} connections did NOT behave as the policies say");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo and returns the number of connections with an unexpected result.
fn demo() -> Result<usize> {
    let mut arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let is_without_console = arguments.last().is_some_and(|last| last == "--no-tui");
    arguments.truncate(arguments.len() - usize::from(is_without_console));
    let [binary, examples] = &arguments[..] else {
        bail!("usage: bailey-demo BAILEY-BINARY DIRECTORY-WITH-POLICIES [--no-tui]");
    };

    say("building a lab of network namespaces: external hosts, a node, two pods behind it");
    let lab = Lab::new()?;
    let policies = lab.root().join(POLICIES);
    copy_policies(examples, &policies)?;
    start_servers(&lab)?;

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
    let mut mismatches = attempt::try_all(&lab, binary, &policies, 0)?;

    say("editing policies.yaml: web now serves the excluded network, db loses its backup");
    let file = policies.join("policies.yaml");
    let text = fs::read_to_string(&file)?;
    let edited = text
        .replace(", except: [198.51.100.0/24]", "")
        .replace(", except: [\"2001:db8:b::/64\"]", "")
        .replace("{role: backup}", "{role: nobody}");
    anyhow::ensure!(
        edited != text,
        "policies.yaml has changed: adapt the edit of the demo"
    );
    fs::write(&file, edited)?;
    println!(
        "  {}",
        daemon.wait_for("generation committed", Duration::from_secs(20))?
    );
    mismatches += attempt::try_all(&lab, binary, &policies, 1)?;

    for (title, verb) in [
        ("counters of each rule (bailey rules)", "rules"),
        ("the flow table (bailey conntrack list)", "conntrack list"),
        (
            "reasons of passed and dropped packets (bailey counters)",
            "counters",
        ),
    ] {
        say(title);
        print!("{}", daemon.query(&lab, verb)?);
    }
    if !is_without_console && console::has_terminal() {
        say("the console (bailey tui) follows, while connections come and go; q ends it");
        thread::sleep(Duration::from_secs(3));
        console::show(&lab, binary)?;
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

/// Starts a server for every connection, so that only policy can prevent one.
fn start_servers(lab: &Lab) -> Result<()> {
    Server::tcp(lab.workload("web"), 8080)?;
    Server::tcp(lab.workload("web"), 9090)?;
    Server::tcp(lab.workload("db"), 5432)?;
    Server::tcp(&lab.outside, 443)?;
    for address in BACKUP {
        Server::udp(&lab.outside, address.parse()?, 53)?;
    }
    Ok(())
}
