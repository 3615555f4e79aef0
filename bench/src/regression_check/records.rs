use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::Ratios;

/// `docs/ratios.json`: what a check compares with. Ratios to the reference are those of a kind of CPU: what
/// a call or a return costs differs more between two of them than any change of the programs is to cost.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RatioRecords {
    /// Of this structure.
    schema_version: u32,
    /// By the name that /proc/cpuinfo has for the CPU.
    cpus: BTreeMap<String, Ratios>,
}

/// Of the JSON.
const SCHEMA_VERSION: u32 = 1;

impl RatioRecords {
    /// None yet, if there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            other => other.with_context(|| path.display().to_string())?,
        };
        let records: Self =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        ensure!(
            records.schema_version == SCHEMA_VERSION,
            "{} has version {} of the format, this program reads {SCHEMA_VERSION}; record again",
            path.display(),
            records.schema_version
        );
        Ok(records)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())
    }

    /// What a CPU of this name is held to, and whose record it is.
    pub(crate) fn for_cpu(&self, cpu: &str) -> Result<(Ratios, &'static str)> {
        if let Some(own) = self.cpus.get(cpu) {
            return Ok((own.clone(), "its own record"));
        }
        let mut worst = Ratios::new();
        for (name, ratio) in self.cpus.values().flatten() {
            let known = worst.entry(name.clone()).or_insert(*ratio);
            *known = known.max(*ratio);
        }
        ensure!(
            !worst.is_empty(),
            "nothing is recorded of any CPU; `make bench-check RECORD=1` does it"
        );
        Ok((worst, "the worst of all others, as it has no record"))
    }

    /// Instead of what was known of CPUs of this name.
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
    fn a_cpu_is_held_to_its_own_record_and_an_unknown_one_to_the_worst() {
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
    fn what_is_kept_is_read_again_and_replaces_only_its_own() {
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
    fn another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ratios.json");
        fs::write(&path, r#"{"schema_version": 2, "cpus": {}}"#).unwrap();
        let error = RatioRecords::read(&path).unwrap_err().to_string();
        assert!(error.contains("version 2"), "{error}");
    }
}
