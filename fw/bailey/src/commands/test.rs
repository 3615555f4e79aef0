//! `bailey test`: runs PolicyTest files. An invalid file does not prevent the other files from running.

use std::path::{Path, PathBuf};

use bailey_clock::Stopwatch;
use bailey_config::Config;
use bailey_policytest::engine::Engines;
use bailey_policytest::format::{PolicyTest, read_tests};
use bailey_policytest::run::{TestError, run_test};
use bailey_source::{Diagnostic, FileSet};

use crate::args::{TestArgs, TestFormat};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::test_report::TestResults;

/// Runs PolicyTests and prints their results.
pub(crate) fn test(args: &TestArgs) -> Result<Exit, CommandError> {
    let mut stopwatch = Stopwatch::start();
    let mut results = TestResults::default();
    let config = Config::find(args.config.config.as_deref());
    let config = config.map_err(CommandError::Configuration)?;
    let tests = collect_tests(args, &config, &mut results);

    // Only a bridge drops groups and link-local traffic of every host. On a host and on a router the
    // verdict also depends on the addresses of the machine, so there only policy is evaluated.
    let bridge = Some(config.link_scope()).filter(|scope| scope.bridge);
    let mut engines = Engines::new(&args.engine.engines(), config.limits, bridge)?;

    for test in tests {
        match run_test(&test, &config, &mut engines) {
            Ok(cases) => match results.cases.last_mut() {
                Some((file, known)) if *file == test.file => known.extend(cases),
                _ => results.cases.push((test.file.clone(), cases)),
            },
            Err(TestError::Invalid(messages)) => {
                results
                    .errors
                    .extend(messages.into_iter().map(|m| (test.file.clone(), m)));
            }
            Err(TestError::Engine(error)) => {
                let file = test.file;
                return Err(CommandError::EngineInTest { file, error });
            }
        }
    }
    stopwatch.lap("test");
    results.duration = stopwatch.total();

    match args.output {
        TestFormat::Table => results.print_table(),
        TestFormat::Json => results.print_json(),
        TestFormat::Junit => results.print_junit(),
    }
    Ok(if !results.errors.is_empty() {
        Exit::Invalid
    } else if results.failed() > 0 {
        Exit::Negative
    } else {
        Exit::Success
    })
}

/// Reads all files. Invalid files, and paths without a PolicyTest, become errors of the results.
fn collect_tests(args: &TestArgs, config: &Config, results: &mut TestResults) -> Vec<PolicyTest> {
    let mut tests = Vec::new();
    let recursive = args.recursive || config.recursive;
    for path in args.paths.iter().chain(&args.files) {
        let files = match FileSet::list(std::slice::from_ref(path), recursive) {
            Ok(files) => files,
            Err(errors) => {
                results
                    .errors
                    .extend(errors.into_iter().map(|(path, e)| (path, e.to_string())));
                continue;
            }
        };
        let (tests_before, errors_before) = (tests.len(), results.errors.len());
        for file in files.iter() {
            match read_tests(file) {
                Ok(found) => tests.extend(found),
                Err(diagnostics) => results.errors.push(describe_invalid(file, &diagnostics)),
            }
        }
        if tests.len() == tests_before && results.errors.len() == errors_before {
            results
                .errors
                .push((path.clone(), "no PolicyTest found".to_owned()));
        }
    }
    tests
}

fn describe_invalid(file: &Path, diagnostics: &[Diagnostic]) -> (PathBuf, String) {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    (file.to_owned(), lines.join("\n"))
}
