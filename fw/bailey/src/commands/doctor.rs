use bailey_config::{Config, Guard};
use bailey_control::api::Stamp;
use bailey_datapath::observe::doctor::{Finding, Grade, examine};
use bailey_introspect::LiveState;
use serde::Serialize;

use crate::args::{ListFormat, Listing};
use crate::commands::query::{config, printed};
use crate::exit::Exit;
use crate::output::complain;
use crate::output::line;
use crate::output::listing::{self, Kind, watched};
use crate::output::table::Column;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    stamp: Stamp,
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
pub(crate) fn doctor(options: &Listing) -> Exit {
    let config = match config(&options.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    watched(&options.watch, || look(&config, options))
}

fn look(config: &Config, options: &Listing) -> Exit {
    let interfaces = match config.interfaces() {
        Ok(interfaces) => interfaces,
        // Without interfaces there is still a kernel to look at.
        Err(_) if config.interfaces.is_empty() => Vec::new(),
        Err(message) => {
            complain!("error: {message}");
            return Exit::Invalid;
        }
    };
    let mut findings = examine(&config.settings(), &config.paths.pins, &interfaces);
    findings.extend(guard(config));
    let worst = findings.iter().map(|finding| finding.grade).max();
    let remedies: Vec<String> = findings
        .iter()
        .filter(|finding| !finding.remedy.is_empty())
        .map(|finding| {
            let Finding {
                subject,
                found,
                remedy,
                ..
            } = finding;
            format!("\n{subject}: {found}\n  {remedy}")
        })
        .collect();
    let report = Report {
        stamp: LiveState::new(config.clone()).stamp_or_none(),
        findings: findings.into_iter().map(row).collect(),
    };
    let result = listing::print(
        options,
        report,
        "findings",
        |report: &mut Report| &mut report.findings,
        &FINDINGS,
    );
    if result.is_err() {
        return printed(result);
    }
    if matches!(options.output, ListFormat::Table | ListFormat::Wide) {
        remedies.iter().for_each(|remedy| line(remedy));
        if interfaces.is_empty() {
            line("\nThe configuration names no interfaces, so none was looked at.");
        }
    }
    match worst {
        Some(Grade::Missing) => Exit::Unsupported,
        Some(Grade::Degraded) => Exit::Degraded,
        _ => Exit::Success,
    }
}

const FINDINGS: Kind<Row> = Kind {
    columns: &[
        Column::text("WHAT", 0, |row| row.subject.clone()),
        Column::text("IS", 0, |row| row.grade.to_owned()),
        Column::text("FOUND", 0, |row| row.found.clone()),
    ],
    name: |row| row.subject.clone(),
    none: "there is nothing to look at",
};

/// What the guard of the configuration needs.
fn guard(config: &Config) -> Option<Finding> {
    if config.guard == Guard::Off {
        return None;
    }
    let subject = "guard".to_owned();
    let grade = match bailey_datapath::attach::nft_guard::is_installed() {
        true => Grade::Fine,
        false => Grade::Missing,
    };
    let (found, remedy) = match grade {
        Grade::Fine => ("nft is there", ""),
        _ => (
            "nft cannot be run, and `run` would refuse",
            "apt install nftables",
        ),
    };
    Some(Finding {
        subject,
        grade,
        found: found.to_owned(),
        remedy: remedy.to_owned(),
    })
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
