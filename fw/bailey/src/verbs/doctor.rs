use bailey_datapath::doctor::{Finding, Grade, examine};
use serde::Serialize;

use crate::cli::{Format, Read};
use crate::exit::Exit;
use crate::output::{json, line, table};
use crate::verbs::ask::config;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    findings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    subject: String,
    grade: &'static str,
    found: String,
    remedy: String,
}

/// Looks at the kernel and the NICs.
pub(crate) fn doctor(options: &Read) -> Exit {
    let config = match config(options.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let interfaces = match config.wanted_interfaces() {
        Ok(interfaces) => interfaces,
        // Without interfaces there is still a kernel to look at.
        Err(_) if config.interfaces.is_empty() => Vec::new(),
        Err(message) => {
            eprintln!("error: {message}");
            return Exit::Invalid;
        }
    };
    let findings = examine(&config.settings(), &config.paths.pins, &interfaces);
    let worst = findings.iter().map(|finding| finding.grade).max();
    match options.output {
        Format::Json => json(&Report {
            schema_version: bailey_control::api::SCHEMA_VERSION,
            findings: findings.into_iter().map(row).collect(),
        }),
        Format::Table => print(&findings, interfaces.is_empty()),
    }
    match worst {
        Some(Grade::Missing) => Exit::Unsupported,
        Some(Grade::Degraded) => Exit::Degraded,
        _ => Exit::Success,
    }
}

fn word(grade: Grade) -> &'static str {
    match grade {
        Grade::Fine => "ok",
        Grade::Degraded => "DEGRADED",
        Grade::Missing => "MISSING",
    }
}

fn row(finding: Finding) -> Row {
    Row {
        grade: word(finding.grade),
        subject: finding.subject,
        found: finding.found,
        remedy: finding.remedy,
    }
}

fn print(findings: &[Finding], no_interfaces: bool) {
    let rows = findings.iter().map(|finding| {
        vec![
            finding.subject.clone(),
            word(finding.grade).to_owned(),
            finding.found.clone(),
        ]
    });
    line(&table(&["WHAT", "IS", "FOUND"], rows.collect(), &[]));
    for finding in findings.iter().filter(|finding| !finding.remedy.is_empty()) {
        line(&format!("\n{}: {}", finding.subject, finding.remedy));
    }
    if no_interfaces {
        line("\nThe configuration names no interfaces, so none was looked at.");
    }
}
