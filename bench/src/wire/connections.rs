//! Performance of real hosts on both ends: connection rate, TCP throughput, throughput under a
//! flood.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailey_lab::{Namespace, SpoofedFlood};
use rustix::net::sockopt;

use super::device::{
    DEFAULT_PREFIXES, DeviceUnderTest, GROUP, RUNS, SEED, WireScenario, random_prefixes,
    set_up_devices,
};
use super::frames::{PORT, SERVER};
use super::system::System;
use crate::results::Measurement;
use bailey_nic::cpu;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionTest {
    /// Handshakes of several clients, one after the other.
    Rate,
    /// One TCP stream at full speed.
    Stream,
    /// One TCP stream during a flood of SYNs and datagrams from random sources.
    Flooded,
}

pub(crate) const ALL: [(&str, ConnectionTest); 3] = [
    ("connect-rate", ConnectionTest::Rate),
    ("tcp-stream", ConnectionTest::Stream),
    ("syn-flood", ConnectionTest::Flooded),
];

const CLIENTS: usize = 4;
const RUN: Duration = Duration::from_millis(1000);
const SETTLE: Duration = Duration::from_millis(150);
/// Rate of the flood.
const FLOOD_PACKETS_PER_SECOND: u64 = 50_000;
/// Flow table size, for which this flood is large.
const FLOWS: u32 = 1 << 16;

pub(crate) fn run(
    name: &str,
    test: ConnectionTest,
    systems: &[System],
) -> Result<Vec<Measurement>> {
    // Keep the hosts off the CPU of the device under test.
    cpu::pin(super::testbed::GENERATOR_CPU)?;
    let mut random = fastrand::Rng::with_seed(SEED);
    let denied = random_prefixes(DEFAULT_PREFIXES, &mut random);
    let scenario = WireScenario {
        name,
        systems,
        forwards: true,
        denied: &denied,
        flows: FLOWS,
        creates_flows: test == ConnectionTest::Rate,
        receive: None,
    };
    let metrics: &[&str] = match test {
        ConnectionTest::Rate => &["connections_per_s", "test_device_us_per_connection"],
        ConnectionTest::Stream => &["gbit_per_s", "busy_percent"],
        ConnectionTest::Flooded => &["goodput_kept_percent", "busy_percent"],
    };
    let (devices, mut results) = set_up_devices(&scenario, metrics[0])?;
    let listener = |device: &DeviceUnderTest| {
        let listen = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT));
        device
            .testbed
            .wire
            .right
            .run(listen)
            .context("cannot listen on the server")
    };
    let listeners = devices.iter().map(listener).collect::<Result<Vec<_>>>()?;
    for listener in &listeners {
        let listener = listener.try_clone()?;
        thread::spawn(move || serve(&listener));
    }
    let mut values = vec![vec![Vec::new(); metrics.len()]; devices.len()];
    for _ in 0..RUNS {
        for (device, values) in devices.iter().zip(&mut values) {
            let measured = match test {
                ConnectionTest::Rate => measure_connect_rate(device)?,
                ConnectionTest::Stream => measure_stream(device)?,
                ConnectionTest::Flooded => measure_under_flood(device)?,
            };
            for (value, values) in measured.into_iter().zip(values) {
                values.push(value);
            }
        }
    }
    for (device, values) in devices.iter().zip(values) {
        for (metric, values) in metrics.iter().zip(values) {
            let names = [GROUP, name, device.system.name(), metric];
            results.push(Measurement::from_runs(names, values));
        }
    }
    Ok(results)
}

/// Reads and discards all data.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming().map_while(Result::ok) {
        // Clients of the connection rate have already closed; a thread for each would distort the
        // result.
        if stream.set_nonblocking(true).is_ok() && is_closed(&stream) {
            continue;
        }
        thread::spawn(move || read_to_end(stream));
    }
}

fn is_closed(stream: &TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

fn read_to_end(mut stream: TcpStream) {
    let mut buffer = vec![0; 1 << 18];
    let _ = stream.set_nonblocking(false);
    while stream.read(&mut buffer).is_ok_and(|len| len > 0) {}
}

fn server_address() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(SERVER), PORT)
}

fn measure_connect_rate(device: &DeviceUnderTest) -> Result<[f64; 2]> {
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| spawn_client(&device.testbed.wire.left, &stop, &count))
        .collect();
    sleep(SETTLE);
    let before = (
        count.load(Ordering::Relaxed),
        device.testbed.busy_time()?,
        Instant::now(),
    );
    sleep(RUN);
    let connections = (count.load(Ordering::Relaxed) - before.0) as f64;
    let (busy, elapsed) = (device.testbed.busy_time()? - before.1, before.2.elapsed());
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client
            .join()
            .map_err(|_| anyhow::anyhow!("a client panicked"))?;
    }
    ensure!(
        connections > 0.0,
        "no TCP connection passed {}",
        device.system.name()
    );
    Ok([
        connections / elapsed.as_secs_f64(),
        busy.as_secs_f64() * 1e6 / connections,
    ])
}

/// Connects and resets in a loop, so that no port stays in TIME_WAIT.
fn spawn_client(
    left: &Namespace,
    stop: &Arc<AtomicBool>,
    count: &Arc<AtomicU64>,
) -> thread::JoinHandle<()> {
    let (stop, count) = (Arc::clone(stop), Arc::clone(count));
    left.run(move || {
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Ok(stream) = TcpStream::connect_timeout(&server_address(), RUN) else {
                    continue;
                };
                let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
    })
}

fn connect(device: &DeviceUnderTest) -> Result<TcpStream> {
    let left = &device.testbed.wire.left;
    let stream = left.run(|| TcpStream::connect_timeout(&server_address(), RUN));
    let stream =
        stream.with_context(|| format!("no TCP connection passed {}", device.system.name()))?;
    stream.set_write_timeout(Some(RUN))?;
    Ok(stream)
}

/// Sends at full speed. Returns Gbit/s, and the busy time of the device in percent.
fn send(device: &DeviceUnderTest, stream: &mut TcpStream) -> Result<[f64; 2]> {
    let chunk = vec![7; 1 << 17];
    let (begun, mut sent, mut from) = (Instant::now(), 0, None);
    while begun.elapsed() < SETTLE + RUN {
        match stream.write(&chunk) {
            Ok(bytes) => sent += bytes,
            // A timeout means that no byte passed during the run, which is a valid result.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if from.is_none() && begun.elapsed() >= SETTLE {
            from = Some((Instant::now(), sent, device.testbed.busy_time()?));
        }
    }
    let (from, before, busy) = from.context("the run ended before its settling time")?;
    let elapsed = from.elapsed().as_secs_f64();
    let busy = (device.testbed.busy_time()? - busy).as_secs_f64();
    Ok([
        (sent - before) as f64 * 8.0 / elapsed / 1e9,
        busy / elapsed * 100.0,
    ])
}

fn measure_stream(device: &DeviceUnderTest) -> Result<[f64; 2]> {
    send(device, &mut connect(device)?)
}

/// Throughput under a flood in percent of the throughput before, and busy time in percent.
fn measure_under_flood(device: &DeviceUnderTest) -> Result<[f64; 2]> {
    let mut stream = connect(device)?;
    let [quiet, _] = send(device, &mut stream)?;
    let flood = SpoofedFlood::start(
        &device.testbed.wire.left,
        &[IpAddr::V4(SERVER)],
        PORT,
        FLOOD_PACKETS_PER_SECOND,
    )?;
    let [flooded, busy] = send(device, &mut stream)?;
    drop(flood);
    Ok([flooded / quiet * 100.0, busy])
}
