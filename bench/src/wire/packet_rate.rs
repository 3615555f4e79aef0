//! How many frames a second: as many as fit, from a generator that is faster than whoever is tested.

use std::slice;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::frames::{self, Client, Frame, Step};
use super::generator::{BURST, Generator, Sending};
use super::system::System;
use super::testbed::{GENERATOR_CPU, TEST_CPU, Transfer, WireTestbed};
use super::{
    DEFAULT_PREFIXES, DeviceUnderTest, GROUP, RUNS, SEED, WireScenario, random_prefixes,
    set_up_devices,
};
use crate::cpu_contention::ContentionGauge;
use crate::results::Measurement;

/// Denied prefixes.
pub(crate) const DENY: [(&str, usize); 5] = [
    ("deny-1-cidr", 1),
    ("deny-1k-cidr", 1000),
    ("deny-10k-cidr", 10_000),
    ("deny-100k-cidr", 100_000),
    ("deny-1m-cidr", 1_000_000),
];
/// Denied frames of ten; the others belong to established flows.
pub(crate) const FORWARD: [(&str, u32); 2] = [("established-bridge", 0), ("mixed-90-10", 1)];

/// Frames that are told apart.
const FRAMES: usize = 1 << 20;
pub(super) const FLOWS: u32 = 1 << 16;
/// How long one run lasts.
const RUN: Duration = Duration::from_millis(400);
const WARM_UP: u32 = 1 << 14;
/// Runs, at most, until none has lost frames of flows: a machine that stops for a moment loses them between
/// two interfaces, and those of allow_floods too.
const MAX_TRIES: usize = 4;
/// Runs, at most, until the CPUs were undisturbed in one.
const MAX_ROUNDS: usize = 4;
/// With others on the CPUs, per run.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Handshakes that are begun before the first of them goes on: more, and some find their bucket full of
/// half-open ones.
const MAX_CONCURRENT_HANDSHAKES: u32 = 1 << 14;
/// From one frame to the next of a handshake: slow enough for everybody.
const FRAME_INTERVAL: Duration = Duration::from_micros(6);

/// SYNs from denied sources.
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
        allow_floods: false,
        receive: Some("count"),
    };
    measure(&scenario, &generator, |device, _| {
        (!device.system.passes_denied()).then_some((0.0, 0.0))
    })
}

/// Segments of established connections, and denied SYNs among them.
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
        allow_floods: true,
        receive: Some("count"),
    };
    let allowed = 1.0 - f64::from(denied_of_ten) / 10.0;
    measure(&scenario, &generator, |device, transfer| {
        let share = if device.system.passes_denied() {
            1.0
        } else {
            allowed
        };
        let processed = transfer.processed as f64;
        Some((processed * share, processed / 50.0))
    })
}

/// What came of a run.
#[derive(Debug, PartialEq)]
enum ArrivalCheck {
    Expected,
    /// Fewer frames than should have.
    Lost,
    /// More.
    Leaked,
}

/// `expected`: frames that should arrive and how many more or fewer may; nothing if any number may.
fn check_arrivals(arrived: u64, expected: Option<(f64, f64)>) -> ArrivalCheck {
    match expected {
        Some((frames, more_or_less)) if (arrived as f64) < frames - more_or_less => {
            ArrivalCheck::Lost
        }
        Some((frames, more_or_less)) if arrived as f64 > frames + more_or_less => {
            ArrivalCheck::Leaked
        }
        _ => ArrivalCheck::Expected,
    }
}

fn measure(
    scenario: &WireScenario<'_>,
    generator: &Generator,
    expected: impl Fn(&DeviceUnderTest, &Transfer) -> Option<(f64, f64)>,
) -> Result<Vec<Measurement>> {
    let (devices, mut results) = set_up_devices(scenario, "mpps")?;
    let establish_flows = |devices: &[DeviceUnderTest]| {
        let clients = frames::clients(scenario.flows);
        establish(devices, &clients, [Step::Syn, Step::SynAck, Step::Ack])
    };
    if scenario.allow_floods {
        establish_flows(&devices)?;
    }
    let mut rates = vec![Vec::new(); devices.len()];
    let mut gauge = ContentionGauge::new(&[TEST_CPU, GENERATOR_CPU], MAX_WAIT)?;
    let mut shares = Vec::new();
    for round in 0..RUNS as u32 {
        for (device, rates) in devices.iter().zip(&mut rates) {
            let mut tries = 0;
            let runs = gauge.run_rounds(1, MAX_ROUNDS, |_| {
                loop {
                    let transfer = run_full_speed(device, generator, round)?;
                    let check = check_arrivals(transfer.arrived, expected(device, &transfer));
                    if check == ArrivalCheck::Expected {
                        return Ok(transfer);
                    }
                    let what = format!(
                        "{}: {} of {} frames arrived behind {}",
                        scenario.name,
                        transfer.arrived,
                        transfer.processed,
                        device.system.name()
                    );
                    tries += 1;
                    // What arrived and should not have is not a matter of luck.
                    ensure!(check == ArrivalCheck::Lost && tries < MAX_TRIES, what);
                    println!("{what}; again");
                    if scenario.allow_floods {
                        establish_flows(slice::from_ref(device))?;
                    }
                }
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

/// Millions of frames a second that a device has taken.
fn million_per_second(transfer: &Transfer) -> f64 {
    transfer.processed as f64 / transfer.elapsed.as_secs_f64() / 1e6
}

/// One run, as fast as the generator goes.
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

/// Opens flows on all devices, step by step, not more at a time than a table takes of half-open ones.
pub(super) fn establish(
    devices: &[DeviceUnderTest],
    clients: &[Client],
    steps: [Step; 3],
) -> Result<()> {
    let testbeds: Vec<&WireTestbed> = devices.iter().map(|device| &device.testbed).collect();
    establish_on(&testbeds, clients, steps)
}

/// The same on bare testbeds.
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
                let side = usize::from(matches!(step, Step::SynAck | Step::Answer));
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
    fn frames_are_lost_or_leaked_beyond_what_may_be() {
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
