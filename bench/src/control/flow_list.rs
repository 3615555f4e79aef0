//! Time and memory of a list of a million flows, which the CLI reads through the socket of the daemon.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailey_lab::daemon::CONFIG;

use super::{GROUP, SYSTEM};
use crate::daemon_under_test::{self, DaemonOptions};
use crate::memory::{process_mib, process_own_mib};
use crate::results::Measurement;
use crate::wire::steady_traffic::SteadyTraffic;
use crate::wire::testbed::WireTestbed;

pub(crate) const NAME: &str = "conntrack-list-1m";
const FLOWS: u32 = 1 << 20;
const RUNS: usize = 5;
/// Interval between two readings of the memory.
const INTERVAL: Duration = Duration::from_millis(50);

/// Creates the flows with datagrams and answers, and lists them.
pub(crate) fn run() -> Result<Vec<Measurement>> {
    let mut random = fastrand::Rng::with_seed(0x6c69_7374);
    let mut testbed = WireTestbed::new()?;
    daemon_under_test::write_config(
        &testbed.wire,
        &DaemonOptions {
            flows: FLOWS,
            allow_floods: true,
            without_recorder: false,
        },
    )?;
    daemon_under_test::write_server_policies(&testbed.wire, &[])?;
    let daemon = daemon_under_test::launch(&testbed.wire, "attached")?;
    testbed.attach_receivers("count")?;
    testbed.pin_device_threads()?;
    SteadyTraffic::establish(&testbed, FLOWS, &mut random)?;

    let server = daemon.pid().to_string();
    let mut values = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        let list = list_flows(&testbed, &server)?;
        let columns = [
            list.seconds * 1000.0,
            list.lines as f64,
            list.reader_mib as f64,
            list.daemon_mib as f64,
        ];
        for (values, value) in values.iter_mut().zip(columns) {
            values.push(value);
        }
    }
    let metrics = ["list_ms", "flows", "reader_mib", "daemon_more_mib"];
    let results = metrics.into_iter().zip(values);
    Ok(results
        .map(|(metric, values)| Measurement::from_runs([GROUP, NAME, SYSTEM, metric], values))
        .collect())
}

struct FlowList {
    seconds: f64,
    lines: u64,
    /// Peak memory of the CLI.
    reader_mib: u64,
    /// Memory of the daemon beyond that before the list.
    daemon_mib: u64,
}

/// Runs the CLI with its output in a file, and counts the lines.
fn list_flows(testbed: &WireTestbed, daemon: &str) -> Result<FlowList> {
    let root = testbed.wire.root();
    let output = root.join("flows.ndjson");
    let mut command = Command::new(daemon_under_test::binary_path()?);
    command
        .args(["conntrack", "list", "--output", "ndjson", "--config"])
        .arg(root.join(CONFIG))
        .stdout(File::create(&output)?)
        .stderr(Stdio::inherit());
    let before = process_own_mib(daemon);
    let begun = Instant::now();
    let mut reader = command.spawn().context("bailey")?;
    let (process, is_done) = (reader.id().to_string(), AtomicBool::new(false));
    let (seconds, [reader_mib, daemon_mib]) = scope(|scope| -> Result<_> {
        let memory = scope.spawn(|| {
            let mut most = [0, 0];
            while !is_done.load(Ordering::Relaxed) {
                most[0] = process_mib(&process, "VmHWM:").max(most[0]);
                most[1] = process_own_mib(daemon).max(most[1]);
                sleep(INTERVAL);
            }
            most
        });
        let status = reader.wait();
        let seconds = begun.elapsed().as_secs_f64();
        is_done.store(true, Ordering::Relaxed);
        let most = memory.join().ok().context("a reader of memory panicked")?;
        ensure!(status?.success(), "conntrack list failed");
        Ok((seconds, most))
    })?;
    Ok(FlowList {
        seconds,
        lines: count_lines(File::open(&output)?)?,
        reader_mib,
        daemon_mib: daemon_mib.saturating_sub(before),
    })
}

fn count_lines(file: File) -> Result<u64> {
    let mut reader = BufReader::new(file);
    let mut lines = 0;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(lines);
        }
        lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        let bytes = chunk.len();
        reader.consume(bytes);
    }
}
