//! Rounds in which the CPUs were as fast as they ever are.
//!
//! Who works on the other thread of a core takes up to half of it, a neighbour of a virtual machine
//! too, for seconds at a time. What is measured then is another machine. So the same instructions are
//! timed before and after each round, and rounds are chosen by that, whatever came of them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use bailey_nic::cpu;
use libbpf_rs::ProgramInput;

use crate::object::{Loaded, image};
use crate::results::Measured;

/// How much slower than ever a CPU may be beside a round that counts.
const SLACK: f64 = 1.1;
/// Some two milliseconds.
const REPEAT: u32 = 1 << 14;
const FRAME: [u8; 64] = [0; 64];
/// From one look to the next, while others are waited for.
const LOOK: Duration = Duration::from_millis(50);

/// How fast some CPUs are.
#[derive(Debug)]
pub(crate) struct Pace {
    object: Loaded,
    /// How long others are waited for, in all rounds of one call.
    patience: Duration,
    cpus: Vec<usize>,
    /// The least that the instructions have ever taken, by CPU, in nanoseconds.
    least: Vec<f64>,
}

/// What came of a round, and what the instructions took beside it, by CPU.
#[derive(Debug)]
struct Round<T> {
    came: T,
    beside: Vec<f64>,
}

impl Pace {
    /// Waits at most so long for others, in all rounds of one call.
    pub(crate) fn new(cpus: &[usize], patience: Duration) -> Result<Self> {
        Ok(Self {
            object: Loaded::embedded(image!("pace"), &[])?,
            patience,
            cpus: cpus.to_vec(),
            least: vec![f64::INFINITY; cpus.len()],
        })
    }

    /// Does rounds until `wanted` of them had the CPUs at their fastest, or `most` are done. Gives back as
    /// many as are wanted, those with the fastest CPUs, each with the share of their speed in percent.
    pub(crate) fn rounds<T>(
        &mut self,
        wanted: usize,
        most: usize,
        mut round: impl FnMut(u32) -> Result<T>,
    ) -> Result<Vec<(T, f64)>> {
        let mut rounds = Vec::new();
        let give_up = Instant::now() + self.patience;
        while rounds.len() < most && self.undisturbed(&rounds) < wanted {
            let before = self.settle(give_up)?;
            let came = round(rounds.len() as u32)?;
            let after = self.take()?;
            let beside = before.iter().zip(&after).map(|(a, b)| a.max(*b)).collect();
            rounds.push(Round { came, beside });
        }
        Ok(fastest(rounds, &self.least, wanted))
    }

    /// What a report says of the CPUs.
    pub(crate) fn measured(
        [group, scenario]: [&str; 2],
        shares: impl IntoIterator<Item = f64>,
    ) -> Measured {
        Measured::of([group, scenario, "cpu", "share_of_best_percent"], shares)
    }

    /// Waits until the CPUs are as fast as ever.
    fn settle(&mut self, give_up: Instant) -> Result<Vec<f64>> {
        let mut took = self.take()?;
        while slowness(&took, &self.least) > SLACK && Instant::now() < give_up {
            sleep(LOOK);
            took = self.take()?;
        }
        Ok(took)
    }

    fn undisturbed<T>(&self, rounds: &[Round<T>]) -> usize {
        let fast = |round: &&Round<T>| slowness(&round.beside, &self.least) <= SLACK;
        rounds.iter().filter(fast).count()
    }

    /// What the instructions take, by CPU.
    fn take(&mut self) -> Result<Vec<f64>> {
        let mut took = Vec::with_capacity(self.cpus.len());
        for (&cpu, least) in self.cpus.iter().zip(&mut self.least) {
            let now = cpu::on(cpu, || time(&self.object))??;
            *least = least.min(now);
            took.push(now);
        }
        Ok(took)
    }
}

fn time(object: &Loaded) -> Result<f64> {
    let output = object.program_mut("pace")?.test_run(ProgramInput {
        data_in: Some(&FRAME),
        repeat: REPEAT,
        ..ProgramInput::default()
    })?;
    Ok(output.duration.as_secs_f64() * 1e9)
}

/// How many times what they have ever taken the instructions took, where that is most.
fn slowness(took: &[f64], least: &[f64]) -> f64 {
    let of_each = took.iter().zip(least);
    of_each
        .map(|(took, least)| took / least)
        .fold(1.0, f64::max)
}

/// So many of the rounds, and how fast the CPUs were beside them, in percent.
fn fastest<T>(mut rounds: Vec<Round<T>>, least: &[f64], wanted: usize) -> Vec<(T, f64)> {
    let slow = |round: &Round<T>| slowness(&round.beside, least);
    rounds.sort_by(|a, b| slow(a).total_cmp(&slow(b)));
    rounds.truncate(wanted);
    let chosen = rounds.into_iter().map(|round| {
        let share = 100.0 / slow(&round);
        (round.came, share)
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
        let rounds = rounds.map(|(came, beside)| Round {
            came,
            beside: beside.to_vec(),
        });
        let chosen = fastest(rounds.into(), &[100.0, 200.0], 3);
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
