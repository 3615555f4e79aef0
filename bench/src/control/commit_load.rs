//! Cost and loss of packets while the daemon commits policies.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailey_lab::Daemon;
use ipnet::IpNet;

use super::{GROUP, SYSTEM};
use crate::daemon_under_test::{self, DaemonOptions};
use crate::policies::scattered;
use crate::results::Measurement;
use crate::wire::steady_traffic::SteadyTraffic;
use crate::wire::testbed::WireTestbed;

/// Scenarios, with the number of edits per second.
pub(crate) const NAMES: [(&str, u32); 3] = [("commits-0", 0), ("commits-1", 1), ("commits-10", 10)];
const FLOWS: u32 = 1 << 20;
const PREFIXES: usize = 1000;
const RUNS: usize = 5;
const RUN: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(1);

/// Measures the packet cost and the lost packets of a million flows while policies are committed.
pub(crate) fn run() -> Result<Vec<Measurement>> {
    let mut random = fastrand::Rng::with_seed(0x6368_7572);
    let denied = scattered(PREFIXES, false, &mut random);
    let mut testbed = WireTestbed::new()?;
    daemon_under_test::write_config(
        &testbed.wire,
        &DaemonOptions {
            flows: FLOWS,
            allow_floods: true,
            without_recorder: false,
        },
    )?;
    daemon_under_test::write_server_policies(&testbed.wire, &denied)?;
    let mut daemon = daemon_under_test::launch(&testbed.wire, "attached")?;
    testbed.attach_receivers("count")?;
    testbed.pin_device_threads()?;
    let traffic = SteadyTraffic::establish(&testbed, FLOWS, &mut random)?;
    let folder = daemon_under_test::policy_dir(&testbed.wire);
    let mut results = Vec::new();
    let mut values = NAMES.map(|_| [Vec::new(), Vec::new(), Vec::new()]);
    for _ in 0..RUNS {
        for ((_, rate), values) in NAMES.iter().zip(&mut values) {
            let before = commits(&mut daemon);
            let transfer =
                run_while_editing(&folder, &denied, *rate, || traffic.transfer(&testbed, RUN))?;
            let commits = commits(&mut daemon) - before;
            ensure!(
                (*rate == 0) == (commits == 0),
                "{commits} commits at {rate} edits a second"
            );
            // Let the daemon commit the last edit before the next run.
            sleep(SETTLE);
            let cost = transfer.busy.as_secs_f64() * 1e9 / transfer.processed as f64;
            let seconds = transfer.elapsed.as_secs_f64();
            values[0].push(cost);
            values[1].push(transfer.processed.abs_diff(transfer.arrived) as f64);
            values[2].push(commits as f64 / seconds);
        }
    }
    for ((name, _), values) in NAMES.iter().zip(values) {
        let metrics = ["ns_per_packet", "lost_packets", "commits_per_s"];
        for (metric, values) in metrics.into_iter().zip(values) {
            results.push(Measurement::from_runs(
                [GROUP, name, SYSTEM, metric],
                values,
            ));
        }
    }
    Ok(results)
}

fn commits(daemon: &mut Daemon) -> usize {
    let committed = |line: &&String| line.contains("generation committed");
    daemon.log().iter().filter(committed).count()
}

/// Runs a job while another thread edits a policy `rate` times per second.
fn run_while_editing<T: Send>(
    folder: &Path,
    denied: &[IpNet],
    rate: u32,
    job: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let done = AtomicBool::new(false);
    scope(|scope| {
        let editor = scope.spawn(|| -> Result<()> {
            if rate == 0 {
                return Ok(());
            }
            let (begun, mut edits) = (Instant::now(), 0);
            while !done.load(Ordering::Relaxed) {
                daemon_under_test::write_denied_policy(folder, &denied[(edits % 2) as usize..])?;
                edits += 1;
                let due = Duration::from_secs(1) * edits / rate;
                sleep(due.saturating_sub(begun.elapsed()));
            }
            Ok(())
        });
        let result = job();
        done.store(true, Ordering::Relaxed);
        let edited = editor.join().ok().context("the editor panicked")?;
        edited.and(result)
    })
}
