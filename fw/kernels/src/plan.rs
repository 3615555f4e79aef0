//! The messages between host and guest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The work of a guest: checks, each a process, one after the other.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Paths of the modules in the guest, in loading order.
    pub modules: Vec<String>,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One cell of the matrix, to be run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// The driver: `veth`, `virtio_net`, `igb`, or `kernel` for checks without a driver.
    pub driver: String,
    /// The feature that is checked.
    pub feature: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The environment of the program.
    pub environment: BTreeMap<String, String>,
    /// The timeout, after which the program is killed.
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

/// The outcome of a check; on the console, JSON after [`MARK`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// As in [`Check`].
    pub driver: String,
    /// As in [`Check`].
    pub feature: String,
    /// Whether the program ran a test and exited with 0.
    pub passed: bool,
    /// The duration.
    pub seconds: f64,
    /// The end of the output, if the check failed.
    pub output: String,
    /// Values to record, written by the program as lines `name=value` after [`VALUE`].
    pub values: BTreeMap<String, String>,
}

/// Precedes messages to the host on the console of the guest.
pub const MARK: &str = "@@bailey ";
/// Precedes values to record in the output of a check.
pub const VALUE: &str = "@@value ";
