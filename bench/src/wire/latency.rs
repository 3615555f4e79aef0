//! Latency of frames, from their due time to their arrival, at shares of each system's capacity.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::device::{
    DEFAULT_PREFIXES, DeviceUnderTest, GROUP, RUNS, SEED, WireScenario, random_prefixes,
    set_up_devices,
};
use super::frames::{self, Frame, Step};
use super::generator::{BURST, Generator, Sending};
use super::packet_rate::{FLOWS, establish, run_full_speed};
use super::system::System;
use crate::results::{Measurement, median};

pub(crate) const NAMES: [&str; 3] = ["latency-10", "latency-50", "latency-90"];
const LOADS: [f64; 3] = [0.1, 0.5, 0.9];
/// Duration of a run, and its maximum number of frames.
const RUN: Duration = Duration::from_millis(400);
const MAX_FRAMES: f64 = 262_144.0;
const CAPACITY_RUNS: u32 = 3;
/// Reported quantiles of a distribution.
pub(crate) const QUANTILES: [(&str, f64); 6] = [
    ("p10_ns", 0.1),
    ("p50_ns", 0.5),
    ("p90_ns", 0.9),
    ("p99_ns", 0.99),
    ("p999_ns", 0.999),
    ("max_ns", 1.0),
];

/// Measures datagrams of established flows, in bursts at a constant rate.
pub(crate) fn run(systems: &[System]) -> Result<Vec<Measurement>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let denied = random_prefixes(DEFAULT_PREFIXES, &mut random);
    let clients = frames::clients(FLOWS);
    let frames = (0..FLOWS)
        .map(|_| frames::frame(Step::Datagram, clients[random.usize(..clients.len())]))
        .collect::<Result<Vec<Frame>>>()?;
    let generator = Generator::new(&frames)?;
    let scenario = WireScenario {
        name: NAMES[0],
        systems,
        forwards: true,
        denied: &denied,
        flows: FLOWS,
        creates_flows: true,
        receive: Some("arrive"),
    };
    let (devices, missing) = set_up_devices(&scenario, "p50_ns")?;
    let steps = [Step::Datagram, Step::Reply, Step::Datagram];
    establish(&devices, &clients, steps)?;
    let capacities = devices
        .iter()
        .map(|device| measure_capacity(device, &generator))
        .collect::<Result<Vec<f64>>>()?;
    // A system without support has no value in any of the scenarios.
    let mut results = Vec::new();
    for name in NAMES {
        let in_scenario = |result: &Measurement| Measurement {
            scenario: name.to_owned(),
            ..result.clone()
        };
        results.extend(missing.iter().map(in_scenario));
    }
    for (name, load) in NAMES.into_iter().zip(LOADS) {
        // Systems take turns within a run.
        let mut samples = vec![Samples::default(); devices.len()];
        for round in 0..RUNS as u32 {
            for ((device, capacity), samples) in devices.iter().zip(&capacities).zip(&mut samples) {
                run_at_rate(device, &generator, capacity * load, round, samples)?;
            }
        }
        for (device, samples) in devices.iter().zip(samples) {
            results.extend(samples.into_measurements(name, device.system.name()));
        }
    }
    Ok(results)
}

/// Values of all runs of one system at one load.
#[derive(Clone, Default)]
struct Samples {
    quantiles: [Vec<f64>; QUANTILES.len()],
    busy_percent: Vec<f64>,
    lost_percent: Vec<f64>,
    offered_mpps: Vec<f64>,
}

impl Samples {
    fn into_measurements(self, scenario: &str, system: &str) -> Vec<Measurement> {
        let quantiles = QUANTILES.iter().map(|(metric, _)| *metric);
        let metrics = quantiles.zip(self.quantiles).chain([
            ("busy_percent", self.busy_percent),
            ("lost_percent", self.lost_percent),
            ("offered_mpps", self.offered_mpps),
        ]);
        metrics
            .map(|(metric, values)| {
                Measurement::from_runs([GROUP, scenario, system, metric], values)
            })
            .collect()
    }
}

/// The median rate of frames that arrive at full speed, in frames per second.
fn measure_capacity(device: &DeviceUnderTest, generator: &Generator) -> Result<f64> {
    let mut rates = Vec::new();
    for round in 0..CAPACITY_RUNS {
        let transfer = run_full_speed(device, generator, round)?;
        rates.push(transfer.arrived as f64 / transfer.elapsed.as_secs_f64());
    }
    median(&rates).context("no capacity runs")
}

/// Sends stamped frames at a constant rate, and adds the latencies and losses to `samples`.
fn run_at_rate(
    device: &DeviceUnderTest,
    generator: &Generator,
    rate: f64,
    round: u32,
    samples: &mut Samples,
) -> Result<()> {
    let frames = (rate * RUN.as_secs_f64()).min(MAX_FRAMES) as u32;
    let sending = Sending {
        first: round * frames,
        count: frames / BURST * BURST,
        every: Duration::from_secs_f64(1.0 / rate),
        stamp: true,
    };
    device.testbed.clear_latencies()?;
    let transfer = device.testbed.transfer(generator, 0, sending)?;
    let seconds = transfer.elapsed.as_secs_f64();
    samples
        .offered_mpps
        .push(f64::from(sending.count) / seconds / 1e6);
    let histogram = histogram(&device.testbed.latencies()?)?;
    for ((_, quantile), values) in QUANTILES.iter().zip(&mut samples.quantiles) {
        values.push(histogram.value_at_quantile(*quantile) as f64);
    }
    samples
        .busy_percent
        .push(transfer.busy.as_secs_f64() / seconds * 100.0);
    let arrived = histogram.len() as f64 / f64::from(sending.count);
    samples.lost_percent.push((1.0 - arrived) * 100.0);
    Ok(())
}

fn histogram(samples: &[u32]) -> Result<Histogram<u64>> {
    const DIGITS: u8 = 3;
    let mut histogram = Histogram::new(DIGITS)?;
    for &nanoseconds in samples {
        histogram.record(nanoseconds.into())?;
    }
    Ok(histogram)
}
