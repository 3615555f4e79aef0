use std::path::{Path, PathBuf};

use bailey_clock::Stopwatch;
use bailey_config::Config;
use bailey_policytest::engine::Engines;
use bailey_policytest::format::{PolicyTest, read};
use bailey_policytest::run::{TestError, execute};
use bailey_source::{Diagnostic, FileSet};

use crate::args::{Test, TestFormat};
use crate::exit::Exit;
use crate::output::complain;
use crate::output::test_report::Results;

/// Runs PolicyTests; an invalid file does not keep the others from running.
pub(crate) fn test(options: &Test) -> Exit {
    let mut stopwatch = Stopwatch::start();
    let mut results = Results::default();
    let config = match Config::find(options.config.config.as_deref()) {
        Ok(config) => config,
        Err(message) => {
            complain!("error: {message}");
            return Exit::Invalid;
        }
    };
    let tests = collect(options, &config, &mut results);
    // Elsewhere that depends on which machine is meant, and policies alone are asked.
    let bridge = Some(config.link_scope()).filter(|scope| scope.bridge);
    let wanted = options.engine.engines();
    let mut engines = match Engines::new(&wanted, config.limits, bridge) {
        Ok(engines) => engines,
        Err(error) => {
            complain!(
                "error: {error}; the kernel engine takes CAP_SYS_ADMIN and CAP_BPF: run as root, or use \
                 --engine tables"
            );
            return Exit::NotAuthorised;
        }
    };
    for test in tests {
        match execute(&test, &config, &mut engines) {
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
                complain!("error: {}: {error}", test.file.display());
                return Exit::Internal;
            }
        }
    }
    stopwatch.lap("test");
    results.duration = stopwatch.total();
    match options.output {
        TestFormat::Table => results.print_table(),
        TestFormat::Json => results.print_json(),
        TestFormat::Junit => results.print_junit(),
    }
    if !results.errors.is_empty() {
        Exit::Invalid
    } else if results.failed() > 0 {
        Exit::Negative
    } else {
        Exit::Success
    }
}

/// Reads all files; what cannot be run becomes an error of the results.
fn collect(options: &Test, config: &Config, results: &mut Results) -> Vec<PolicyTest> {
    let mut tests = Vec::new();
    let recursive = options.recursive || config.recursive;
    for path in options.paths.iter().chain(&options.files) {
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
            match read(file) {
                Ok(found) => tests.extend(found),
                Err(diagnostics) => results.errors.push(invalid(file, &diagnostics)),
            }
        }
        if tests.len() == tests_before && results.errors.len() == errors_before {
            results
                .errors
                .push((path.clone(), "no PolicyTest in it".to_owned()));
        }
    }
    tests
}

fn invalid(file: &Path, diagnostics: &[Diagnostic]) -> (PathBuf, String) {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    (file.to_owned(), lines.join("\n"))
}
