use bailey_control::api::{self, path};
use bailey_introspect::LiveState;
use bailey_source::diagnostic::replace_control_chars;

use crate::args::Screen;
use crate::commands::query::show;
use crate::commands::conntrack::fill;
use crate::exit::Exit;
use crate::output::table::{Column, Table, terminal_columns};
use crate::ttl;

/// One screen of truth.
pub(crate) fn status(options: &Screen) -> Exit {
    show(options, path::STATUS, LiveState::status, text, exit)
}

fn exit(status: &api::Status) -> Exit {
    let well = status.enforcing
        && status.generation() > 0
        && status.daemon.is_some()
        && status.problems.is_empty()
        && status.flood_seconds.is_none();
    if well { Exit::Success } else { Exit::Degraded }
}

fn text(status: &api::Status) -> String {
    let mut lines = vec![headline(status).to_owned()];
    let mut facts = vec![
        ("node", status.stamp.node.clone()),
        ("generation", status.generation().to_string()),
    ];
    let [slots, live] = fill(&status.flow_table);
    facts.extend([("flow table", slots), ("", live)]);
    if let Some(seconds) = status.flood_seconds {
        let what = "new TCP clients prove themselves, other new flows share a rate";
        facts.push(("FLOOD", format!("for {seconds} s: {what}")));
    }
    for (at, block) in status.blocked.iter().enumerate() {
        let left = ttl::show(block.remaining_seconds);
        let reason = if block.reason.is_empty() {
            String::new()
        } else {
            format!(": {}", block.reason)
        };
        let name = if at == 0 { "BLOCKED" } else { "" };
        facts.push((name, format!("{}, {left} left{reason}", block.prefix)));
    }
    let more = status.blocks.saturating_sub(status.blocked.len() as u64);
    if more > 0 {
        facts.push(("", format!("and {more} more; `bailey blocks` lists them")));
    }
    match &status.daemon {
        None => facts.push((
            "daemon",
            "none answers; what is attached goes on as it is, and policy edits wait".into(),
        )),
        Some(daemon) => {
            let api::Daemon {
                version,
                pid,
                uptime_seconds,
                ..
            } = daemon;
            let up = ttl::show(*uptime_seconds);
            facts.push(("daemon", format!("version {version}, pid {pid}, up {up}")));
            if let Some(ago) = daemon.committed_seconds_ago {
                facts.push(("last commit", format!("{} ago", ttl::show(ago))));
            }
            let failsafe = match daemon.failsafe.as_deref() {
                None => "as an earlier start had it".to_owned(),
                Some([]) => "none".to_owned(),
                Some(entries) => entries.join("; "),
            };
            facts.push(("failsafe", failsafe));
        }
    }
    let interference = status.daemon.iter().flat_map(|daemon| &daemon.interference);
    for (at, done) in interference.enumerate() {
        let api::Interference {
            kind,
            count,
            last_seconds_ago,
            last,
        } = done;
        let name = if at == 0 { "interference" } else { "" };
        let ago = ttl::show(*last_seconds_ago);
        facts.push((
            name,
            format!("{kind} {count} times, set right; last {ago} ago: {last}"),
        ));
    }
    for (name, value) in facts {
        lines.push(
            format!("  {name:<12} {}", replace_control_chars(&value))
                .trim_end()
                .to_owned(),
        );
    }
    lines.push(String::new());
    let mut table = Table::new(INTERFACES, terminal_columns(), true);
    lines.push(table.rows(&status.interfaces).trim_end().to_owned());
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
        "NOT ENFORCING: no program is attached; the guard closes the interfaces, but for the failsafe"
    } else if !status.enforcing {
        "NOT ENFORCING: no program is attached, the interfaces are UNPROTECTED"
    } else if status.generation() == 0 {
        "ENFORCING WITHOUT POLICY: everything that policy decides is dropped"
    } else if status.flood_seconds.is_some() {
        "ENFORCING, UNDER A FLOOD of new flows"
    } else {
        "ENFORCING"
    }
}

const INTERFACES: &[Column<api::Interface>] = &[
    Column::text("INTERFACE", 0, |interface| match &interface.renamed_to {
        Some(now) => format!("{} (now {now})", interface.name),
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
