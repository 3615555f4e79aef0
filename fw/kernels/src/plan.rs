use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a guest is to do: one process after the other.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Modules to load, in this order; paths in the guest.
    pub modules: Vec<String>,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One cell of the matrix.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// The column: `veth`, `virtio_net`, `igb`, or `kernel` for what has no driver.
    pub driver: String,
    /// The row.
    pub feature: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// It is killed after so many seconds.
    pub seconds: u64,
}

impl Check {
    /// As [`check_name`].
    pub fn name(&self) -> String {
        check_name(&self.driver, &self.feature)
    }
}

/// The name of a check in the record: `driver: feature`.
pub fn check_name(driver: &str, feature: &str) -> String {
    format!("{driver}: {feature}")
}

/// What became of a check: a line that begins with [`MARK`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// As in [`Check`].
    pub driver: String,
    /// As in [`Check`].
    pub feature: String,
    /// Did it exit with 0?
    pub passed: bool,
    /// How long it took.
    pub seconds: f64,
    /// The last lines that it wrote, if it failed.
    pub output: String,
    /// Lines `name=value` that it wrote to be recorded.
    pub values: BTreeMap<String, String>,
}

/// Begins a line on the guest's console that is meant for the host.
pub const MARK: &str = "@@bailey ";
/// Begins a line of a check that is to be recorded.
pub const VALUE: &str = "@@value ";
