//! `bailey check`: reads, validates and compiles policies, and prints the findings.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailey_clock::Stopwatch;
use bailey_compile::{RuleIds, TableStats, compile};
use bailey_policy::{NetworkPolicy, Rule, Snapshot};
use bailey_source::{Diagnostic, Diagnostics, LoadResult, ObjectCounts, Selection};
use serde::Serialize;

use crate::args::{CheckArgs, FailOn, Format};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::PolicyInput;
use crate::output::diagnostics::print_diagnostics;
use crate::output::table::{Column, Table, terminal_columns};
use crate::output::{
    group_thousands, print_bytes, print_json, print_line, print_yaml, stderr_line,
};

/// Checks the policies, and prints findings and table sizes.
pub(crate) fn check(args: &CheckArgs) -> Result<Exit, CommandError> {
    let mut stopwatch = Stopwatch::start();
    let input = PolicyInput::from_args(&args.input)?;

    // Read and compile. A snapshot that exceeds a limit is invalid like a file with an error.
    let LoadResult {
        snapshot,
        mut diagnostics,
        counts,
        files,
    } = input.load();
    stopwatch.lap("read");
    let compiled = snapshot.map(|snapshot| {
        let result = compile(&snapshot, &RuleIds::default(), &input.config.limits);
        (snapshot, result)
    });
    stopwatch.lap("compile");
    let valid = match compiled {
        Some((snapshot, Ok(tables))) => Some((snapshot, tables.stats)),
        Some((_, Err(error))) => {
            let path = input.paths.first().cloned().unwrap_or_default();
            diagnostics.add_file_error(&path, error.to_string());
            None
        }
        None => None,
    };

    // Warnings: policies without endpoints, and with --live a lock-out.
    let selection = valid.as_ref().map(|(snapshot, _)| Selection::of(snapshot));
    let selection = selection.unwrap_or_default();
    if valid.is_some() {
        selection
            .warnings()
            .for_each(|warning| diagnostics.add_warning(warning));
    }
    #[cfg(target_os = "linux")]
    if let (true, Some((snapshot, _))) = (args.live, &valid) {
        warn_of_lockout(&input, snapshot, &mut diagnostics);
    }

    match args.output {
        Format::Table => {
            print_diagnostics(&diagnostics);
            match &valid {
                Some((snapshot, stats)) => {
                    print_summary(snapshot, stats, &selection, &counts, &stopwatch);
                }
                None => stderr_line!("refused: {} error(s)", diagnostics.errors().count()),
            }
        }
        Format::Json | Format::Yaml => {
            let report = build_report(
                valid.as_ref(),
                &selection,
                &diagnostics,
                &counts,
                files.len(),
                &stopwatch,
            );
            match args.output {
                Format::Yaml => print_yaml(&report),
                _ => print_json(&report),
            }
        }
    }

    let warnings = diagnostics.warnings().count();
    if args.fail_on == FailOn::Warnings && warnings > 0 && valid.is_some() {
        stderr_line!("refused: {warnings} warning(s) with --fail-on warnings");
        return Ok(Exit::Invalid);
    }
    Ok(match valid {
        Some(_) => Exit::Success,
        None => Exit::Invalid,
    })
}

/// Warns if the policies would cut off the operator's SSH session to this machine.
#[cfg(target_os = "linux")]
fn warn_of_lockout(input: &PolicyInput, snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    use bailey_daemon::lockout::{SshSession, find_warning};

    let Some(session) = SshSession::detect() else {
        stderr_line!("note: no SSH session detected; lock-out check skipped");
        return;
    };
    let settings = input.config.settings();
    if let Some(text) = find_warning(snapshot, session, &settings.failsafe, settings.tcp_strict) {
        diagnostics.add_warning(text);
    }
}

/// Prints the policies, the sizes of the tables, the times, and the objects that were ignored.
fn print_summary(
    snapshot: &Snapshot,
    stats: &TableStats,
    selection: &Selection,
    counts: &ObjectCounts,
    stopwatch: &Stopwatch,
) {
    // Policies.
    let policies = snapshot.policies().iter().zip(&selection.0);
    let rows: Vec<Row> = policies
        .map(|(policy, (_, endpoints))| Row {
            policy: Arc::clone(policy),
            endpoints: *endpoints,
        })
        .collect();
    let mut table = Table::new(POLICIES, terminal_columns(), true);
    print_bytes(table.format_rows(&rows).as_bytes());
    print_line("");

    // Sizes and times.
    let sizes = [
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
    for (name, value) in sizes {
        print_line(&format!("{name:<18} {:>14}", group_thousands(value as u64)));
    }
    for (stage, duration) in stopwatch.stages() {
        let name = format!("{stage} time");
        print_line(&format!(
            "{name:<18} {:>11.1} ms",
            duration.as_secs_f64() * 1e3
        ));
    }

    // Ignored objects.
    if !counts.skipped.is_empty() {
        let kinds: Vec<String> = counts
            .skipped
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        print_line(&format!("skipped: {}", kinds.join(", ")));
    }
    if counts.finished_pods + counts.pending_pods > 0 {
        print_line(&format!(
            "pods ignored: {} finished, {} without an address",
            counts.finished_pods, counts.pending_pods
        ));
    }
}

/// A policy in the table.
struct Row {
    policy: Arc<NetworkPolicy>,
    /// Number of endpoints that the policy selects.
    endpoints: usize,
}

const POLICIES: &[Column<Row>] = &[
    Column::text("POLICY", 0, |row| row.policy.id.to_string()),
    Column::number("ENDPOINTS", 0, |row| row.endpoints as u64),
    Column::count("INGRESS RULES", 1, |row| {
        count_rules(row.policy.ingress.as_deref())
    }),
    Column::count("EGRESS RULES", 1, |row| {
        count_rules(row.policy.egress.as_deref())
    }),
];

/// `None` if the policy does not isolate the direction.
fn count_rules(rules: Option<&[Rule]>) -> Option<u64> {
    rules.map(|rules| rules.len() as u64)
}

/// The answer in JSON.
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
    skipped: BTreeMap<String, usize>,
    stages_ms: BTreeMap<&'static str, f64>,
}

/// An error or a warning.
#[derive(Debug, Serialize)]
struct Finding {
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    object: Option<String>,
    message: String,
}

/// A policy; absent rules mean that the policy does not isolate the direction.
#[derive(Debug, Serialize)]
struct PolicyReport {
    namespace: String,
    name: String,
    endpoints: usize,
    ingress_rules: Option<usize>,
    egress_rules: Option<usize>,
}

/// Sizes of the compiled tables.
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

fn build_report(
    valid: Option<&(Snapshot, TableStats)>,
    selection: &Selection,
    diagnostics: &Diagnostics,
    counts: &ObjectCounts,
    files: usize,
    stopwatch: &Stopwatch,
) -> Report {
    let finding = |d: &Diagnostic| Finding {
        file: d.file.as_ref().map(|file| file.display().to_string()),
        line: d.pos.map(|pos| pos.line),
        column: d.pos.map(|pos| pos.column),
        object: d.object.clone(),
        message: d.message.clone(),
    };
    let policies = valid
        .map(|(snapshot, _)| snapshot.policies())
        .unwrap_or_default();
    Report {
        schema_version: 1,
        ok: valid.is_some(),
        files,
        errors: diagnostics.errors().map(finding).collect(),
        warnings: diagnostics.warnings().map(finding).collect(),
        enforced: valid.map(|_| selection.enforces()),
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
        stats: valid.map(|(_, stats)| StatsReport {
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
