//! The procedures of RFC 2544, section 26, made of trials.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::trial::{Link, Load, Outcome};

/// What all procedures go by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Frames a second that the line carries; infinite if nobody knows.
    pub line: f64,
    /// How long a trial lasts. RFC 2544 says 60 s for results that count.
    pub duration: Duration,
    /// The search for a rate ends when it is known to this share of itself.
    pub resolution: f64,
}

/// The greatest rate at which nothing is lost (section 26.1).
#[derive(Debug, Clone)]
pub struct Throughput {
    /// Frames a second; 0 if some are lost however slowly they are sent.
    pub rate: f64,
    /// The trial at that rate; the slowest one if there is none without loss.
    pub best: Outcome,
    /// The first trial, as fast as it goes.
    pub fastest: Outcome,
}

/// What loses some at this share of the fastest loses always.
const NOTHING: f64 = 1e-4;

/// Searches for it between nothing and the line's rate.
///
/// # Errors
/// If a trial fails.
pub fn throughput(link: &mut dyn Link, plan: &Plan) -> Result<Throughput> {
    let fastest = link.trial(Load::steady(plan.line, plan.duration))?;
    if fastest.lost() == 0 {
        return Ok(Throughput {
            rate: fastest.offered(),
            best: fastest.clone(),
            fastest,
        });
    }
    let (mut low, mut high) = (0.0, fastest.offered());
    let nothing = high * NOTHING;
    let mut best: Option<Outcome> = None;
    let mut slowest = fastest.clone();
    while high - low > high * plan.resolution && high > nothing {
        let rate = f64::midpoint(low, high);
        let outcome = link.trial(Load::steady(rate, plan.duration))?;
        if outcome.lost() == 0 {
            low = rate;
            // More cannot be sent either.
            if outcome.fell_short() {
                high = rate;
            }
            best = Some(outcome);
        } else {
            high = rate;
            slowest = outcome;
        }
    }
    Ok(Throughput {
        rate: best.as_ref().map_or(0.0, Outcome::offered),
        best: best.unwrap_or(slowest),
        fastest,
    })
}

/// Frames lost at a share of the line's rate (section 26.3).
#[derive(Debug, Clone)]
pub struct LossAt {
    /// Of the line's rate, or of what the sender reaches, in percent.
    pub load_percent: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// From the full rate in steps of 10 percent, until two in a row lose nothing.
///
/// # Errors
/// If a trial fails.
pub fn frame_loss(link: &mut dyn Link, plan: &Plan, fastest: &Outcome) -> Result<Vec<LossAt>> {
    let full = plan.line.min(fastest.offered());
    let mut points = Vec::new();
    let mut clean = 0;
    for load_percent in (1..=10).rev().map(|tenth| tenth * 10) {
        let rate = full * f64::from(load_percent) / 100.0;
        let outcome = link.trial(Load::steady(rate, plan.duration))?;
        clean = if outcome.lost() == 0 { clean + 1 } else { 0 };
        points.push(LossAt {
            load_percent,
            outcome,
        });
        if clean == 2 {
            break;
        }
    }
    Ok(points)
}

/// The longest burst at full rate of which nothing is lost (section 26.4, as RFC 9004 mends it).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackToBack {
    /// Its frames, the mean of all searches.
    pub frames: f64,
    /// How long a queue that long lasts at the full rate, but for what is forwarded meanwhile: the
    /// "corrected DUT buffer time" of RFC 9004, section 6.4.
    pub buffer: Duration,
    /// Nothing was lost of the longest burst there was.
    pub endless: bool,
}

/// Searches for it so many times.
///
/// # Errors
/// If a trial fails.
pub fn back_to_back(
    link: &mut dyn Link,
    plan: &Plan,
    throughput: &Throughput,
    times: u32,
) -> Result<BackToBack> {
    let full = plan.line.min(throughput.fastest.offered());
    let longest = (full * plan.duration.as_secs_f64()) as u64;
    let mut sum = 0;
    let mut endless = true;
    for _ in 0..times {
        let (mut low, mut high) = (0, longest + 1);
        // Most buffers are short: from there upwards first.
        let mut next = FIRST_BURST.min(longest);
        let mut rising = true;
        while high - low > (low / RESOLVED_BURST).max(1) {
            let load = Load {
                rate: plan.line,
                frames: next,
                time: plan.duration * 2,
            };
            if link.trial(load)?.lost() == 0 {
                low = next;
            } else {
                high = next;
                rising = false;
            }
            next = if rising {
                (low * 4).min(longest)
            } else {
                low.midpoint(high)
            };
        }
        sum += low;
        endless &= low == longest;
    }
    let frames = sum as f64 / f64::from(times.max(1));
    let buffered = frames / full * (1.0 - (throughput.rate / full).min(1.0));
    Ok(BackToBack {
        frames,
        buffer: Duration::try_from_secs_f64(buffered).context("no full rate")?,
        endless,
    })
}

/// Where the search for a burst begins, and to which share of itself it is known.
const FIRST_BURST: u64 = 64;
const RESOLVED_BURST: u64 = 50;

/// A trial for latency, at a share of the throughput (section 26.2 says all of it).
///
/// # Errors
/// If the trial fails.
pub fn latency(
    link: &mut dyn Link,
    plan: &Plan,
    throughput: &Throughput,
    share: f64,
) -> Result<Outcome> {
    // If nothing gets through without loss, a tenth of what there was.
    let rate = if throughput.rate > 0.0 {
        throughput.rate
    } else {
        throughput.fastest.offered() / 10.0
    };
    link.trial(Load::steady(rate * share, plan.duration))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::outcome;

    /// Forwards at a rate, and holds so many frames.
    struct Queue {
        rate: f64,
        holds: f64,
        sender: f64,
        trials: Vec<Load>,
    }

    impl Queue {
        fn new(rate: f64, holds: f64) -> Self {
            Self {
                rate,
                holds,
                sender: 1e6,
                trials: Vec::new(),
            }
        }
    }

    impl Link for Queue {
        fn trial(&mut self, load: Load) -> Result<Outcome> {
            self.trials.push(load);
            let rate = load.rate.min(self.sender);
            let sent = (rate * load.time.as_secs_f64()).min(load.frames as f64);
            let elapsed = sent / rate;
            let received = (self.rate * elapsed + self.holds).min(sent);
            let elapsed = Duration::from_secs_f64(elapsed);
            Ok(outcome(load, sent as u64, elapsed, received as u64))
        }
    }

    fn plan(line: f64) -> Plan {
        Plan {
            line,
            duration: Duration::from_secs(1),
            resolution: 0.01,
        }
    }

    fn near(measured: f64, expected: f64, share: f64) {
        let off = (measured - expected).abs();
        assert!(off <= expected * share, "{measured} is not {expected}");
    }

    #[test]
    fn finds_what_a_device_forwards() {
        for rate in [3e3, 250e3, 499e3] {
            let mut queue = Queue::new(rate, 10.0);
            let found = throughput(&mut queue, &plan(500e3)).unwrap();
            near(found.rate, rate, 0.015);
            assert!(found.rate <= rate + 10.0);
            assert_eq!(found.best.lost(), 0);
            // Seven halvings are a percent; slow devices take more.
            let halvings = (500e3 / rate).log2().ceil() as usize + 8;
            assert!(queue.trials.len() <= halvings, "{}", queue.trials.len());
        }
    }

    #[test]
    fn a_line_without_loss_takes_one_trial() {
        let mut queue = Queue::new(2e6, 0.0);
        let found = throughput(&mut queue, &plan(500e3)).unwrap();
        near(found.rate, 500e3, 1e-6);
        assert_eq!(queue.trials.len(), 1);
        // Faster than the sender is as fast as the sender.
        let found = throughput(&mut queue, &plan(f64::INFINITY)).unwrap();
        near(found.rate, 1e6, 1e-6);
    }

    #[test]
    fn what_always_loses_has_no_throughput() {
        let found = throughput(&mut Queue::new(0.0, 0.0), &plan(500e3)).unwrap();
        assert_eq!(found.rate, 0.0);
        assert!(found.best.lost() > 0);
    }

    #[test]
    fn loss_is_told_until_two_trials_lose_nothing() {
        let mut queue = Queue::new(350e3, 0.0);
        let fastest = queue
            .trial(Load::steady(500e3, Duration::from_secs(1)))
            .unwrap();
        let points = frame_loss(&mut queue, &plan(500e3), &fastest).unwrap();
        let loads: Vec<u32> = points.iter().map(|point| point.load_percent).collect();
        assert_eq!(loads, [100, 90, 80, 70, 60]);
        near(points[0].outcome.lost_percent(), 30.0, 0.001);
        assert_eq!(points[3].outcome.lost(), 0);
    }

    #[test]
    fn bursts_tell_the_buffer() {
        let mut queue = Queue::new(250e3, 1000.0);
        let found = throughput(&mut queue, &plan(500e3)).unwrap();
        let bursts = back_to_back(&mut queue, &plan(500e3), &found, 3).unwrap();
        // While 2000 arrive, half of them leave.
        near(bursts.frames, 2000.0, 0.03);
        // A thousand frames at the full rate.
        near(bursts.buffer.as_secs_f64(), 2e-3, 0.05);
        assert!(!bursts.endless);
    }

    #[test]
    fn a_burst_without_end_is_called_so() {
        let mut queue = Queue::new(2e6, 0.0);
        let found = throughput(&mut queue, &plan(500e3)).unwrap();
        let bursts = back_to_back(&mut queue, &plan(500e3), &found, 1).unwrap();
        assert!(bursts.endless);
        assert_eq!(bursts.buffer, Duration::ZERO);
        near(bursts.frames, 500e3, 0.001);
    }
}
