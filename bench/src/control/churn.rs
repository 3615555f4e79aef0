use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailey_lab::Daemon;
use ipnet::IpNet;

use super::{GROUP, SYSTEM};
use crate::device::{self, Options};
use crate::policies::scattered;
use crate::results::Measured;
use crate::wire::churn::Traffic;
use crate::wire::rig::Rig;

/// Commits a second that are asked for.
pub(crate) const NAMES: [(&str, u32); 3] = [("commits-0", 0), ("commits-1", 1), ("commits-10", 10)];
const FLOWS: u32 = 1 << 20;
const PREFIXES: usize = 1000;
const RUNS: usize = 5;
const RUN: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(1);

/// What a packet of a million flows costs while policies are committed, and how many are lost.
pub(crate) fn run() -> Result<Vec<Measured>> {
    let mut random = fastrand::Rng::with_seed(0x6368_7572);
    let denied = scattered(PREFIXES, false, &mut random);
    let mut rig = Rig::new()?;
    device::configure(
        &rig.wire,
        &Options {
            flows: FLOWS,
            handshakes: true,
        },
    )?;
    device::protect_server(&rig.wire, &denied)?;
    let mut daemon = device::launch(&rig.wire, "attached")?;
    rig.receive("count")?;
    rig.isolate()?;
    let traffic = Traffic::establish(&rig, FLOWS, &mut random)?;
    let folder = device::policies(&rig.wire);
    let mut results = Vec::new();
    let mut values = NAMES.map(|_| [Vec::new(), Vec::new(), Vec::new()]);
    for _ in 0..RUNS {
        for ((_, rate), values) in NAMES.iter().zip(&mut values) {
            let before = commits(&mut daemon);
            let passage = while_edited(&folder, &denied, *rate, || traffic.pass(&rig, RUN))?;
            let commits = commits(&mut daemon) - before;
            ensure!(
                (*rate == 0) == (commits == 0),
                "{commits} commits at {rate} edits a second"
            );
            // What was written last is committed before the next run.
            sleep(SETTLE);
            let cost = passage.busy.as_secs_f64() * 1e9 / passage.processed as f64;
            let seconds = passage.elapsed.as_secs_f64();
            values[0].push(cost);
            values[1].push(passage.processed.abs_diff(passage.arrived) as f64);
            values[2].push(commits as f64 / seconds);
        }
    }
    for ((name, _), values) in NAMES.iter().zip(values) {
        let metrics = ["ns_per_packet", "lost_packets", "commits_per_s"];
        for (metric, values) in metrics.into_iter().zip(values) {
            results.push(Measured::of([GROUP, name, SYSTEM, metric], values));
        }
    }
    Ok(results)
}

fn commits(daemon: &mut Daemon) -> usize {
    let committed = |line: &&String| line.contains("generation committed");
    daemon.log().iter().filter(committed).count()
}

/// Does something while a policy is written again and again, with one prefix more or less.
fn while_edited<T: Send>(
    folder: &Path,
    denied: &[IpNet],
    rate: u32,
    what: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let done = AtomicBool::new(false);
    scope(|scope| {
        let editor = scope.spawn(|| -> Result<()> {
            if rate == 0 {
                return Ok(());
            }
            let (begun, mut edits) = (Instant::now(), 0);
            while !done.load(Ordering::Relaxed) {
                device::write_denied(folder, &denied[(edits % 2) as usize..])?;
                edits += 1;
                let due = Duration::from_secs(1) * edits / rate;
                sleep(due.saturating_sub(begun.elapsed()));
            }
            Ok(())
        });
        let result = what();
        done.store(true, Ordering::Relaxed);
        let edited = editor.join().ok().context("the editor panicked")?;
        edited.and(result)
    })
}
