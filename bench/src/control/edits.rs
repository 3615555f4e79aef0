use std::net::{IpAddr, UdpSocket};
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
use crate::device::{self, Options};
use crate::results::Measured;
use crate::wire::{SERVER, rig::Rig};
use crate::{cluster, memory};

/// Policies, each with ten workloads until there are as many as a large cluster has.
pub(crate) const SIZES: [(&str, usize); 4] = [
    ("policies-10", 10),
    ("policies-1k", 1000),
    ("policies-10k", 10_000),
    ("policies-50k", 50_000),
];
const WORKLOADS: usize = 100_000;
const EDITS: u16 = 15;
const RESTARTS: usize = 5;
/// Ports that edits open, one each.
const FIRST_PORT: u16 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// From one probe to the next: what an edit's time is uncertain by.
const PROBE: Duration = Duration::from_micros(100);

/// One policy is edited while a cluster's others stay as they are; then the daemon is killed, and comes
/// back.
pub(crate) fn run(name: &str, policies: usize) -> Result<Vec<Measured>> {
    let rig = Rig::new()?;
    let wire = &rig.wire;
    device::configure(
        wire,
        &Options {
            flows: 1 << 16,
            handshakes: false,
        },
    )?;
    let folder = device::policies(wire);
    cluster::write(&folder, WORKLOADS.min(policies * 10), policies)?;
    device::write_server(wire)?;
    open_port(wire, FIRST_PORT - 1)?;
    let begun = Instant::now();
    let mut daemon = device::launch(wire, "attached")?;
    let started = begun.elapsed();
    // Files that were just written are read once more, to be sure.
    sleep(Duration::from_secs(3));
    let edits = (FIRST_PORT..FIRST_PORT + EDITS).map(|port| edit(wire, port));
    let edits = edits.collect::<Result<Vec<f64>>>()?;
    let stages = stages(&mut daemon);
    let process = daemon.pid().to_string();
    let held = memory::of_process(&process, "VmRSS:");
    let peak = memory::of_process(&process, "VmHWM:");
    let maps = memory::maps_of_process(&process);
    let mut restarts = Vec::new();
    for _ in 0..RESTARTS {
        daemon.signal(Signal::SIGKILL)?;
        daemon.wait()?;
        let begun = Instant::now();
        daemon = device::launch(wire, "adopted")?;
        restarts.push(milliseconds(begun.elapsed()));
    }
    let names = |metric| [GROUP, name, SYSTEM, metric];
    let mut results = vec![
        Measured::of(names("start_ms"), [milliseconds(started)]),
        Measured::of(names("edit_to_packet_ms"), edits),
        Measured::of(names("restart_to_adopted_ms"), restarts),
        Measured::of(names("daemon_mib"), [held as f64]),
        Measured::of(names("daemon_peak_mib"), [peak as f64]),
        Measured::of(names("maps_mib"), [maps as f64]),
    ];
    for (stage, times) in stages {
        results.push(Measured::of(names(stage), times));
    }
    Ok(results)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Lets everybody send datagrams to a port of the server, in the place of the one before.
fn open_port(wire: &Wire, port: u16) -> Result<()> {
    let rule = json!({"ports": [{"protocol": "UDP", "port": port}]});
    device::write_policy(&device::policies(wire), "opened", &rule)
}

/// Milliseconds from before the file is written to the first datagram that it lets in.
fn edit(wire: &Wire, port: u16) -> Result<f64> {
    let bind = move || UdpSocket::bind((IpAddr::V4(SERVER), port));
    let server = wire.right.run(bind).context("server")?;
    server.set_read_timeout(Some(PATIENCE))?;
    let client: IpAddr = LEFT[0].parse()?;
    let client = wire.left.run(move || UdpSocket::bind((client, 0)));
    let (client, stop) = (client.context("client")?, Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let prober = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            // Before the port is open nothing comes back, and that is no error.
            let _ = client.send_to(&[0; 16], (IpAddr::V4(SERVER), port));
            sleep(PROBE);
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
fn stages(daemon: &mut Daemon) -> Vec<(&'static str, Vec<f64>)> {
    let log = daemon.log();
    let committed: Vec<&String> = log
        .iter()
        .filter(|line| line.contains("generation committed"))
        .skip(1)
        .collect();
    ["read_ms", "compile_ms", "install_ms"]
        .into_iter()
        .map(|stage| {
            let key = format!("{stage}=");
            let value = |line: &&String| {
                let rest = &line[line.find(&key)? + key.len()..];
                rest.split_whitespace().next()?.parse().ok()
            };
            (stage, committed.iter().filter_map(value).collect())
        })
        .collect()
}
