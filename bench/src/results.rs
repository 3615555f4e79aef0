//! Results of benchmarks, as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The results of a benchmark: `target/bench/*.json`, `docs/performance.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Version of this format.
    pub(crate) schema_version: u32,
    /// Facts about the measuring machine, by name.
    pub(crate) machine: BTreeMap<String, String>,
    pub(crate) results: Vec<Measurement>,
}

/// One metric of one system in one scenario, from several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// `program`, `wire`, `control` or `nic`.
    pub(crate) group: String,
    pub(crate) scenario: String,
    pub(crate) system: String,
    /// The metric with its unit: `ns_per_packet`, `mpps`, `p99_ns`.
    pub(crate) metric: String,
    /// The median of the runs; null without runs.
    pub(crate) value: Option<f64>,
    pub(crate) runs: Vec<f64>,
    /// Why there is no value, or a remark on the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Name of the LRU-hash/LPM baseline in results.
pub(crate) const BASELINE: &str = "reference";
/// Name of the least work for a packet of an established flow in results.
pub(crate) const FLOOR: &str = "floor";
/// Name of Bailey without records of packets in results.
pub(crate) const WITHOUT_RECORDER: &str = "bailey-no-recorder";

/// Current version of the format.
const SCHEMA_VERSION: u32 = 1;

impl Measurement {
    /// A measurement with the median of these runs.
    pub(crate) fn from_runs(
        [group, scenario, system, metric]: [&str; 4],
        runs: impl IntoIterator<Item = f64>,
    ) -> Self {
        let runs: Vec<f64> = runs.into_iter().collect();
        Self {
            group: group.to_owned(),
            scenario: scenario.to_owned(),
            system: system.to_owned(),
            metric: metric.to_owned(),
            value: median(&runs),
            runs,
            reason: None,
        }
    }

    /// A measurement without a value, and the reason.
    pub(crate) fn unavailable(names: [&str; 4], reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..Self::from_runs(names, [])
        }
    }

    /// Prints the measurement as one line.
    pub(crate) fn print(&self) {
        let names = format!(
            "{:<22} {:<18} {:<30}",
            self.scenario, self.system, self.metric
        );
        match (self.value, self.range()) {
            (Some(value), Some((least, most))) => {
                println!("{names} {value:>12.2}  ({least:.2} to {most:.2})");
            }
            _ => println!("{names} {:>12}", self.reason.as_deref().unwrap_or("–")),
        }
    }

    /// The least and the greatest run.
    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        let least = self.runs.iter().copied().reduce(f64::min)?;
        let most = self.runs.iter().copied().reduce(f64::max)?;
        Some((least, most))
    }
}

/// The median; for an even number of runs the mean of the two middle runs.
pub(crate) fn median(runs: &[f64]) -> Option<f64> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        even if even % 2 == 0 => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        _ => Some(sorted[middle]),
    }
}

impl Report {
    pub(crate) fn new(results: Vec<Measurement>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            machine: crate::machine::describe(),
            results,
        }
    }

    /// The value of one measurement, by group, scenario, system and metric.
    pub(crate) fn value(&self, [group, scenario, system, metric]: [&str; 4]) -> Option<f64> {
        let found = self.results.iter().find(|result| {
            (result.group.as_str(), result.scenario.as_str()) == (group, scenario)
                && (result.system.as_str(), result.metric.as_str()) == (system, metric)
        });
        found.and_then(|result| result.value)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        let report: Self =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        anyhow::ensure!(
            report.schema_version == SCHEMA_VERSION,
            "{} has schema_version {}, expected {SCHEMA_VERSION}; measure again",
            path.display(),
            report.schema_version
        );
        Ok(report)
    }
}
