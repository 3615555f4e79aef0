//! Rounds in which the CPU was as fast as it ever is.
//!
//! Who works on the other thread of a core takes up to half of it, a neighbour of a virtual machine
//! too, for seconds at a time. What is measured then is another machine. So the same instructions are
//! timed before and after each round, and rounds are chosen by that, whatever came of them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use libbpf_rs::ProgramInput;

use crate::object::{Loaded, image};

/// How much slower than ever the CPU may be beside a round that counts.
const SLACK: f64 = 1.1;
/// Some two milliseconds.
const REPEAT: u32 = 1 << 14;
const FRAME: [u8; 64] = [0; 64];
/// From one look to the next, while others are waited for.
const LOOK: Duration = Duration::from_millis(50);

/// How fast the CPU is that this thread is on.
#[derive(Debug)]
pub(crate) struct Pace {
    object: Loaded,
    /// How long others are waited for, in all rounds of one call.
    patience: Duration,
    /// The least that the instructions have ever taken, in nanoseconds.
    least: f64,
}

/// What came of a round, and what the instructions took beside it.
#[derive(Debug)]
struct Round<T> {
    came: T,
    beside: f64,
}

impl Pace {
    /// Waits at most so long for others, in all rounds of one call.
    pub(crate) fn new(patience: Duration) -> Result<Self> {
        Ok(Self {
            object: Loaded::embedded(image!("pace"), &[])?,
            patience,
            least: f64::INFINITY,
        })
    }

    /// Does rounds until `wanted` of them had the CPU at its fastest, or `most` are done. Gives back as
    /// many as are wanted, those with the fastest CPU, each with the share of its speed in percent.
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
            rounds.push(Round {
                came,
                beside: before.max(after),
            });
        }
        Ok(fastest(rounds, wanted)
            .into_iter()
            .map(|round| (round.came, 100.0 * self.least / round.beside))
            .collect())
    }

    /// Waits until the CPU is as fast as ever.
    fn settle(&mut self, give_up: Instant) -> Result<f64> {
        let mut took = self.take()?;
        while took > self.least * SLACK && Instant::now() < give_up {
            sleep(LOOK);
            took = self.take()?;
        }
        Ok(took)
    }

    fn undisturbed<T>(&self, rounds: &[Round<T>]) -> usize {
        let most = self.least * SLACK;
        rounds.iter().filter(|round| round.beside <= most).count()
    }

    fn take(&mut self) -> Result<f64> {
        let output = self.object.program_mut("pace")?.test_run(ProgramInput {
            data_in: Some(&FRAME),
            repeat: REPEAT,
            ..ProgramInput::default()
        })?;
        let took = output.duration.as_secs_f64() * 1e9;
        self.least = self.least.min(took);
        Ok(took)
    }
}

fn fastest<T>(mut rounds: Vec<Round<T>>, wanted: usize) -> Vec<Round<T>> {
    rounds.sort_by(|a, b| a.beside.total_cmp(&b.beside));
    rounds.truncate(wanted);
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_chosen_by_the_cpu_and_not_by_what_came() {
        let rounds = [(1, 200.0), (2, 100.0), (3, 150.0), (4, 101.0)];
        let rounds = rounds.map(|(came, beside)| Round { came, beside });
        let chosen = fastest(rounds.into(), 3);
        assert_eq!(
            chosen.iter().map(|round| round.came).collect::<Vec<_>>(),
            [2, 4, 3]
        );
    }
}
