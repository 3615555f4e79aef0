//! How many frames a second: as many as fit, from a generator that is faster than whoever is tested.

use std::slice;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::frames::{self, Client, Frame, Step};
use super::generator::{BURST, Generator, Sending};
use super::rig::{GENERATOR_CPU, Passage, Rig, TEST_CPU};
use super::system::System;
use super::{Device, GROUP, RUNS, SEED, SOME_PREFIXES, Setting, devices, some_prefixes};
use crate::pace::Pace;
use crate::results::Measured;

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
/// two interfaces, and those of handshakes too.
const TRIES: usize = 4;
/// Runs, at most, until the CPUs were undisturbed in one.
const PACED: usize = 4;
/// With others on the CPUs, per run.
const PATIENCE: Duration = Duration::from_secs(1);
/// Handshakes that are begun before the first of them goes on: more, and some find their bucket full of
/// half-open ones.
const MOST_AT_ONCE: u32 = 1 << 14;
/// From one frame to the next of a handshake: slow enough for everybody.
const PACE: Duration = Duration::from_micros(6);

/// SYNs from denied sources.
pub(crate) fn deny(name: &str, prefixes: usize, systems: &[System]) -> Result<Vec<Measured>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let denied = some_prefixes(prefixes, &mut random);
    let generator = Generator::new(&frames::denied(&denied, FRAMES, &mut random)?)?;
    let setting = Setting {
        name,
        systems,
        forwards: false,
        denied: &denied,
        flows: FLOWS,
        handshakes: false,
        receive: Some("count"),
    };
    measure(&setting, &generator, |device, _| {
        (!device.system.is_open()).then_some((0.0, 0.0))
    })
}

/// Segments of established connections, and denied SYNs among them.
pub(crate) fn forward(name: &str, denied_of_ten: u32, systems: &[System]) -> Result<Vec<Measured>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let denied = some_prefixes(SOME_PREFIXES, &mut random);
    let clients = frames::clients(FLOWS);
    let strangers = frames::denied(&denied, FRAMES, &mut random)?;
    let frames = strangers.iter().enumerate().map(|(n, stranger)| {
        if (n as u32 * 7) % 10 < denied_of_ten {
            Ok(*stranger)
        } else {
            frames::frame(Step::Ack, clients[random.usize(..clients.len())])
        }
    });
    let generator = Generator::new(&frames.collect::<Result<Vec<Frame>>>()?)?;
    let setting = Setting {
        name,
        systems,
        forwards: true,
        denied: &denied,
        flows: FLOWS,
        handshakes: true,
        receive: Some("count"),
    };
    let allowed = 1.0 - f64::from(denied_of_ten) / 10.0;
    measure(&setting, &generator, |device, passage| {
        let share = if device.system.is_open() {
            1.0
        } else {
            allowed
        };
        let processed = passage.processed as f64;
        Some((processed * share, processed / 50.0))
    })
}

/// What came of a run.
#[derive(Debug, PartialEq)]
enum Came {
    Right,
    /// Fewer frames than should have.
    Lost,
    /// More.
    Leaked,
}

/// `expected`: frames that should arrive and how many more or fewer may; nothing if any number may.
fn came(arrived: u64, expected: Option<(f64, f64)>) -> Came {
    match expected {
        Some((frames, more_or_less)) if (arrived as f64) < frames - more_or_less => Came::Lost,
        Some((frames, more_or_less)) if arrived as f64 > frames + more_or_less => Came::Leaked,
        _ => Came::Right,
    }
}

fn measure(
    setting: &Setting<'_>,
    generator: &Generator,
    expected: impl Fn(&Device, &Passage) -> Option<(f64, f64)>,
) -> Result<Vec<Measured>> {
    let (devices, mut results) = devices(setting, "mpps")?;
    let shake_hands = |devices: &[Device]| {
        let clients = frames::clients(setting.flows);
        establish(devices, &clients, [Step::Syn, Step::SynAck, Step::Ack])
    };
    if setting.handshakes {
        shake_hands(&devices)?;
    }
    let mut rates = vec![Vec::new(); devices.len()];
    let mut pace = Pace::new(&[TEST_CPU, GENERATOR_CPU], PATIENCE)?;
    let mut shares = Vec::new();
    for round in 0..RUNS as u32 {
        for (device, rates) in devices.iter().zip(&mut rates) {
            let mut tries = 0;
            let runs = pace.rounds(1, PACED, |_| {
                loop {
                    let passage = full_speed(device, generator, round)?;
                    let came = came(passage.arrived, expected(device, &passage));
                    if came == Came::Right {
                        return Ok(passage);
                    }
                    let what = format!(
                        "{}: {} of {} frames arrived behind {}",
                        setting.name,
                        passage.arrived,
                        passage.processed,
                        device.system.name()
                    );
                    tries += 1;
                    // What arrived and should not have is not a matter of luck.
                    ensure!(came == Came::Lost && tries < TRIES, what);
                    println!("{what}; again");
                    if setting.handshakes {
                        shake_hands(slice::from_ref(device))?;
                    }
                }
            })?;
            for (passage, share) in runs {
                rates.push(rate(&passage));
                shares.push(share);
            }
        }
    }
    results.push(Pace::measured([GROUP, setting.name], shares));
    for (device, rates) in devices.iter().zip(rates) {
        let names = |metric| [GROUP, setting.name, device.system.name(), metric];
        let each = rates.iter().map(|rate| 1e3 / rate).collect::<Vec<_>>();
        results.push(Measured::of(names("mpps"), rates));
        results.push(Measured::of(names("ns_per_packet"), each));
    }
    Ok(results)
}

/// Millions of frames a second that a device has taken.
fn rate(passage: &Passage) -> f64 {
    passage.processed as f64 / passage.elapsed.as_secs_f64() / 1e6
}

/// One run, as fast as the generator goes.
pub(super) fn full_speed(device: &Device, generator: &Generator, round: u32) -> Result<Passage> {
    let sending = |count| Sending {
        first: round * 7919,
        count,
        every: Duration::ZERO,
        stamp: false,
    };
    let first = device.rig.pass(generator, 0, sending(WARM_UP))?;
    let each = first.elapsed / WARM_UP;
    let count = (RUN.as_nanos() / each.as_nanos().max(1)) as u32 / BURST * BURST;
    device.rig.pass(generator, 0, sending(count.max(WARM_UP)))
}

/// Opens flows on all devices, step by step, not more at a time than a table takes of half-open ones.
pub(super) fn establish(devices: &[Device], clients: &[Client], steps: [Step; 3]) -> Result<()> {
    let rigs: Vec<&Rig> = devices.iter().map(|device| &device.rig).collect();
    establish_on(&rigs, clients, steps)
}

/// The same on bare rigs.
pub(super) fn establish_on(rigs: &[&Rig], clients: &[Client], steps: [Step; 3]) -> Result<()> {
    let generator = |step: &Step| {
        let frames = clients.iter().map(|client| frames::frame(*step, *client));
        Generator::new(&frames.collect::<Result<Vec<Frame>>>()?)
    };
    let generators: Vec<Generator> = steps.iter().map(generator).collect::<Result<_>>()?;
    let at_once = (clients.len() as u32 / 16).clamp(BURST, MOST_AT_ONCE);
    for rig in rigs {
        for first in (0..clients.len() as u32).step_by(at_once as usize) {
            for (generator, step) in generators.iter().zip(steps) {
                let sending = Sending {
                    first,
                    count: at_once,
                    every: PACE,
                    stamp: false,
                };
                let side = usize::from(matches!(step, Step::SynAck | Step::Answer));
                rig.pass(generator, side, sending)?;
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
        assert_eq!(came(0, Some((0.0, 0.0))), Came::Right);
        assert_eq!(came(1, Some((0.0, 0.0))), Came::Leaked);
        assert_eq!(came(900, Some((1000.0, 20.0))), Came::Lost);
        assert_eq!(came(985, Some((1000.0, 20.0))), Came::Right);
        assert_eq!(came(1021, Some((1000.0, 20.0))), Came::Leaked);
        assert_eq!(came(1021, None), Came::Right);
    }
}
