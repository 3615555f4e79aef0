//! CPU contention: selects the rounds during which the CPUs were fastest.
//!
//! A busy SMT sibling or a neighbouring virtual machine can take half of a core for seconds. So the
//! same register-only loop (bench/bpf/pace.bpf.c) is timed before and after each round. Rounds are
//! selected by these times only, never by their own results.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use bailey_nic::cpu;
use libbpf_rs::ProgramInput;

use crate::object::{BpfObject, image};
use crate::results::Measurement;

/// A round is uncontended if the loop takes at most this multiple of its best time.
const MAX_SLOWDOWN: f64 = 1.1;
/// Repetitions of the loop, about two milliseconds.
const REPEAT: u32 = 1 << 14;
const PACKET: [u8; 64] = [0; 64];
/// Interval between checks while waiting for an uncontended CPU.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Times the loop on a set of CPUs, and remembers the best time of each CPU.
#[derive(Debug)]
pub(crate) struct ContentionGauge {
    object: BpfObject,
    /// Maximum waiting time of one [`Self::run_rounds`] call, over all rounds.
    max_wait: Duration,
    cpus: Vec<usize>,
    /// Best loop time so far in nanoseconds, by CPU.
    best_ns: Vec<f64>,
}

/// The result of a round, and the slower of the loop times before and after it, by CPU.
#[derive(Debug)]
struct Round<T> {
    result: T,
    loop_ns: Vec<f64>,
}

impl ContentionGauge {
    /// A gauge for these CPUs; `max_wait` bounds the waiting time of one [`Self::run_rounds`] call.
    pub(crate) fn new(cpus: &[usize], max_wait: Duration) -> Result<Self> {
        Ok(Self {
            object: BpfObject::load_embedded(image!("pace"), &[])?,
            max_wait,
            cpus: cpus.to_vec(),
            best_ns: vec![f64::INFINITY; cpus.len()],
        })
    }

    /// Runs rounds until `wanted` of them were uncontended or `max_rounds` are done. Returns the
    /// `wanted` least contended rounds, each with its share of the best CPU speed in percent.
    pub(crate) fn run_rounds<T>(
        &mut self,
        wanted: usize,
        max_rounds: usize,
        mut round: impl FnMut(u32) -> Result<T>,
    ) -> Result<Vec<(T, f64)>> {
        let mut rounds = Vec::new();
        let deadline = Instant::now() + self.max_wait;
        while rounds.len() < max_rounds && self.count_uncontended(&rounds) < wanted {
            let before = self.wait_until_uncontended(deadline)?;
            let result = round(rounds.len() as u32)?;
            let after = self.time_loops()?;
            let loop_ns = before.iter().zip(&after).map(|(a, b)| a.max(*b)).collect();
            rounds.push(Round { result, loop_ns });
        }
        Ok(least_contended(rounds, &self.best_ns, wanted))
    }

    /// The shares of the best CPU speed as a measurement.
    pub(crate) fn share_measurement(
        [group, scenario]: [&str; 2],
        shares: impl IntoIterator<Item = f64>,
    ) -> Measurement {
        Measurement::from_runs([group, scenario, "cpu", "share_of_best_percent"], shares)
    }

    /// Waits until the CPUs are uncontended or the deadline has passed; returns the last loop times.
    fn wait_until_uncontended(&mut self, deadline: Instant) -> Result<Vec<f64>> {
        let mut loop_ns = self.time_loops()?;
        while slowdown(&loop_ns, &self.best_ns) > MAX_SLOWDOWN && Instant::now() < deadline {
            sleep(POLL_INTERVAL);
            loop_ns = self.time_loops()?;
        }
        Ok(loop_ns)
    }

    fn count_uncontended<T>(&self, rounds: &[Round<T>]) -> usize {
        let fast = |round: &&Round<T>| slowdown(&round.loop_ns, &self.best_ns) <= MAX_SLOWDOWN;
        rounds.iter().filter(fast).count()
    }

    /// Loop times in nanoseconds, by CPU.
    fn time_loops(&mut self) -> Result<Vec<f64>> {
        let mut loop_ns = Vec::with_capacity(self.cpus.len());
        for (&cpu, best_ns) in self.cpus.iter().zip(&mut self.best_ns) {
            let now = cpu::run_on(cpu, || time_loop(&self.object))??;
            *best_ns = best_ns.min(now);
            loop_ns.push(now);
        }
        Ok(loop_ns)
    }
}

fn time_loop(object: &BpfObject) -> Result<f64> {
    let output = object.program_mut("pace")?.test_run(ProgramInput {
        data_in: Some(&PACKET),
        repeat: REPEAT,
        ..ProgramInput::default()
    })?;
    Ok(output.duration.as_secs_f64() * 1e9)
}

/// The greatest slowdown of any CPU: loop time divided by best time.
fn slowdown(loop_ns: &[f64], best_ns: &[f64]) -> f64 {
    let of_each = loop_ns.iter().zip(best_ns);
    of_each
        .map(|(loop_ns, best_ns)| loop_ns / best_ns)
        .fold(1.0, f64::max)
}

/// The least contended rounds, each with its share of the best CPU speed in percent.
fn least_contended<T>(mut rounds: Vec<Round<T>>, best_ns: &[f64], wanted: usize) -> Vec<(T, f64)> {
    let slow = |round: &Round<T>| slowdown(&round.loop_ns, best_ns);
    rounds.sort_by(|a, b| slow(a).total_cmp(&slow(b)));
    rounds.truncate(wanted);
    let chosen = rounds.into_iter().map(|round| {
        let share = 100.0 / slow(&round);
        (round.result, share)
    });
    chosen.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_selected_by_their_slowest_cpu() {
        let rounds = [
            ("one CPU contended", [100.0, 400.0]),
            ("uncontended", [100.0, 200.0]),
            ("both CPUs contended", [200.0, 410.0]),
            ("barely contended", [110.0, 210.0]),
        ];
        let rounds = rounds.map(|(result, loop_ns)| Round {
            result,
            loop_ns: loop_ns.to_vec(),
        });
        let chosen = least_contended(rounds.into(), &[100.0, 200.0], 3);
        let [(first, whole), (second, _), (third, shared)] = chosen[..] else {
            panic!("{chosen:?}");
        };
        assert_eq!(
            [first, second, third],
            ["uncontended", "barely contended", "one CPU contended"]
        );
        assert_eq!([whole, shared], [100.0, 50.0]);
    }
}
