//! Regression check: fails if a ratio to the LRU-hash/LPM baseline is worse than recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cpu_contention::ContentionGauge;
use crate::machine;
use crate::program;
use crate::results::{BASELINE, Measurement, median};
use records::RatioRecords;

/// Recorded ratios, by CPU model.
mod records;

/// Maximum ratio relative to the record; a greater one is a regression.
const MAX_INCREASE: f64 = 1.25;
/// Runs before a regression is reported. Contention slows single runs, but rarely the same scenario
/// in all runs.
const MAX_RUNS: usize = 5;

/// Maximum time to wait for an uncontended CPU, per scenario.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Bailey's time divided by the baseline's time in the same run, by scenario.
type Ratios = BTreeMap<String, f64>;

/// Measures some scenarios, and compares them with the record of this CPU model. A model without a
/// record is compared with the worst ratios of all models.
///
/// # Errors
/// If a ratio is worse than recorded in every run.
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
        println!("{name:<28} {now:>6.2} × the baseline, recorded {known:.2} ×");
    }
    let slower: Vec<_> = best
        .keys()
        .filter(|name| is_regression(&best, &known, name))
        .collect();
    ensure!(
        slower.is_empty(),
        "slower than recorded by more than {:.0} % in {MAX_RUNS} runs: {slower:?}; if intended, record \
         new ratios with `make bench-check RECORD=1`",
        (MAX_INCREASE - 1.0) * 100.0,
    );
    Ok(())
}

/// Records the median ratios of this CPU model.
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
        println!("{name:<28} {ratio:>6.2} × the baseline");
    }
    let mut records = RatioRecords::read(path)?;
    records.replace(machine::cpu_model(), ratios);
    records.write(path)
}

/// Whether a scenario is slower than recorded, or not yet measured.
fn is_regression(measured: &Ratios, known: &Ratios, name: &str) -> bool {
    match (measured.get(name), known.get(name)) {
        (Some(measured), Some(known)) => *measured > known * MAX_INCREASE,
        _ => true,
    }
}

/// Measures each selected scenario of the check once.
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

/// Bailey's time divided by the baseline's time in the results of one scenario.
fn ratio_to_baseline(results: &[Measurement]) -> Result<f64> {
    let of = |system: &str| {
        let mut of_system = results.iter().filter(|result| result.system == system);
        let found = of_system.find(|result| result.metric == program::METRIC);
        let value = found.and_then(|result| result.value);
        value.with_context(|| format!("no result of {system}"))
    };
    Ok(of("bailey")? / of(BASELINE)?)
}
