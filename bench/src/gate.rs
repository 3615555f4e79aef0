use std::path::Path;

use anyhow::{Result, ensure};

use crate::program;
use crate::results::{Measured, Report};

/// How much worse than the record a ratio to the reference may be.
const WORSE: f64 = 1.25;
/// A machine that others use too is slow now and then, and not three times in the same place.
const TRIES: usize = 3;

/// Measures a part of the programs and compares it with a record: how long Bailey takes, in times of what
/// the reference takes in the same run.
pub(crate) fn run(record: &Path) -> Result<()> {
    let record = Report::read(record)?;
    let mut worse = Vec::new();
    for kind in program::short() {
        for ipv6 in [false, true] {
            let name = kind.name(ipv6);
            let Some(known) = ratio(&record.results, &name) else {
                continue;
            };
            let mut tries = Vec::new();
            while tries.len() < TRIES && tries.iter().all(|now| *now > known * WORSE) {
                let now = ratio(&program::measure(kind, ipv6)?, &name);
                tries.push(now.unwrap_or(f64::INFINITY));
            }
            let now = tries.iter().copied().fold(f64::INFINITY, f64::min);
            println!("{name:<28} {now:>6.2} of the reference, recorded {known:.2}");
            if now > known * WORSE {
                worse.push(name);
            }
        }
    }
    ensure!(
        worse.is_empty(),
        "slower than recorded, by more than {:.0} % in {TRIES} runs: {}. If that is meant to be, \
         `make bench RECORD=1` makes another record",
        (WORSE - 1.0) * 100.0,
        worse.join(", ")
    );
    Ok(())
}

/// Bailey over the reference.
fn ratio(results: &[Measured], scenario: &str) -> Option<f64> {
    let of = |system: &str| {
        let found = results.iter().find(|result| {
            (result.scenario.as_str(), result.system.as_str()) == (scenario, system)
                && result.metric == program::METRIC
        });
        found.and_then(|result| result.value)
    };
    Some(of("bailey")? / of("reference")?)
}
