//! The results of a run, kept in docs/kernels.json.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::schedule::KernelRun;
use crate::scope::SUITES;

/// The results of a run by Debian suite, to compare the next run with.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) suites: BTreeMap<String, Suite>,
}

/// The results of one kernel.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Suite {
    pub(crate) kernel: String,
    /// By `driver: feature`, whether the check passed.
    pub(crate) checks: BTreeMap<String, bool>,
    /// Instructions that the verifier processed, by variant and program.
    pub(crate) verified: BTreeMap<String, u64>,
    /// Instructions per packet, by fixture.
    pub(crate) packets: BTreeMap<String, u64>,
    /// Capabilities that drivers report.
    pub(crate) facts: BTreeMap<String, String>,
}

/// The folder of docs/kernels.json and docs/kernels.md.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

impl Record {
    /// The record of a run.
    pub(crate) fn of(runs: &[KernelRun]) -> Self {
        let mut record = Self::default();
        for run in runs {
            let mut suite = Suite {
                kernel: run.kernel.version.clone(),
                ..Suite::default()
            };
            for outcome in &run.outcomes {
                let name = format!("{}: {}", outcome.driver, outcome.feature);
                suite.checks.insert(name, outcome.passed);
                for (name, value) in &outcome.values {
                    let counts = match outcome.feature.as_str() {
                        "programs verified" => &mut suite.verified,
                        "instructions per packet" => &mut suite.packets,
                        _ => {
                            let name = format!("{}: {name}", outcome.driver);
                            suite.facts.insert(name, value.clone());
                            continue;
                        }
                    };
                    counts.insert(name.clone(), value.parse().unwrap_or(u64::MAX));
                }
            }
            record.suites.insert(run.kernel.suite.clone(), suite);
        }
        record
    }

    /// Whether all checks of the run passed.
    pub(crate) fn all_passed(&self) -> bool {
        self.suites
            .values()
            .all(|suite| suite.checks.values().all(|passed| *passed))
    }

    /// This record with the results of a later run in their place. A run of the same kernel keeps
    /// the results that it does not have; a run of another kernel replaces them all.
    pub(crate) fn merge(mut self, later: Self) -> Self {
        for (name, suite) in later.suites {
            let known = self.suites.entry(name).or_default();
            if known.kernel != suite.kernel {
                *known = suite;
                continue;
            }
            known.checks.extend(suite.checks);
            known.verified.extend(suite.verified);
            known.packets.extend(suite.packets);
            known.facts.extend(suite.facts);
        }
        self
    }

    /// Reads docs/kernels.json, if it exists.
    pub(crate) fn read() -> Result<Option<Self>> {
        let path = folder().join("kernels.json");
        if !path.exists() {
            return Ok(None);
        }
        let record = serde_json::from_slice(&fs::read(&path)?);
        Ok(Some(record.with_context(|| path.display().to_string())?))
    }

    /// Writes docs/kernels.json.
    pub(crate) fn write(&self) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(folder().join("kernels.json"), text)?)
    }

    /// The results from the oldest kernel to the newest.
    pub(crate) fn suites(&self) -> Vec<&Suite> {
        SUITES
            .into_iter()
            .filter_map(|name| self.suites.get(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kernel: &str, verified: &[(&str, u64)]) -> Record {
        let suite = Suite {
            kernel: kernel.into(),
            verified: verified.iter().map(|&(n, c)| (n.into(), c)).collect(),
            ..Suite::default()
        };
        Record {
            suites: [("sid".to_owned(), suite)].into(),
        }
    }

    #[test]
    fn partial_run_keeps_other_results_of_its_kernel() {
        let known = record("7.2", &[("a", 1), ("b", 2)]);
        let merged = known.merge(record("7.2", &[("b", 3)]));
        let counts = &merged.suites["sid"].verified;
        assert_eq!((counts["a"], counts["b"]), (1, 3));
    }

    #[test]
    fn results_of_another_kernel_are_not_mixed() {
        let merged = record("7.1", &[("a", 1)]).merge(record("7.2", &[("b", 3)]));
        let suite = &merged.suites["sid"];
        assert_eq!((suite.kernel.as_str(), suite.verified.len()), ("7.2", 1));
    }
}
