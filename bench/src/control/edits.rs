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
const ROUNDS: u16 = 5;
/// In each of them.
const EDITS: u16 = 5;
/// Ports that edits open, one each.
const FIRST_PORT: u16 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// From one probe to the next: what an edit's time is uncertain by.
const PROBE: Duration = Duration::from_micros(100);

/// One policy is edited while a cluster's others stay as they are.
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
    device::write_server(wire, &[SERVER.into()])?;
    open_port(wire, FIRST_PORT - 1)?;
    // Files that were just written would be read once more, to be sure.
    sleep(Duration::from_secs(3));
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let first = FIRST_PORT + round * EDITS;
        one_round(wire, first..first + EDITS, &mut seen)?;
    }
    let names = |metric| [GROUP, name, SYSTEM, metric];
    let results = seen.0.into_iter();
    Ok(results
        .map(|(metric, values)| Measured::of(names(metric), values))
        .collect())
}

/// What was measured so far.
#[derive(Debug, Default)]
struct Seen(BTreeMap<&'static str, Vec<f64>>);

impl Seen {
    fn add(&mut self, metric: &'static str, value: f64) {
        self.0.entry(metric).or_default().push(value);
    }
}

/// A daemon starts where nothing is loaded, reads edits, is killed, comes back, and leaves nothing.
fn one_round(wire: &Wire, ports: Range<u16>, seen: &mut Seen) -> Result<()> {
    let begun = Instant::now();
    let mut daemon = device::launch(wire, "attached")?;
    seen.add("start_ms", milliseconds(begun.elapsed()));
    for port in ports {
        seen.add("edit_to_packet_ms", edit(wire, port)?);
    }
    stages(&mut daemon, seen);
    let process = daemon.pid().to_string();
    let held = memory::of_process(&process, "VmRSS:");
    seen.add("daemon_mib", held as f64);
    let peak = memory::of_process(&process, "VmHWM:");
    seen.add("daemon_peak_mib", peak as f64);
    seen.add("maps_mib", memory::maps_of_process(&process) as f64);
    kill(&mut daemon)?;
    let begun = Instant::now();
    daemon = device::launch(wire, "adopted")?;
    seen.add("restart_to_adopted_ms", milliseconds(begun.elapsed()));
    kill(&mut daemon)?;
    device::detach(wire)
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
fn stages(daemon: &mut Daemon, seen: &mut Seen) {
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
                seen.add(stage, value);
            }
        }
    }
}
