//! Time of a commit in the datapath: from compiled tables to the new generation, and until the
//! datapath can take the next one. The daemon's other work is not part of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bailey_compile::{CompileLimits, RuleIds, Tables, compile};
use bailey_config::Settings;
use bailey_datapath::{ControlWord, Datapath, Enforcer, PinDir};

use super::{GROUP, SYSTEM};
use crate::policies::PolicySet;
use crate::results::Measurement;

/// Scenarios with their number of rules.
pub(crate) const SIZES: [(&str, usize); 2] =
    [("install-10-rules", 10), ("install-10k-rules", 10_000)];
/// Each slot of the program arrays is filled and cleared at least twice.
const COMMITS: usize = 24;
/// Interval between looks at the control word: the uncertainty of the time of the commit.
const POLL_INTERVAL: Duration = Duration::from_micros(50);

/// Commits two sets of tables in turns. Nothing is attached, but the entry programs are loaded and
/// use the program arrays.
pub(crate) fn run(name: &str, rules: usize) -> Result<Vec<Measurement>> {
    let limits = CompileLimits::default();
    let compile_after = |rules, known: &RuleIds| -> Result<Tables> {
        let snapshot = PolicySet::Rules(rules).snapshot();
        Ok(compile(&snapshot, known, &limits)?)
    };
    let first = compile_after(rules, &RuleIds::default())?;
    let second = compile_after(rules + 1, &first.rules)?;
    let pins = PinDir::private().context("cannot create pins; run as root")?;
    let watched = pins.clone_handle()?;
    let mut datapath = Datapath::open(pins, Settings::default(), RuleIds::default())?;
    datapath.install(&first)?;
    // Times from compiled tables to the commit, from there to the end, and in total.
    let mut times = [(); 3].map(|()| Vec::new());
    for tables in [&second, &first].into_iter().cycle().take(COMMITS) {
        let begun = Instant::now();
        let generation = ControlWord::read(&watched)?.generation;
        let returned = AtomicBool::new(false);
        let (committed, ready) = scope(|scope| -> Result<(Instant, Instant)> {
            let watcher = scope.spawn(|| await_commit(&watched, generation, &returned));
            let installed = datapath.install(tables);
            let ready = Instant::now();
            returned.store(true, Ordering::Relaxed);
            let committed = watcher.join().ok().context("the watcher panicked")??;
            installed?;
            Ok((committed.min(ready), ready))
        })?;
        let durations = [committed - begun, ready - committed, ready - begun];
        for (times, duration) in times.iter_mut().zip(durations) {
            times.push(duration.as_secs_f64() * 1e3);
        }
    }
    let metrics = ["tables_to_commit_ms", "commit_to_ready_ms", "commit_ms"];
    let results = metrics.into_iter().zip(times);
    Ok(results
        .map(|(metric, times)| Measurement::from_runs([GROUP, name, SYSTEM, metric], times))
        .collect())
}

/// Time at which the control word names another generation, or the installation has returned.
fn await_commit(pins: &PinDir, before: u32, returned: &AtomicBool) -> Result<Instant> {
    while ControlWord::read(pins)?.generation == before && !returned.load(Ordering::Relaxed) {
        sleep(POLL_INTERVAL);
    }
    Ok(Instant::now())
}
