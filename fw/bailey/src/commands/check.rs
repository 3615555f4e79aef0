use std::sync::Arc;

use bailey_clock::Stopwatch;
use bailey_compile::{RuleIds, TableStats, compile};
use bailey_policy::{NetworkPolicy, Rule, Snapshot};
use bailey_source::{Diagnostics, LoadResult, ObjectCounts, Selection};
use serde::Serialize;

use crate::args::{Check, FailOn, Format};
use crate::exit::Exit;
use crate::input::Named;
use crate::output::complain;
use crate::output::diagnostics::print_diagnostics;
use crate::output::table::{Column, Table, terminal_columns};
use crate::output::{grouped, json, line, raw, yaml};

/// Reads, validates and compiles; prints what it came to.
pub(crate) fn check(options: &Check) -> Exit {
    let mut stopwatch = Stopwatch::start();
    let named = match Named::by(&options.source) {
        Ok(named) => named,
        Err(exit) => return exit,
    };
    let config = &named.config;
    let LoadResult {
        snapshot,
        mut diagnostics,
        counts,
        files,
    } = named.load();
    stopwatch.lap("read");
    let compiled = snapshot.map(|snapshot| {
        let result = compile(&snapshot, &RuleIds::default(), &config.limits);
        (snapshot, result)
    });
    stopwatch.lap("compile");
    let outcome = match compiled {
        Some((snapshot, Ok(tables))) => Some((snapshot, tables.stats)),
        Some((_, Err(error))) => {
            let path = named.paths.first().cloned().unwrap_or_default();
            diagnostics.add_file_error(&path, error.to_string());
            None
        }
        None => None,
    };
    let selection = outcome
        .as_ref()
        .map(|(snapshot, _)| Selection::of(snapshot));
    let selection = selection.unwrap_or_default();
    if outcome.is_some() {
        selection
            .warnings()
            .for_each(|warning| diagnostics.add_warning(warning));
    }
    #[cfg(target_os = "linux")]
    if let (true, Some((snapshot, _))) = (options.live, &outcome) {
        let settings = config.settings();
        let session = bailey_daemon::lockout::SshSession::detect();
        if session.is_none() {
            complain!("note: nobody's SSH session was found above this process");
        }
        let warning = session.and_then(|session| {
            let (failsafe, strict) = (&settings.failsafe, settings.tcp_strict);
            bailey_daemon::lockout::warning(snapshot, session, failsafe, strict)
        });
        warning
            .into_iter()
            .for_each(|warning| diagnostics.add_warning(warning));
    }
    match options.output {
        Format::Table => {
            print_diagnostics(&diagnostics);
            match &outcome {
                Some((snapshot, stats)) => print(snapshot, stats, &selection, &counts, &stopwatch),
                None => complain!("refused: {} error(s)", diagnostics.errors().count()),
            }
        }
        Format::Json | Format::Yaml => {
            let report = report(
                outcome.as_ref(),
                &selection,
                &diagnostics,
                &counts,
                files.len(),
                &stopwatch,
            );
            match options.output {
                Format::Yaml => yaml(&report),
                _ => json(&report),
            }
        }
    }
    let warnings = diagnostics.warnings().count();
    if options.fail_on == FailOn::Warnings && warnings > 0 && outcome.is_some() {
        complain!("refused: {warnings} warning(s), and --fail-on warnings");
        return Exit::Invalid;
    }
    match outcome {
        Some(_) => Exit::Success,
        None => Exit::Invalid,
    }
}

fn print(
    snapshot: &Snapshot,
    stats: &TableStats,
    selection: &Selection,
    counts: &ObjectCounts,
    stopwatch: &Stopwatch,
) {
    let policies = snapshot.policies().iter().zip(&selection.0);
    let rows: Vec<Row> = policies
        .map(|(policy, (_, endpoints))| Row {
            policy: Arc::clone(policy),
            endpoints: *endpoints,
        })
        .collect();
    let mut table = Table::new(POLICIES, terminal_columns(), true);
    raw(table.rows(&rows).as_bytes());
    line("");
    let facts = [
        ("policies", stats.policies),
        ("rules", stats.rules),
        ("endpoints", stats.endpoints),
        ("address classes", stats.classes),
        ("IPv4 prefixes", stats.prefixes4),
        ("IPv6 prefixes", stats.prefixes6),
        ("isolated subjects", stats.subjects),
        ("peer classes", stats.peers),
        ("port classes", stats.port_classes),
        ("rows", stats.rows),
        ("table bytes", stats.bytes),
    ];
    for (name, value) in facts {
        line(&format!("{name:<18} {:>14}", grouped(value as u64)));
    }
    for (stage, duration) in stopwatch.stages() {
        let name = format!("{stage} time");
        line(&format!(
            "{name:<18} {:>11.1} ms",
            duration.as_secs_f64() * 1e3
        ));
    }
    if !counts.skipped.is_empty() {
        let kinds: Vec<String> = counts
            .skipped
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        line(&format!("skipped: {}", kinds.join(", ")));
    }
    if counts.finished_pods + counts.pending_pods > 0 {
        line(&format!(
            "pods left out: {} finished; without an address yet: {}",
            counts.finished_pods, counts.pending_pods
        ));
    }
}

struct Row {
    policy: Arc<NetworkPolicy>,
    /// How many it selects.
    endpoints: usize,
}

const POLICIES: &[Column<Row>] = &[
    Column::text("POLICY", 0, |row| row.policy.id.to_string()),
    Column::number("ENDPOINTS", 0, |row| row.endpoints as u64),
    Column::count("INGRESS RULES", 1, |row| {
        count(row.policy.ingress.as_deref())
    }),
    Column::count("EGRESS RULES", 1, |row| count(row.policy.egress.as_deref())),
];

fn count(rules: Option<&[Rule]>) -> Option<u64> {
    rules.map(|rules| rules.len() as u64)
}

#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    ok: bool,
    files: usize,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforced: Option<bool>,
    policies: Vec<PolicyReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<StatsReport>,
    skipped: std::collections::BTreeMap<String, usize>,
    stages_ms: std::collections::BTreeMap<&'static str, f64>,
}

#[derive(Debug, Serialize)]
struct Finding {
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    object: Option<String>,
    message: String,
}

#[derive(Debug, Serialize)]
struct PolicyReport {
    namespace: String,
    name: String,
    endpoints: usize,
    ingress_rules: Option<usize>,
    egress_rules: Option<usize>,
}

#[derive(Debug, Serialize)]
struct StatsReport {
    policies: usize,
    rules: usize,
    endpoints: usize,
    classes: usize,
    prefixes: usize,
    prefixes_ipv4: usize,
    prefixes_ipv6: usize,
    subjects: usize,
    peers: usize,
    port_classes: usize,
    rows: usize,
    table_bytes: usize,
}

fn report(
    outcome: Option<&(Snapshot, TableStats)>,
    selection: &Selection,
    diagnostics: &Diagnostics,
    counts: &ObjectCounts,
    files: usize,
    stopwatch: &Stopwatch,
) -> Report {
    let finding = |d: &bailey_source::Diagnostic| Finding {
        file: d.file.as_ref().map(|file| file.display().to_string()),
        line: d.pos.map(|pos| pos.line),
        column: d.pos.map(|pos| pos.column),
        object: d.object.clone(),
        message: d.message.clone(),
    };
    let policies = outcome
        .map(|(snapshot, _)| snapshot.policies())
        .unwrap_or_default();
    Report {
        schema_version: 1,
        ok: outcome.is_some(),
        files,
        errors: diagnostics.errors().map(finding).collect(),
        warnings: diagnostics.warnings().map(finding).collect(),
        enforced: outcome.map(|_| selection.enforces()),
        policies: policies
            .iter()
            .zip(&selection.0)
            .map(|(policy, (_, endpoints))| PolicyReport {
                namespace: policy.id.namespace.clone(),
                name: policy.id.name.clone(),
                endpoints: *endpoints,
                ingress_rules: policy.ingress.as_ref().map(Vec::len),
                egress_rules: policy.egress.as_ref().map(Vec::len),
            })
            .collect(),
        stats: outcome.map(|(_, stats)| StatsReport {
            policies: stats.policies,
            rules: stats.rules,
            endpoints: stats.endpoints,
            classes: stats.classes,
            prefixes: stats.prefixes4 + stats.prefixes6,
            prefixes_ipv4: stats.prefixes4,
            prefixes_ipv6: stats.prefixes6,
            subjects: stats.subjects,
            peers: stats.peers,
            port_classes: stats.port_classes,
            rows: stats.rows,
            table_bytes: stats.bytes,
        }),
        skipped: counts.skipped.clone(),
        stages_ms: stopwatch
            .stages()
            .iter()
            .map(|(stage, duration)| (*stage, duration.as_secs_f64() * 1e3))
            .collect(),
    }
}
