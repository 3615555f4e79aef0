//! From a file to the packets that it is about, by the daemon as people run it.

use anyhow::Result;

use crate::results::Measured;

mod churn;
mod edits;

const GROUP: &str = "control";
const SYSTEM: &str = "bailey";

/// Scenarios with a text in their names.
pub(crate) fn run(only: &str) -> Result<Vec<Measured>> {
    let mut results = Vec::new();
    let mut keep = |measured: Vec<Measured>| {
        measured.iter().for_each(Measured::print);
        results.extend(measured);
    };
    for (name, policies) in edits::SIZES {
        if name.contains(only) {
            keep(edits::run(name, policies)?);
        }
    }
    if churn::NAMES.iter().any(|(name, _)| name.contains(only)) {
        keep(churn::run()?);
    }
    Ok(results)
}
