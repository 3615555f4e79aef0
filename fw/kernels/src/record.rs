use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::vm::Run;

/// What a run ended in, by suite: kept in docs/kernels.json, and what the next run is compared with.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    suites: BTreeMap<String, Suite>,
}

/// What one kernel's run ended in.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Suite {
    pub(crate) kernel: String,
    /// `driver: feature`, and whether it passed.
    pub(crate) checks: BTreeMap<String, bool>,
    /// Instructions that the verifier processed, by variant and program.
    pub(crate) verified: BTreeMap<String, u64>,
    /// Instructions per packet, by fixture.
    pub(crate) packets: BTreeMap<String, u64>,
    /// What else was found out.
    pub(crate) facts: BTreeMap<String, String>,
}

/// The verifier's limit.
const VERIFIER_LIMIT: u64 = 1_000_000;
/// Of it 30 % stay free, on every kernel.
const VERIFIER_MOST: u64 = VERIFIER_LIMIT / 10 * 7;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

impl Record {
    pub(crate) fn of(runs: &[Run]) -> Self {
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
                    let numbers = match outcome.feature.as_str() {
                        "programs verified" => &mut suite.verified,
                        "instructions per packet" => &mut suite.packets,
                        _ => {
                            let name = format!("{}: {name}", outcome.driver);
                            suite.facts.insert(name, value.clone());
                            continue;
                        }
                    };
                    numbers.insert(name.clone(), value.parse().unwrap_or(u64::MAX));
                }
            }
            record.suites.insert(run.kernel.suite.clone(), suite);
        }
        record
    }

    /// Did everything pass that there is?
    pub(crate) fn complete(&self) -> bool {
        self.suites
            .values()
            .all(|suite| suite.checks.values().all(|passed| *passed))
    }

    pub(crate) fn read() -> Result<Option<Self>> {
        let path = folder().join("kernels.json");
        if !path.exists() {
            return Ok(None);
        }
        let record = serde_json::from_slice(&fs::read(&path)?);
        Ok(Some(record.with_context(|| path.display().to_string())?))
    }

    pub(crate) fn write(&self) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(folder().join("kernels.json"), text)?)
    }

    /// What is worse than in another record: a check that passed and does not, a program that costs the
    /// verifier a fifth more, a packet that costs a twentieth more.
    pub(crate) fn worse_than(&self, known: &Self) -> Vec<String> {
        let mut worse = self.dearer_than(known);
        for name in known.suites.keys() {
            if !self.suites.contains_key(name) {
                worse.push(format!("{name}: was not run"));
            }
        }
        for (name, suite) in &self.suites {
            let nothing = Suite::default();
            let before = known.suites.get(name).unwrap_or(&nothing);
            for check in before
                .checks
                .iter()
                .filter(|(_, passed)| **passed)
                .map(|(check, _)| check)
            {
                if suite.checks.get(check) != Some(&true) {
                    worse.push(format!("{}: {check} passed before", suite.kernel));
                }
            }
            for (what, now, then) in [
                ("verifier", &suite.verified, &before.verified),
                ("packet", &suite.packets, &before.packets),
            ] {
                for name in then.keys().filter(|name| !now.contains_key(*name)) {
                    worse.push(format!(
                        "{}: {name}: no count ({what}) any more",
                        suite.kernel
                    ));
                }
            }
        }
        worse
    }

    /// The same of counts alone, and only of those that have been taken.
    pub(crate) fn dearer_than(&self, known: &Self) -> Vec<String> {
        let mut worse = Vec::new();
        for (name, suite) in &self.suites {
            let nothing = Suite::default();
            let before = known.suites.get(name).unwrap_or(&nothing);
            for (program, &count) in &suite.verified {
                if count > VERIFIER_MOST {
                    worse.push(format!(
                        "{}: {program}: the verifier processes {count} instructions, more than {VERIFIER_MOST}",
                        suite.kernel
                    ));
                }
            }
            for (what, now, then, percent) in [
                (
                    "instructions for the verifier",
                    &suite.verified,
                    &before.verified,
                    20,
                ),
                (
                    "instructions per packet",
                    &suite.packets,
                    &before.packets,
                    5,
                ),
            ] {
                for (name, &count) in now {
                    let known = then.get(name).copied().unwrap_or(count);
                    if count.saturating_mul(100) > known.saturating_mul(100 + percent) {
                        worse.push(format!(
                            "{}: {name}: {count} {what}, {known} before; {percent} % more are allowed",
                            suite.kernel
                        ));
                    }
                }
            }
        }
        worse
    }

    /// The suites, from the oldest kernel on.
    pub(crate) fn suites(&self) -> Vec<&Suite> {
        let order = ["bookworm", "trixie", "sid"];
        let suites = order.into_iter();
        suites.filter_map(|name| self.suites.get(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(verified: u64, packet: u64, passed: bool) -> Record {
        let one = |name: &str, value| BTreeMap::from([(name.to_owned(), value)]);
        let suite = Suite {
            kernel: "7.2".into(),
            checks: BTreeMap::from([("veth: bridge".to_owned(), passed)]),
            verified: one("host.entry_xdp", verified),
            packets: one("ipv4.established", packet),
            facts: BTreeMap::new(),
        };
        Record {
            suites: BTreeMap::from([("sid".to_owned(), suite)]),
        }
    }

    #[test]
    fn what_is_worse_is_told_and_what_is_not_is_not() {
        let known = record(10_000, 200, true);
        assert!(record(11_999, 210, true).worse_than(&known).is_empty());
        assert!(record(100, 1, true).worse_than(&known).is_empty());
        for (now, told) in [
            (record(12_001, 200, true), "20 % more"),
            (record(10_000, 211, true), "5 % more"),
            (record(10_000, 200, false), "passed before"),
        ] {
            let worse = now.worse_than(&known);
            assert_eq!(worse.len(), 1, "{worse:?}");
            assert!(worse[0].contains(told), "{worse:?}");
        }
        let full = record(700_001, 200, true);
        assert_eq!(full.worse_than(&record(700_000, 200, true)).len(), 1);
        assert_eq!(record(1, 1, true).worse_than(&Record::default()).len(), 0);
        assert!(!record(1, 1, false).complete());
        let gone = Record::default().worse_than(&known);
        assert_eq!(gone, ["sid: was not run"]);
    }
}
