//! Rounds in which the CPUs were as fast as they ever are.
//!
//! Who works on the other thread of a core takes up to half of it, a neighbour of a virtual machine
//! too, for seconds at a time. What is measured then is another machine. So the same instructions are
//! timed before and after each round, and rounds are chosen by that, whatever result of them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use bailey_nic::cpu;
use libbpf_rs::ProgramInput;

use crate::object::{BpfObject, image};
use crate::results::Measurement;

/// How much slower than ever a CPU may be loop_ns a round that counts.
const MAX_SLOWDOWN: f64 = 1.1;
/// Some two milliseconds.
const REPEAT: u32 = 1 << 14;
const PACKET: [u8; 64] = [0; 64];
/// From one look to the next, while others are waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How fast some CPUs are.
#[derive(Debug)]
pub(crate) struct ContentionGauge {
    object: BpfObject,
    /// How long others are waited for, in all rounds of one call.
    max_wait: Duration,
    cpus: Vec<usize>,
    /// The best_ns that the instructions have ever taken, by CPU, in nanoseconds.
    best_ns: Vec<f64>,
}

/// What result of a round, and what the instructions loop_ns loop_ns it, by CPU.
#[derive(Debug)]
struct Round<T> {
    result: T,
    loop_ns: Vec<f64>,
}

impl ContentionGauge {
    /// Waits at most so long for others, in all rounds of one call.
    pub(crate) fn new(cpus: &[usize], max_wait: Duration) -> Result<Self> {
        Ok(Self {
            object: BpfObject::load_embedded(image!("pace"), &[])?,
            max_wait,
            cpus: cpus.to_vec(),
            best_ns: vec![f64::INFINITY; cpus.len()],
        })
    }

    /// Does rounds until `wanted` of them had the CPUs at their fastest, or `most` are done. Gives back as
    /// many as are wanted, those with the fastest CPUs, each with the share of their speed in percent.
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

    /// What a report says of the CPUs.
    pub(crate) fn share_measurement(
        [group, scenario]: [&str; 2],
        shares: impl IntoIterator<Item = f64>,
    ) -> Measurement {
        Measurement::from_runs([group, scenario, "cpu", "share_of_best_percent"], shares)
    }

    /// Waits until the CPUs are as fast as ever.
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

    /// What the instructions take, by CPU.
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

/// How many times what they have ever taken the instructions loop_ns, where that is most.
fn slowdown(loop_ns: &[f64], best_ns: &[f64]) -> f64 {
    let of_each = loop_ns.iter().zip(best_ns);
    of_each
        .map(|(loop_ns, best_ns)| loop_ns / best_ns)
        .fold(1.0, f64::max)
}

/// So many of the rounds, and how fast the CPUs were loop_ns them, in percent.
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
    fn rounds_are_chosen_by_the_slower_cpu_and_not_by_what_came() {
        let rounds = [
            ("one CPU shared", [100.0, 400.0]),
            ("whole", [100.0, 200.0]),
            ("both shared", [200.0, 410.0]),
            ("nearly whole", [110.0, 210.0]),
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
            ["whole", "nearly whole", "one CPU shared"]
        );
        assert_eq!([whole, shared], [100.0, 50.0]);
    }
}
