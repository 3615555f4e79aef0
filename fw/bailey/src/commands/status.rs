//! `bailey status`: one screen of health.

use std::thread::sleep;
use std::time::Duration;

use bailey_clock::now;
use bailey_control::api::{self, path};
use bailey_control::client;
use bailey_introspect::LiveState;
use bailey_source::diagnostic::replace_control_chars;

use crate::args::{ConfigArgs, StatusArgs};
use crate::commands::conntrack::format_fill;
use crate::commands::explain_live::format_block;
use crate::commands::query::{read_config, render};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::table::{Column, Table, terminal_columns};
use crate::ttl;

/// Label and text of one line. An empty label continues the line above.
type Fact = (&'static str, String);

/// Shows the status.
pub(crate) fn show_status(args: &StatusArgs) -> Result<Exit, CommandError> {
    if let Some(seconds) = args.wait {
        wait_for_health(&args.query.config, Duration::from_secs(seconds))?;
    }
    render(
        &args.query,
        path::STATUS,
        LiveState::status,
        format_status,
        choose_exit,
    )
}

/// Waits until Bailey is healthy, or until the time is over.
fn wait_for_health(config: &ConfigArgs, time: Duration) -> Result<(), CommandError> {
    const PAUSE: Duration = Duration::from_millis(200);
    let config = read_config(config)?;
    let begun = now();
    while begun.elapsed() < time {
        let status: Result<api::Status, _> = client::get(&config.paths.socket(), path::STATUS, &());
        if status.is_ok_and(|status| choose_exit(&status) == Exit::Success) {
            break;
        }
        sleep(PAUSE);
    }
    Ok(())
}

fn choose_exit(status: &api::Status) -> Exit {
    let is_healthy = status.enforcing
        && status.generation() > 0
        && status.daemon.is_some()
        && status.problems.is_empty()
        && status.flood_seconds.is_none();
    match is_healthy {
        true => Exit::Success,
        false => Exit::Degraded,
    }
}

fn format_status(status: &api::Status) -> String {
    let mut facts = datapath_facts(status);
    facts.extend(block_facts(status));
    facts.extend(daemon_facts(status.daemon.as_ref()));
    facts.extend(interference_facts(status.daemon.as_ref()));

    let mut lines = vec![headline(status).to_owned()];
    for (name, value) in facts {
        let line = format!("  {name:<12} {}", replace_control_chars(&value));
        lines.push(line.trim_end().to_owned());
    }
    lines.push(String::new());
    let mut table = Table::new(INTERFACES, terminal_columns(), true);
    lines.push(table.format_rows(&status.interfaces).trim_end().to_owned());
    for problem in &status.problems {
        lines.push(format!("\nPROBLEM: {}", replace_control_chars(problem)));
    }
    for warning in status.daemon.iter().flat_map(|daemon| &daemon.warnings) {
        lines.push(format!("\nwarning: {}", replace_control_chars(warning)));
    }
    lines.join("\n")
}

fn headline(status: &api::Status) -> &'static str {
    if !status.enforcing && status.guard {
        "NOT ENFORCING: no program is attached; the guard drops everything except the failsafe"
    } else if !status.enforcing {
        "NOT ENFORCING: no program is attached, the interfaces are UNPROTECTED"
    } else if status.generation() == 0 {
        "ENFORCING WITHOUT POLICY: packets that policy would decide are dropped"
    } else if status.flood_seconds.is_some() {
        "ENFORCING, UNDER A FLOOD of new flows"
    } else {
        "ENFORCING"
    }
}

fn datapath_facts(status: &api::Status) -> Vec<Fact> {
    let [slots, live_flows] = format_fill(&status.flow_table);
    let mut facts = vec![
        ("node", status.stamp.node.clone()),
        ("generation", status.generation().to_string()),
        ("flow table", slots),
        ("", live_flows),
    ];
    if let Some(seconds) = status.flood_seconds {
        let effect = "new TCP clients must pass a challenge, others share a rate";
        facts.push(("FLOOD", format!("for {seconds} s: {effect}")));
    }
    if status.warm_up {
        let effect = "policy drops nothing until it ends";
        facts.push(("WARM-UP", effect.to_owned()));
    }
    if status.capturing {
        let effect = "`bailey capture` runs: every packet takes the slow path";
        facts.push(("CAPTURE", effect.to_owned()));
    }
    facts
}

fn block_facts(status: &api::Status) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (at, block) in status.blocked.iter().enumerate() {
        let name = if at == 0 { "BLOCKED" } else { "" };
        facts.push((name, format_block(block)));
    }
    let more = status.blocks.saturating_sub(status.blocked.len() as u64);
    if more > 0 {
        facts.push(("", format!("and {more} more; `bailey blocks` lists them")));
    }
    facts
}

fn daemon_facts(daemon: Option<&api::Daemon>) -> Vec<Fact> {
    let Some(daemon) = daemon else {
        let text = "none answers; attached programs keep enforcing, policy edits wait";
        return vec![("daemon", text.to_owned())];
    };
    let api::Daemon { version, pid, .. } = daemon;
    let uptime = ttl::format_seconds(daemon.uptime_seconds);
    let mut facts = vec![(
        "daemon",
        format!("version {version}, pid {pid}, up {uptime}"),
    )];
    if let Some(seconds) = daemon.committed_seconds_ago {
        let age = ttl::format_seconds(seconds);
        facts.push(("last commit", format!("{age} ago")));
    }
    let failsafe = match daemon.failsafe.as_deref() {
        None => "unknown: programs of an earlier start are attached".to_owned(),
        Some([]) => "none".to_owned(),
        Some(entries) => entries.join("; "),
    };
    facts.push(("failsafe", failsafe));
    facts
}

/// Actions of other processes that Bailey has repaired.
fn interference_facts(daemon: Option<&api::Daemon>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let interference = daemon.into_iter().flat_map(|daemon| &daemon.interference);
    for (at, interference) in interference.enumerate() {
        let api::Interference {
            kind,
            count,
            last_seconds_ago,
            last,
        } = interference;
        let name = if at == 0 { "interference" } else { "" };
        let age = ttl::format_seconds(*last_seconds_ago);
        facts.push((
            name,
            format!("{kind} {count} times, repaired; last {age} ago: {last}"),
        ));
    }
    facts
}

const INTERFACES: &[Column<api::Interface>] = &[
    Column::text("INTERFACE", 0, |interface| match &interface.renamed_to {
        Some(name) => format!("{} (now {name})", interface.name),
        None => interface.name.clone(),
    }),
    Column::text("LINK", 0, |interface| interface.link.clone()),
    Column::text("XDP", 0, |interface| interface.xdp_mode.clone()),
    Column::count("PROGRAM", 1, |interface| {
        interface.xdp_program.map(u64::from)
    }),
    Column::count("EGRESS PROGRAM", 1, |interface| {
        interface.tc_program.map(u64::from)
    }),
];
