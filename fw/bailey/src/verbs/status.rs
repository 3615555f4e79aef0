use bailey_control::api::{self, path};

use crate::cli::{Format, Read};
use crate::exit::Exit;
use crate::output::{json, line, table};
use crate::verbs::ask::ask;
use crate::verbs::conntrack::fill;
use crate::view::View;

/// One screen of truth.
pub(crate) fn status(options: &Read) -> Exit {
    let status: api::Status = match ask(options, path::STATUS, View::status) {
        Ok(status) => status,
        Err(exit) => return exit,
    };
    match options.output {
        Format::Json => json(&status),
        Format::Table => print(&status),
    }
    if !status.enforcing {
        return Exit::NotRunning;
    }
    match &status.daemon {
        Some(daemon) if daemon.problems.is_empty() && all_attached(&status) => Exit::Success,
        _ => Exit::Degraded,
    }
}

fn all_attached(status: &api::Status) -> bool {
    status
        .interfaces
        .iter()
        .all(|interface| interface.complete && interface.link != "gone")
}

fn print(status: &api::Status) {
    line(if !status.enforcing {
        "NOT ENFORCING: no program is attached, the interfaces are UNPROTECTED"
    } else if status.generation == 0 {
        "ENFORCING WITHOUT POLICY: everything that policy decides is dropped"
    } else {
        "ENFORCING"
    });
    let mut facts = vec![
        ("generation", status.generation.to_string()),
        ("flow table", fill(&status.flow_table)),
    ];
    if let Some(seconds) = status.flood_seconds {
        facts.push((
            "FLOOD",
            format!(
                "for {seconds} s: new TCP clients prove themselves, other new flows share a rate"
            ),
        ));
    }
    match &status.daemon {
        None => facts.push((
            "daemon",
            "none answers; what is attached goes on as it is, and policy edits wait".into(),
        )),
        Some(daemon) => {
            facts.push((
                "daemon",
                format!(
                    "version {}, pid {}, up {} s",
                    daemon.version, daemon.pid, daemon.uptime_seconds
                ),
            ));
            if let Some(ago) = daemon.committed_seconds_ago {
                facts.push(("last commit", format!("{ago} s ago")));
            }
            let failsafe = match daemon.failsafe.as_deref() {
                None => "as an earlier start had it".to_owned(),
                Some([]) => "none".to_owned(),
                Some(entries) => entries.join("; "),
            };
            facts.push(("failsafe", failsafe));
        }
    }
    for (name, value) in facts {
        line(&format!("  {name:<12} {value}"));
    }
    line("");
    line(&table(
        &["INTERFACE", "LINK", "XDP", "PROGRAM", "EGRESS PROGRAM"],
        status.interfaces.iter().map(cells).collect(),
        &[3, 4],
    ));
    let problems = status.daemon.iter().flat_map(|daemon| &daemon.problems);
    for problem in problems {
        line("");
        line(&format!(
            "PROBLEM: {}",
            bailey_source::diagnostic::printable(problem)
        ));
    }
}

fn cells(interface: &api::Interface) -> Vec<String> {
    let program = |id: Option<u32>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let name = match &interface.renamed_to {
        Some(now) => format!("{} (now {now})", interface.name),
        None => interface.name.clone(),
    };
    vec![
        name,
        interface.link.clone(),
        interface.xdp_mode.clone(),
        program(interface.xdp_program),
        program(interface.tc_program),
    ]
}
