//! Edit latency: from the edit of a policy file to the first packet that the new policy allows.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bailey_lab::inline_testbed::LEFT;
use bailey_lab::{Daemon, InlineTestbed};
use nix::sys::signal::Signal;
use serde_json::json;

use super::console;
use super::readers::cpu_ms_per_second;
use super::requests::time_request_ms;
use super::{GROUP, SYSTEM};
use crate::daemon_under_test::{self, DaemonOptions};
use crate::results::Measurement;
use crate::wire::frames::SERVER;
use crate::wire::testbed::WireTestbed;
use crate::{cluster, memory};

/// Numbers of policies; each has ten workloads, up to [`WORKLOADS`].
pub(crate) const SIZES: [(&str, usize); 4] = [
    ("policies-10", 10),
    ("policies-1k", 1000),
    ("policies-10k", 10_000),
    ("policies-50k", 50_000),
];
const WORKLOADS: usize = 100_000;
const ROUNDS: u16 = 5;
/// Edits in each round.
const EDITS_PER_ROUND: u16 = 5;
/// First of the ports that the edits open, one port per edit.
const FIRST_PORT: u16 = 20_000;
const EDIT_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval between probes: the uncertainty of an edit's time.
const PROBE_INTERVAL: Duration = Duration::from_micros(100);

/// Edits one policy of a cluster, and measures the time until the first allowed packet.
pub(crate) fn run(name: &str, policies: usize) -> Result<Vec<Measurement>> {
    let testbed = WireTestbed::new()?;
    let wire = &testbed.wire;
    daemon_under_test::write_config(
        wire,
        &DaemonOptions {
            flows: 1 << 16,
            allow_floods: false,
            without_recorder: false,
        },
    )?;
    let folder = daemon_under_test::policy_dir(wire);
    cluster::write(&folder, WORKLOADS.min(policies * 10), policies)?;
    daemon_under_test::write_server_workload(wire, &[SERVER.into()])?;
    open_port(wire, FIRST_PORT - 1)?;
    // The daemon reads recently written files twice; wait until they no longer count as recent.
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

/// Values of all rounds so far, by metric.
#[derive(Debug, Default)]
struct Samples(BTreeMap<&'static str, Vec<f64>>);

impl Samples {
    fn add(&mut self, metric: &'static str, value: f64) {
        self.0.entry(metric).or_default().push(value);
    }
}

/// Starts a daemon with nothing loaded, times edits, kills the daemon, times its restart, and
/// detaches.
fn run_round(wire: &InlineTestbed, ports: Range<u16>, samples: &mut Samples) -> Result<()> {
    let begun = Instant::now();
    let mut daemon = daemon_under_test::launch(wire, "attached")?;
    samples.add("start_ms", milliseconds(begun.elapsed()));
    for port in ports {
        samples.add("edit_to_packet_ms", time_edit_ms(wire, port)?);
    }
    record_stages(&mut daemon, samples);
    let process = daemon.pid().to_string();
    samples.add("daemon_mib", memory::process_own_mib(&process) as f64);
    // With the maps in the address space of the daemon.
    let peak = memory::process_mib(&process, "VmHWM:");
    samples.add("daemon_peak_mib", peak as f64);
    samples.add("maps_mib", memory::process_maps_mib(&process) as f64);
    let socket = wire.root().join("run/bailey.sock");
    for (metric, path) in [
        ("scrape_ms", "/metrics"),
        ("status_ms", "/v1/status"),
        ("rules_ms", "/v1/rules"),
    ] {
        samples.add(metric, time_request_ms(&socket, path)?);
    }
    for (metric, readers) in [
        ("cpu_no_reader_ms_per_s", 0),
        ("cpu_1_reader_ms_per_s", 1),
        ("cpu_100_readers_ms_per_s", 100),
    ] {
        samples.add(metric, cpu_ms_per_second(&process, &socket, readers)?);
    }
    let console = console::measure(wire.root(), &process)?;
    for (metric, value) in [
        ("console_first_screen_ms", console.first_screen_ms),
        ("console_cpu_percent", console.cpu_percent),
        ("console_mib", console.mib),
        ("console_bytes_per_s", console.bytes_per_second),
        ("cpu_1_console_ms_per_s", console.daemon_ms_per_second),
    ] {
        samples.add(metric, value);
    }
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

/// Writes the policy that opens this port of the server to datagrams, instead of the previous port.
fn open_port(wire: &InlineTestbed, port: u16) -> Result<()> {
    let rule = json!({"ports": [{"protocol": "UDP", "port": port}]});
    daemon_under_test::write_policy(&daemon_under_test::policy_dir(wire), "opened", &rule)
}

/// Milliseconds from the start of writing the file to the first datagram that arrives.
fn time_edit_ms(wire: &InlineTestbed, port: u16) -> Result<f64> {
    let bind = move || UdpSocket::bind((IpAddr::V4(SERVER), port));
    let server = wire.right.run(bind).context("server")?;
    server.set_read_timeout(Some(EDIT_TIMEOUT))?;
    let client: IpAddr = LEFT[0].parse()?;
    let client = wire.left.run(move || UdpSocket::bind((client, 0)));
    let (client, stop) = (client.context("client")?, Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let prober = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            // A datagram that is dropped before the port opens is no error.
            let _ = client.send_to(&[0; 16], (IpAddr::V4(SERVER), port));
            sleep(PROBE_INTERVAL);
        }
    });
    // Separate the edits, so that the daemon is idle at the next one.
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

/// Adds the stage times that the daemon logs for each edit.
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
