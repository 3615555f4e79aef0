//! Control plane: edit latency, restart time and memory of the daemon, time of a commit and of a list of
//! flows, packet cost during commits.

use anyhow::Result;

use crate::results::Measurement;

mod commit_load;
mod console;
mod edits;
mod flow_list;
mod install;
mod readers;
mod requests;

const GROUP: &str = "control";
const SYSTEM: &str = "bailey";

/// Runs all scenarios whose names contain `only`.
pub(crate) fn run(only: &str) -> Result<Vec<Measurement>> {
    let mut results = Vec::new();
    let mut keep = |measured: Vec<Measurement>| {
        measured.iter().for_each(Measurement::print);
        results.extend(measured);
    };
    for (name, policies) in edits::SIZES {
        if name.contains(only) {
            keep(edits::run(name, policies)?);
        }
    }
    for (name, rules) in install::SIZES {
        if name.contains(only) {
            keep(install::run(name, rules)?);
        }
    }
    if flow_list::NAME.contains(only) {
        keep(flow_list::run()?);
    }
    if commit_load::NAMES
        .iter()
        .any(|(name, _)| name.contains(only))
    {
        keep(commit_load::run()?);
    }
    Ok(results)
}
