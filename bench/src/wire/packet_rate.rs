//! Packet rate: frames per second at full speed. The generator must be faster than the system under
//! test.

use std::slice;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::device::{
    DEFAULT_PREFIXES, DeviceUnderTest, GROUP, RUNS, SEED, WireScenario, random_prefixes,
    set_up_devices,
};
use super::frames::{self, Client, Frame, Step};
use super::generator::{BURST, Generator, Sending};
use super::system::System;
use super::testbed::{GENERATOR_CPU, TEST_CPU, Transfer, WireTestbed};
use crate::cpu_contention::ContentionGauge;
use crate::results::Measurement;

/// Scenarios with their number of denied prefixes.
pub(crate) const DENY: [(&str, usize); 5] = [
    ("deny-1-cidr", 1),
    ("deny-1k-cidr", 1000),
    ("deny-10k-cidr", 10_000),
    ("deny-100k-cidr", 100_000),
    ("deny-1m-cidr", 1_000_000),
];
/// Scenarios with their denied frames in ten; the other frames belong to established flows.
pub(crate) const FORWARD: [(&str, u32); 2] = [("established-bridge", 0), ("mixed-90-10", 1)];

/// Number of distinct frames.
const FRAMES: usize = 1 << 20;
pub(super) const FLOWS: u32 = 1 << 16;
/// Duration of a run.
const RUN: Duration = Duration::from_millis(400);
const WARM_UP: u32 = 1 << 14;
/// Maximum tries until a run loses no allowed frame. A machine that stops for a moment loses frames
/// between two interfaces, and may lose frames of handshakes.
const MAX_TRIES: usize = 4;
/// Maximum rounds until one of them is uncontended.
const MAX_ROUNDS: usize = 4;
/// Maximum time to wait for uncontended CPUs, per run.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Handshakes in parallel. More of them would fill flow-table buckets with half-open flows.
const MAX_CONCURRENT_HANDSHAKES: u32 = 1 << 14;
/// Interval between frames of handshakes; every system can keep up.
const FRAME_INTERVAL: Duration = Duration::from_micros(6);

/// Measures SYNs from denied sources.
pub(crate) fn deny(name: &str, prefixes: usize, systems: &[System]) -> Result<Vec<Measurement>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let denied = random_prefixes(prefixes, &mut random);
    let generator = Generator::new(&frames::denied(&denied, FRAMES, &mut random)?)?;
    let scenario = WireScenario {
        name,
        systems,
        forwards: false,
        denied: &denied,
        flows: FLOWS,
        creates_flows: false,
        receive: Some("count"),
    };
    measure(&scenario, &generator, &|device, _| {
        (!device.system.passes_denied()).then_some((0.0, 0.0))
    })
}

/// Measures segments of established connections, with a share of denied SYNs.
pub(crate) fn forward(
    name: &str,
    denied_of_ten: u32,
    systems: &[System],
) -> Result<Vec<Measurement>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let denied = random_prefixes(DEFAULT_PREFIXES, &mut random);
    let clients = frames::clients(FLOWS);
    let denied_frames = frames::denied(&denied, FRAMES, &mut random)?;
    let frames = denied_frames.iter().enumerate().map(|(n, denied_frame)| {
        if (n as u32 * 7) % 10 < denied_of_ten {
            Ok(*denied_frame)
        } else {
            frames::frame(Step::Ack, clients[random.usize(..clients.len())])
        }
    });
    let generator = Generator::new(&frames.collect::<Result<Vec<Frame>>>()?)?;
    let scenario = WireScenario {
        name,
        systems,
        forwards: true,
        denied: &denied,
        flows: FLOWS,
        creates_flows: true,
        receive: Some("count"),
    };
    let allowed = 1.0 - f64::from(denied_of_ten) / 10.0;
    measure(&scenario, &generator, &|device, transfer| {
        let share = if device.system.passes_denied() {
            1.0
        } else {
            allowed
        };
        let processed = transfer.processed as f64;
        Some((processed * share, processed / 50.0))
    })
}

/// Arrived frames compared with the expected number.
#[derive(Debug, PartialEq)]
enum ArrivalCheck {
    Expected,
    /// Fewer frames than expected.
    Lost,
    /// More frames than expected.
    Leaked,
}

/// Checks the number of arrived frames. `expected` is a number and its tolerance; none accepts any
/// number.
fn check_arrivals(arrived: u64, expected: Option<(f64, f64)>) -> ArrivalCheck {
    match expected {
        Some((frames, tolerance)) if (arrived as f64) < frames - tolerance => ArrivalCheck::Lost,
        Some((frames, tolerance)) if arrived as f64 > frames + tolerance => ArrivalCheck::Leaked,
        _ => ArrivalCheck::Expected,
    }
}

/// Expected frames of a transfer and their tolerance; none if any number is valid.
type Expectation<'a> = &'a dyn Fn(&DeviceUnderTest, &Transfer) -> Option<(f64, f64)>;

/// Measures the packet rate of all systems of a scenario.
fn measure(
    scenario: &WireScenario<'_>,
    generator: &Generator,
    expected: Expectation<'_>,
) -> Result<Vec<Measurement>> {
    let (devices, mut results) = set_up_devices(scenario, "mpps")?;
    if scenario.creates_flows {
        shake_hands(scenario, &devices)?;
    }
    // Systems take turns within a run.
    let mut rates = vec![Vec::new(); devices.len()];
    let mut gauge = ContentionGauge::new(&[TEST_CPU, GENERATOR_CPU], MAX_WAIT)?;
    let mut shares = Vec::new();
    for round in 0..RUNS as u32 {
        for (device, rates) in devices.iter().zip(&mut rates) {
            let mut tries = 0;
            let runs = gauge.run_rounds(1, MAX_ROUNDS, |_| {
                run_until_expected(scenario, generator, device, (round, &mut tries), expected)
            })?;
            for (transfer, share) in runs {
                rates.push(million_per_second(&transfer));
                shares.push(share);
            }
        }
    }
    results.push(ContentionGauge::share_measurement(
        [GROUP, scenario.name],
        shares,
    ));
    for (device, rates) in devices.iter().zip(rates) {
        let names = |metric| [GROUP, scenario.name, device.system.name(), metric];
        let each = rates.iter().map(|rate| 1e3 / rate).collect::<Vec<_>>();
        results.push(Measurement::from_runs(names("mpps"), rates));
        results.push(Measurement::from_runs(names("ns_per_packet"), each));
    }
    Ok(results)
}

/// Establishes the flows of a scenario by TCP handshakes.
fn shake_hands(scenario: &WireScenario<'_>, devices: &[DeviceUnderTest]) -> Result<()> {
    let clients = frames::clients(scenario.flows);
    establish(devices, &clients, [Step::Syn, Step::SynAck, Step::Ack])
}

/// Repeats a run until the expected frames arrive; `tries` counts over all repetitions of a run.
///
/// # Errors
/// If more frames arrive than expected, or frames are lost in [`MAX_TRIES`] tries.
fn run_until_expected(
    scenario: &WireScenario<'_>,
    generator: &Generator,
    device: &DeviceUnderTest,
    (round, tries): (u32, &mut usize),
    expected: Expectation<'_>,
) -> Result<Transfer> {
    loop {
        let transfer = run_full_speed(device, generator, round)?;
        let check = check_arrivals(transfer.arrived, expected(device, &transfer));
        if check == ArrivalCheck::Expected {
            return Ok(transfer);
        }
        let message = format!(
            "{}: {} of {} frames passed {}",
            scenario.name,
            transfer.arrived,
            transfer.processed,
            device.system.name()
        );
        *tries += 1;
        // A leak is a defect of the system, never a result of contention.
        ensure!(check == ArrivalCheck::Lost && *tries < MAX_TRIES, message);
        println!("{message}; repeating the run");
        if scenario.creates_flows {
            shake_hands(scenario, slice::from_ref(device))?;
        }
    }
}

/// Frames per second that the device processed, in millions.
fn million_per_second(transfer: &Transfer) -> f64 {
    transfer.processed as f64 / transfer.elapsed.as_secs_f64() / 1e6
}

/// One run at full speed; a warm-up determines the number of frames.
pub(super) fn run_full_speed(
    device: &DeviceUnderTest,
    generator: &Generator,
    round: u32,
) -> Result<Transfer> {
    let sending = |count| Sending {
        first: round * 7919,
        count,
        every: Duration::ZERO,
        stamp: false,
    };
    let first = device.testbed.transfer(generator, 0, sending(WARM_UP))?;
    let each = first.elapsed / WARM_UP;
    let count = (RUN.as_nanos() / each.as_nanos().max(1)) as u32 / BURST * BURST;
    device
        .testbed
        .transfer(generator, 0, sending(count.max(WARM_UP)))
}

/// Establishes flows on all devices, in batches that the tables accept as half-open flows.
pub(super) fn establish(
    devices: &[DeviceUnderTest],
    clients: &[Client],
    steps: [Step; 3],
) -> Result<()> {
    let testbeds: Vec<&WireTestbed> = devices.iter().map(|device| &device.testbed).collect();
    establish_on(&testbeds, clients, steps)
}

/// Establishes flows on testbeds.
pub(super) fn establish_on(
    testbeds: &[&WireTestbed],
    clients: &[Client],
    steps: [Step; 3],
) -> Result<()> {
    let generator = |step: &Step| {
        let frames = clients.iter().map(|client| frames::frame(*step, *client));
        Generator::new(&frames.collect::<Result<Vec<Frame>>>()?)
    };
    let generators: Vec<Generator> = steps.iter().map(generator).collect::<Result<_>>()?;
    let at_once = (clients.len() as u32 / 16).clamp(BURST, MAX_CONCURRENT_HANDSHAKES);
    for testbed in testbeds {
        for first in (0..clients.len() as u32).step_by(at_once as usize) {
            for (generator, step) in generators.iter().zip(steps) {
                let sending = Sending {
                    first,
                    count: at_once,
                    every: FRAME_INTERVAL,
                    stamp: false,
                };
                let side = usize::from(matches!(step, Step::SynAck | Step::Reply));
                testbed.transfer(generator, side, sending)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_beyond_the_tolerance_are_lost_or_leaked() {
        assert_eq!(check_arrivals(0, Some((0.0, 0.0))), ArrivalCheck::Expected);
        assert_eq!(check_arrivals(1, Some((0.0, 0.0))), ArrivalCheck::Leaked);
        assert_eq!(
            check_arrivals(900, Some((1000.0, 20.0))),
            ArrivalCheck::Lost
        );
        assert_eq!(
            check_arrivals(985, Some((1000.0, 20.0))),
            ArrivalCheck::Expected
        );
        assert_eq!(
            check_arrivals(1021, Some((1000.0, 20.0))),
            ArrivalCheck::Leaked
        );
        assert_eq!(check_arrivals(1021, None), ArrivalCheck::Expected);
    }
}
