use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bailey_policytest::format::Expect;
use bailey_policytest::run::{CaseResult, Got};
use bailey_source::diagnostic::replace_control_chars;
use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use serde_json::{Value, json};

use crate::output;
use crate::output::complain;

/// Everything a run of tests came to.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// By file, in the order in which they ran.
    pub cases: Vec<(PathBuf, Vec<CaseResult>)>,
    /// Files that are invalid, and why.
    pub errors: Vec<(PathBuf, String)>,
    /// How long it took.
    pub duration: Duration,
}

impl Results {
    fn all(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().flat_map(|(_, cases)| cases)
    }

    /// Cases that were as expected.
    pub(crate) fn passed(&self) -> usize {
        self.all().filter(|case| case.failure.is_none()).count()
    }

    /// Cases that were not.
    pub(crate) fn failed(&self) -> usize {
        self.all().filter(|case| case.failure.is_some()).count()
    }

    /// Failures and a summary, for people.
    pub(crate) fn print_table(&self) {
        for (file, message) in &self.errors {
            output::line(&replace_control_chars(&format!(
                "INVALID  {}",
                file.display()
            )));
            for line in message.lines() {
                output::line(&replace_control_chars(&format!("         {line}")));
            }
        }
        for (file, cases) in &self.cases {
            for case in cases {
                if let Some(failure) = &case.failure {
                    let case = format!("FAILED   {}: {}: {}", file.display(), case.test, case.name);
                    output::line(&replace_control_chars(&case));
                    output::line(&replace_control_chars(&format!("         {failure}")));
                }
            }
        }
        let files = self.cases.len();
        output::line(&format!(
            "{} passed, {} failed, {} invalid, in {files} files, {:.2} s",
            self.passed(),
            self.failed(),
            self.errors.len(),
            self.duration.as_secs_f64()
        ));
    }

    /// For programs.
    pub(crate) fn print_json(&self) {
        let errors: Vec<_> = self
            .errors
            .iter()
            .map(|(file, message)| json!({"file": file.display().to_string(), "message": message}))
            .collect();
        let cases: Vec<_> = self.all().map(CaseReport::of).collect();
        output::json(&json!({
            "schema_version": 1,
            "passed": self.passed(),
            "failed": self.failed(),
            "errors": errors,
            "cases": cases,
        }));
    }

    /// For CI systems.
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
            Ok(text) => output::line(&text),
            Err(error) => complain!("cannot write JUnit: {error}"),
        }
    }
}

#[derive(Debug, Serialize)]
struct CaseReport<'a> {
    test: &'a str,
    name: &'a str,
    expect: Value,
    got: BTreeMap<&'static str, &'static str>,
    egress_rule: &'a str,
    ingress_rule: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> CaseReport<'a> {
    fn of(case: &'a CaseResult) -> Self {
        let got = case.got.iter().map(|(engine, got)| {
            let word = match got {
                Got::Allow => "allow",
                Got::Deny => "deny",
                Got::Mixed => "mixed",
            };
            (*engine, word)
        });
        Self {
            test: &case.test,
            name: &case.name,
            expect: expectation(case.expect),
            got: got.collect(),
            egress_rule: &case.egress_rule,
            ingress_rule: &case.ingress_rule,
            ok: case.failure.is_none(),
            message: case.failure.as_deref(),
        }
    }
}

fn expectation(expect: Expect) -> Value {
    let word = |allows: bool| if allows { "allow" } else { "deny" };
    match expect {
        Expect::Verdict(allows) => json!(word(allows)),
        Expect::Sides { egress, ingress } => {
            let sides = [("egress", egress), ("ingress", ingress)];
            sides
                .into_iter()
                .filter_map(|(side, v)| Some((side, word(v?))))
                .collect()
        }
    }
}
