//! `bailey doctor`: missing features of the kernel and the NICs, their cost, the fix.

use bailey_config::{Config, Guard};
use bailey_control::api::Stamp;
use bailey_datapath::attach::nft_guard;
use bailey_datapath::observe::doctor::{Finding, Grade, examine};
use bailey_introspect::LiveState;
use serde::Serialize;

use crate::args::{ListArgs, ListFormat};
use crate::commands::query::read_config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::list::{ListLayout, print_list, repeat};
use crate::output::print_line;
use crate::output::table::Column;

/// The answer in JSON.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    stamp: Stamp,
    findings: Vec<Row>,
}

/// One finding.
#[derive(Serialize)]
struct Row {
    subject: String,
    grade: &'static str,
    found: String,
    remedy: String,
}

/// Examines the kernel and the NICs.
pub(crate) fn doctor(args: &ListArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    Ok(repeat(&args.watch, || examine_and_print(&config, args)))
}

fn examine_and_print(config: &Config, args: &ListArgs) -> Result<Exit, CommandError> {
    let interfaces = match config.interfaces() {
        Ok(interfaces) => interfaces,
        // The kernel can be examined without interfaces.
        Err(_) if config.interfaces.is_empty() => Vec::new(),
        Err(message) => return Err(CommandError::Configuration(message)),
    };
    let mut findings = examine(&config.settings(), &config.paths.pins, &interfaces);
    findings.extend(examine_guard(config));

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
        findings: findings.into_iter().map(Row::from).collect(),
    };
    print_list(
        args,
        report,
        "findings",
        |report: &mut Report| &mut report.findings,
        &FINDINGS,
    )?;
    if matches!(args.output, ListFormat::Table | ListFormat::Wide) {
        remedies.iter().for_each(|remedy| print_line(remedy));
        if interfaces.is_empty() {
            print_line("\nThe configuration has no interfaces; no NIC was examined.");
        }
    }

    Ok(match worst {
        Some(Grade::Missing) => Exit::Unsupported,
        Some(Grade::Degraded) => Exit::Degraded,
        Some(Grade::Fine) | None => Exit::Success,
    })
}

const FINDINGS: ListLayout<Row> = ListLayout {
    columns: &[
        Column::text("SUBJECT", 0, |row| row.subject.clone()),
        Column::text("GRADE", 0, |row| row.grade.to_owned()),
        Column::text("FINDING", 0, |row| row.found.clone()),
    ],
    name: |row| row.subject.clone(),
    empty: "no findings",
};

/// The guard needs `nft`; `None` if the configuration has no guard.
fn examine_guard(config: &Config) -> Option<Finding> {
    if config.guard == Guard::Off {
        return None;
    }
    let (grade, found, remedy) = match nft_guard::is_installed() {
        true => (Grade::Fine, "nft is installed", ""),
        false => (
            Grade::Missing,
            "nft cannot be run, so `run` would refuse to start",
            "apt install nftables",
        ),
    };
    Some(Finding {
        subject: "guard".to_owned(),
        grade,
        found: found.to_owned(),
        remedy: remedy.to_owned(),
    })
}

impl From<Finding> for Row {
    fn from(finding: Finding) -> Self {
        let grade = match finding.grade {
            Grade::Fine => "ok",
            Grade::Degraded => "DEGRADED",
            Grade::Missing => "MISSING",
        };
        Self {
            grade,
            subject: finding.subject,
            found: finding.found,
            remedy: finding.remedy,
        }
    }
}
