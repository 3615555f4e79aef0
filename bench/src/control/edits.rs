use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bailey_lab::wire::LEFT;
use bailey_lab::{Daemon, Wire};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{GROUP, SYSTEM};
use crate::daemon_under_test::{self, DaemonOptions};
use crate::results::Measurement;
use crate::wire::{SERVER, testbed::WireTestbed};
use crate::{cluster, memory};

/// Policies, each with ten workloads until there are as many as a large cluster has.
pub(crate) const SIZES: [(&str, usize); 4] = [
    ("policies-10", 10),
    ("policies-1k", 1000),
    ("policies-10k", 10_000),
    ("policies-50k", 50_000),
];
const WORKLOADS: usize = 100_000;
const ROUNDS: u16 = 5;
/// In each of them.
const EDITS_PER_ROUND: u16 = 5;
/// Ports that edits open, one each.
const FIRST_PORT: u16 = 20_000;
const EDIT_TIMEOUT: Duration = Duration::from_secs(60);
/// From one probe to the next: what an edit's time is uncertain by.
const PROBE_INTERVAL: Duration = Duration::from_micros(100);

/// One policy is edited while a cluster's others stay as they are.
pub(crate) fn run(name: &str, policies: usize) -> Result<Vec<Measurement>> {
    let testbed = WireTestbed::new()?;
    let wire = &testbed.wire;
    daemon_under_test::write_config(
        wire,
        &DaemonOptions {
            flows: 1 << 16,
            allow_floods: false,
        },
    )?;
    let folder = daemon_under_test::policy_dir(wire);
    cluster::write(&folder, WORKLOADS.min(policies * 10), policies)?;
    daemon_under_test::write_server_workload(wire, &[SERVER.into()])?;
    open_port(wire, FIRST_PORT - 1)?;
    // Files that were just written would be read once more, to be sure.
    sleep(Duration::from_secs(3));
    let mut samples = Samples::default();
    for round in 0..ROUNDS {
        let first = FIRST_PORT + round * EDITS_PER_ROUND;
        run_round(wire, first..first + EDITS_PER_ROUND, &mut samples)?;
    }
    let names = |metric| [GROUP, name, SYSTEM, metric];
    let results = samples.0.into_iter();
    Ok(results
        .map(|(metric, values)| Measurement::from_runs(names(metric), values))
        .collect())
}

/// What was measured so far.
#[derive(Debug, Default)]
struct Samples(BTreeMap<&'static str, Vec<f64>>);

impl Samples {
    fn add(&mut self, metric: &'static str, value: f64) {
        self.0.entry(metric).or_default().push(value);
    }
}

/// A daemon starts where nothing is loaded, reads edits, is killed, comes back, and leaves nothing.
fn run_round(wire: &Wire, ports: Range<u16>, samples: &mut Samples) -> Result<()> {
    let begun = Instant::now();
    let mut daemon = daemon_under_test::launch(wire, "attached")?;
    samples.add("start_ms", milliseconds(begun.elapsed()));
    for port in ports {
        samples.add("edit_to_packet_ms", time_edit_ms(wire, port)?);
    }
    record_stages(&mut daemon, samples);
    let process = daemon.pid().to_string();
    let held = memory::process_mib(&process, "VmRSS:");
    samples.add("daemon_mib", held as f64);
    let peak = memory::process_mib(&process, "VmHWM:");
    samples.add("daemon_peak_mib", peak as f64);
    samples.add("maps_mib", memory::process_maps_mib(&process) as f64);
    kill(&mut daemon)?;
    let begun = Instant::now();
    daemon = daemon_under_test::launch(wire, "adopted")?;
    samples.add("restart_to_adopted_ms", milliseconds(begun.elapsed()));
    kill(&mut daemon)?;
    daemon_under_test::detach(wire)
}

fn kill(daemon: &mut Daemon) -> Result<()> {
    daemon.signal(Signal::SIGKILL)?;
    daemon.wait()?;
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Lets everybody send datagrams to a port of the server, in the place of the one before.
fn open_port(wire: &Wire, port: u16) -> Result<()> {
    let rule = json!({"ports": [{"protocol": "UDP", "port": port}]});
    daemon_under_test::write_policy(&daemon_under_test::policy_dir(wire), "opened", &rule)
}

/// Milliseconds from before the file is written to the first datagram that it lets in.
fn time_edit_ms(wire: &Wire, port: u16) -> Result<f64> {
    let bind = move || UdpSocket::bind((IpAddr::V4(SERVER), port));
    let server = wire.right.run(bind).context("server")?;
    server.set_read_timeout(Some(EDIT_TIMEOUT))?;
    let client: IpAddr = LEFT[0].parse()?;
    let client = wire.left.run(move || UdpSocket::bind((client, 0)));
    let (client, stop) = (client.context("client")?, Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let prober = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            // Before the port is open nothing comes back, and that is no error.
            let _ = client.send_to(&[0; 16], (IpAddr::V4(SERVER), port));
            sleep(PROBE_INTERVAL);
        }
    });
    // Let it settle; edits do not follow at once.
    sleep(Duration::from_millis(200));
    let begun = Instant::now();
    open_port(wire, port)?;
    let received = server.recv(&mut [0; 16]);
    let elapsed = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let _ = prober.join();
    received.with_context(|| format!("port {port} did not open"))?;
    Ok(milliseconds(elapsed))
}

/// What the daemon says of each of its edits.
fn record_stages(daemon: &mut Daemon, samples: &mut Samples) {
    let log = daemon.log();
    let committed = log
        .iter()
        .filter(|line| line.contains("generation committed"))
        .skip(1);
    for line in committed {
        for (stage, key) in [
            ("read_ms", "read_ms="),
            ("compile_ms", "compile_ms="),
            ("install_ms", "install_ms="),
        ] {
            let rest = line.find(key).map(|at| &line[at + key.len()..]);
            let word = rest.and_then(|rest| rest.split_whitespace().next());
            if let Some(value) = word.and_then(|word| word.parse().ok()) {
                samples.add(stage, value);
            }
        }
    }
}
