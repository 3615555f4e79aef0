//! Recorded ratios, by CPU model.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::Ratios;

/// `docs/ratios.json`: the recorded ratios to the LRU-hash/LPM baseline, by CPU model. CPU models
/// need separate records, because their costs of calls and returns differ more than any permitted
/// regression.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RatioRecords {
    /// Version of this format.
    schema_version: u32,
    /// Ratios, by the model name in /proc/cpuinfo.
    cpus: BTreeMap<String, Ratios>,
}

/// Current version of the format.
const SCHEMA_VERSION: u32 = 1;

impl RatioRecords {
    /// Reads the records; empty if the file does not exist.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            other => other.with_context(|| path.display().to_string())?,
        };
        let records: Self =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        ensure!(
            records.schema_version == SCHEMA_VERSION,
            "{} has schema_version {}, expected {SCHEMA_VERSION}; record again with `make bench-check RECORD=1`",
            path.display(),
            records.schema_version
        );
        Ok(records)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())
    }

    /// The ratios that apply to a CPU model, and their origin.
    pub(crate) fn for_cpu(&self, cpu: &str) -> Result<(Ratios, &'static str)> {
        if let Some(own) = self.cpus.get(cpu) {
            return Ok((own.clone(), "the record of this CPU model"));
        }
        let mut worst = Ratios::new();
        for (name, ratio) in self.cpus.values().flatten() {
            let known = worst.entry(name.clone()).or_insert(*ratio);
            *known = known.max(*ratio);
        }
        ensure!(
            !worst.is_empty(),
            "no recorded ratios; run `make bench-check RECORD=1`"
        );
        Ok((
            worst,
            "the worst ratios of all CPU models, because this model has no record",
        ))
    }

    /// Replaces the ratios of a CPU model.
    pub(crate) fn replace(&mut self, cpu: String, ratios: Ratios) {
        self.cpus.insert(cpu, ratios);
    }
}

impl Default for RatioRecords {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            cpus: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios<const N: usize>(pairs: [(&str, f64); N]) -> Ratios {
        pairs.map(|(name, ratio)| (name.to_owned(), ratio)).into()
    }

    #[test]
    fn unknown_cpu_gets_the_worst_ratios() {
        let mut records = RatioRecords::default();
        assert!(records.for_cpu("fast").is_err());
        records.replace("fast".into(), ratios([("denied", 0.5), ("new", 1.0)]));
        records.replace("slow".into(), ratios([("denied", 0.9), ("new", 0.8)]));
        let worst = ratios([("denied", 0.9), ("new", 1.0)]);
        assert_eq!(records.for_cpu("slow").unwrap().0["denied"], 0.9);
        assert_eq!(records.for_cpu("fast").unwrap().0["denied"], 0.5);
        assert_eq!(records.for_cpu("another").unwrap().0, worst);
    }

    #[test]
    fn replaced_ratios_survive_write_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ratios.json");
        let mut records = RatioRecords::read(&path).unwrap();
        records.replace("a".into(), ratios([("denied", 0.5)]));
        records.replace("b".into(), ratios([("denied", 0.6)]));
        records.replace("a".into(), ratios([("denied", 0.7)]));
        records.write(&path).unwrap();
        let read = RatioRecords::read(&path).unwrap();
        assert_eq!(read.for_cpu("a").unwrap().0, ratios([("denied", 0.7)]));
        assert_eq!(read.for_cpu("b").unwrap().0, ratios([("denied", 0.6)]));
    }

    #[test]
    fn other_schema_version_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ratios.json");
        fs::write(&path, r#"{"schema_version": 2, "cpus": {}}"#).unwrap();
        let error = RatioRecords::read(&path).unwrap_err().to_string();
        assert!(error.contains("schema_version 2"), "{error}");
    }
}
