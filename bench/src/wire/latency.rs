//! How long frames take from when they were due to when they arrive, at a share of what each system can
//! take.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::frames::{self, Frame, Step};
use super::generator::{BURST, Generator, Sending};
use super::packet_rate::{FLOWS, establish, run_full_speed};
use super::system::System;
use super::{DEFAULT_PREFIXES, GROUP, RUNS, SEED, WireScenario, random_prefixes, set_up_devices};
use crate::results::{Measurement, median};

pub(crate) const NAMES: [&str; 3] = ["latency-10", "latency-50", "latency-90"];
const LOADS: [f64; 3] = [0.1, 0.5, 0.9];
/// How long one run lasts, and its most frames.
const RUN: Duration = Duration::from_millis(400);
const MOST: f64 = 262_144.0;
const CAPACITY_RUNS: u32 = 3;
/// What is told of a distribution.
pub(crate) const QUANTILES: [(&str, f64); 6] = [
    ("p10_ns", 0.1),
    ("p50_ns", 0.5),
    ("p90_ns", 0.9),
    ("p99_ns", 0.99),
    ("p999_ns", 0.999),
    ("max_ns", 1.0),
];

/// Datagrams of flows that were answered, in bursts at a steady rate.
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
        allow_floods: true,
        receive: Some("arrive"),
    };
    let (devices, missing) = set_up_devices(&scenario, "p50_ns")?;
    let steps = [Step::Datagram, Step::Answer, Step::Datagram];
    establish(&devices, &clients, steps)?;
    let mut capacities = Vec::new();
    for device in &devices {
        let mut rates = Vec::new();
        for round in 0..CAPACITY_RUNS {
            let transfer = run_full_speed(device, &generator, round)?;
            rates.push(transfer.arrived as f64 / transfer.elapsed.as_secs_f64());
        }
        capacities.push(median(&rates).context("no runs")?);
    }
    let mut results = Vec::new();
    for name in NAMES {
        let of_this = |result: &Measurement| Measurement {
            scenario: name.to_owned(),
            ..result.clone()
        };
        results.extend(missing.iter().map(of_this));
    }
    for (name, load) in NAMES.into_iter().zip(LOADS) {
        let mut told = vec![vec![Vec::new(); QUANTILES.len()]; devices.len()];
        let mut busy = vec![Vec::new(); devices.len()];
        let mut lost = busy.clone();
        let mut offered = busy.clone();
        for round in 0..RUNS as u32 {
            for (at, device) in devices.iter().enumerate() {
                let rate = capacities[at] * load;
                let frames = (rate * RUN.as_secs_f64()).min(MOST) as u32;
                let sending = Sending {
                    first: round * frames,
                    count: frames / BURST * BURST,
                    every: Duration::from_secs_f64(1.0 / rate),
                    stamp: true,
                };
                device.testbed.clear_latencies()?;
                let transfer = device.testbed.transfer(&generator, 0, sending)?;
                let rate = f64::from(sending.count) / transfer.elapsed.as_secs_f64();
                offered[at].push(rate / 1e6);
                let histogram = histogram(&device.testbed.latencies()?)?;
                for ((_, quantile), told) in QUANTILES.iter().zip(&mut told[at]) {
                    told.push(histogram.value_at_quantile(*quantile) as f64);
                }
                busy[at].push(transfer.busy.as_secs_f64() / transfer.elapsed.as_secs_f64() * 100.0);
                let arrived = histogram.len() as f64 / f64::from(sending.count);
                lost[at].push((1.0 - arrived) * 100.0);
            }
        }
        for (at, device) in devices.iter().enumerate() {
            let names = |metric| [GROUP, name, device.system.name(), metric];
            for ((metric, _), told) in QUANTILES.iter().zip(&told[at]) {
                results.push(Measurement::from_runs(names(metric), told.iter().copied()));
            }
            for (metric, values) in [
                ("busy_percent", &busy),
                ("lost_percent", &lost),
                ("offered_mpps", &offered),
            ] {
                results.push(Measurement::from_runs(
                    names(metric),
                    values[at].iter().copied(),
                ));
            }
        }
    }
    Ok(results)
}

fn histogram(samples: &[u32]) -> Result<Histogram<u64>> {
    const DIGITS: u8 = 3;
    let mut histogram = Histogram::new(DIGITS)?;
    for &nanoseconds in samples {
        histogram.record(nanoseconds.into())?;
    }
    Ok(histogram)
}
