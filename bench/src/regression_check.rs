use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cpu_contention::ContentionGauge;
use crate::machine;
use crate::program;
use crate::results::{Measurement, median};
use records::RatioRecords;

/// Ratios per kind of CPU, as they were when somebody kept them.
mod records;

/// How much worse than the record a ratio to the reference may be.
const MAX_INCREASE: f64 = 1.25;
/// A machine that others use too is slow now and then, and not five times in the same place.
const MAX_RUNS: usize = 5;

/// With others on the CPU, per scenario.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// What Bailey takes, in times of what the reference takes in the same run, by scenario.
type Ratios = BTreeMap<String, f64>;

/// Measures a part of the programs and compares it with the record of this kind of CPU. One that has no
/// record is held to the worst of all others.
pub(crate) fn check(path: &Path) -> Result<()> {
    let (records, cpu) = (RatioRecords::read(path)?, machine::cpu_model());
    let mut gauge = program::contention_gauge(MAX_WAIT)?;
    let (known, source) = records.for_cpu(&cpu)?;
    println!("{cpu}: compared with {source}");
    let mut best = Ratios::new();
    for _ in 0..MAX_RUNS {
        let again = |name: &str| is_regression(&best, &known, name);
        for (name, now) in measure_ratios(&mut gauge, again)? {
            let least = best.entry(name).or_insert(f64::INFINITY);
            *least = least.min(now);
        }
    }
    for (name, now) in &best {
        let known = known.get(name).copied().unwrap_or(f64::NAN);
        println!("{name:<28} {now:>6.2} of the reference, recorded {known:.2}");
    }
    let slower: Vec<_> = best
        .keys()
        .filter(|name| is_regression(&best, &known, name))
        .collect();
    ensure!(
        slower.is_empty(),
        "slower than recorded, by more than {:.0} % in {MAX_RUNS} runs: {slower:?}. If that is meant to be, \
         `make bench-check RECORD=1` makes another record",
        (MAX_INCREASE - 1.0) * 100.0,
    );
    Ok(())
}

/// Measures as often as a check does at most, and keeps the median for this kind of CPU.
pub(crate) fn record(path: &Path) -> Result<()> {
    let mut runs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut gauge = program::contention_gauge(MAX_WAIT)?;
    for _ in 0..MAX_RUNS {
        for (name, now) in measure_ratios(&mut gauge, |_| true)? {
            runs.entry(name).or_default().push(now);
        }
    }
    let ratios: Ratios = runs
        .into_iter()
        .filter_map(|(name, runs)| Some((name, median(&runs)?)))
        .collect();
    for (name, ratio) in &ratios {
        println!("{name:<28} {ratio:>6.2} of the reference");
    }
    let mut records = RatioRecords::read(path)?;
    records.replace(machine::cpu_model(), ratios);
    records.write(path)
}

/// Is what was measured last too slow, or nothing known of it?
fn is_regression(measured: &Ratios, known: &Ratios, name: &str) -> bool {
    match (measured.get(name), known.get(name)) {
        (Some(measured), Some(known)) => *measured > known * MAX_INCREASE,
        _ => true,
    }
}

/// Each scenario of the short part that is wanted, once.
fn measure_ratios(gauge: &mut ContentionGauge, wanted: impl Fn(&str) -> bool) -> Result<Ratios> {
    let mut ratios = Ratios::new();
    for kind in program::checked_kinds() {
        for ipv6 in [false, true] {
            let name = kind.name(ipv6);
            if wanted(&name) {
                let measured = ratio_to_baseline(&program::measure(kind, ipv6, gauge)?)
                    .with_context(|| name.clone())?;
                ratios.insert(name, measured);
            }
        }
    }
    Ok(ratios)
}

/// Bailey over the reference, in the results of one scenario.
fn ratio_to_baseline(results: &[Measurement]) -> Result<f64> {
    let of = |system: &str| {
        let mut of_system = results.iter().filter(|result| result.system == system);
        let found = of_system.find(|result| result.metric == program::METRIC);
        let value = found.and_then(|result| result.value);
        value.with_context(|| format!("nothing measured of {system}"))
    };
    Ok(of("bailey")? / of("reference")?)
}
