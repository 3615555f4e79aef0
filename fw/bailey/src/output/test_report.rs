//! Results of PolicyTests as text, JSON or JUnit XML.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bailey_policytest::format::Expectation;
use bailey_policytest::run::{CaseResult, CaseVerdict};
use bailey_source::diagnostic::replace_control_chars;
use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use serde_json::{Value, json};

use crate::output::{print_json, print_line, stderr_line};

/// Results of one run of `bailey test`.
#[derive(Debug, Default)]
pub(crate) struct TestResults {
    /// Results by file, in the order of execution.
    pub cases: Vec<(PathBuf, Vec<CaseResult>)>,
    /// Invalid files with their errors.
    pub errors: Vec<(PathBuf, String)>,
    /// Duration of the run.
    pub duration: Duration,
}

impl TestResults {
    fn all(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().flat_map(|(_, cases)| cases)
    }

    /// Number of cases with the expected verdict.
    pub(crate) fn passed(&self) -> usize {
        self.all().filter(|case| case.failure.is_none()).count()
    }

    /// Number of cases with another verdict.
    pub(crate) fn failed(&self) -> usize {
        self.all().filter(|case| case.failure.is_some()).count()
    }

    /// Prints failures and a summary.
    pub(crate) fn print_table(&self) {
        for (file, message) in &self.errors {
            print_line(&replace_control_chars(&format!(
                "INVALID  {}",
                file.display()
            )));
            for line in message.lines() {
                print_line(&replace_control_chars(&format!("         {line}")));
            }
        }
        for (file, cases) in &self.cases {
            for case in cases {
                if let Some(failure) = &case.failure {
                    let case = format!("FAILED   {}: {}: {}", file.display(), case.test, case.name);
                    print_line(&replace_control_chars(&case));
                    print_line(&replace_control_chars(&format!("         {failure}")));
                }
            }
        }
        let files = self.cases.len();
        print_line(&format!(
            "{} passed, {} failed, {} invalid, in {files} files, {:.2} s",
            self.passed(),
            self.failed(),
            self.errors.len(),
            self.duration.as_secs_f64()
        ));
    }

    /// Prints everything as JSON.
    pub(crate) fn print_json(&self) {
        let errors: Vec<_> = self
            .errors
            .iter()
            .map(|(file, message)| json!({"file": file.display().to_string(), "message": message}))
            .collect();
        let cases: Vec<_> = self.all().map(CaseReport::from).collect();
        print_json(&json!({
            "schema_version": 1,
            "passed": self.passed(),
            "failed": self.failed(),
            "errors": errors,
            "cases": cases,
        }));
    }

    /// Prints everything as JUnit XML.
    pub(crate) fn print_junit(&self) {
        let mut report = Junit::new("bailey test");
        report.set_time(self.duration);
        for (file, cases) in &self.cases {
            let mut suite = TestSuite::new(file.display().to_string());
            for case in cases {
                let status = match &case.failure {
                    None => TestCaseStatus::success(),
                    Some(failure) => {
                        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                        status.set_message(failure.clone());
                        status
                    }
                };
                let mut entry = TestCase::new(case.name.clone(), status);
                entry.set_classname(case.test.clone());
                suite.add_test_case(entry);
            }
            report.add_test_suite(suite);
        }
        for (file, message) in &self.errors {
            let mut suite = TestSuite::new(file.display().to_string());
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(message.clone());
            suite.add_test_case(TestCase::new("read", status));
            report.add_test_suite(suite);
        }
        match report.to_string() {
            Ok(text) => print_line(&text),
            Err(error) => stderr_line!("cannot write JUnit: {error}"),
        }
    }
}

/// JSON of one case.
#[derive(Debug, Serialize)]
struct CaseReport<'a> {
    test: &'a str,
    name: &'a str,
    expect: Value,
    #[serde(rename = "got")]
    verdicts: BTreeMap<&'static str, &'static str>,
    egress_rule: &'a str,
    ingress_rule: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> From<&'a CaseResult> for CaseReport<'a> {
    fn from(case: &'a CaseResult) -> Self {
        let verdicts = case.verdicts.iter().map(|(engine, verdict)| {
            let name = match verdict {
                CaseVerdict::Allow => "allow",
                CaseVerdict::Deny => "deny",
                CaseVerdict::Mixed => "mixed",
            };
            (*engine, name)
        });
        Self {
            test: &case.test,
            name: &case.name,
            expect: expectation_json(case.expect),
            verdicts: verdicts.collect(),
            egress_rule: &case.egress_rule,
            ingress_rule: &case.ingress_rule,
            ok: case.failure.is_none(),
            message: case.failure.as_deref(),
        }
    }
}

fn expectation_json(expect: Expectation) -> Value {
    let name = |allows: bool| if allows { "allow" } else { "deny" };
    match expect {
        Expectation::Connection(allows) => json!(name(allows)),
        Expectation::Sides { egress, ingress } => {
            let sides = [("egress", egress), ("ingress", ingress)];
            sides
                .into_iter()
                .filter_map(|(side, v)| Some((side, name(v?))))
                .collect()
        }
    }
}
