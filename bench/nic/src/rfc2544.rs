//! The procedures of RFC 2544, section 26, made of trials.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::trial::{Link, Load, TrialOutcome};

/// Parameters of all procedures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Line rate in frames per second; infinite if unknown.
    pub line_rate: f64,
    /// Duration of a trial. RFC 2544 requires 60 s for final results.
    pub duration: Duration,
    /// The search for a rate ends at this relative precision.
    pub resolution: f64,
}

/// The highest rate without loss (section 26.1).
#[derive(Debug, Clone)]
pub struct Throughput {
    /// Frames per second; 0 if every rate loses frames.
    pub rate: f64,
    /// The trial at that rate; the slowest trial if every trial lost frames.
    pub best: TrialOutcome,
    /// The first trial, at line rate.
    pub fastest: TrialOutcome,
}

/// The search gives up at this share of the fastest rate.
const GIVE_UP_SHARE: f64 = 1e-4;

/// Searches the throughput between zero and line rate.
///
/// # Errors
/// If a trial fails.
pub fn measure_throughput(link: &mut dyn Link, plan: &Plan) -> Result<Throughput> {
    let fastest = link.trial(Load::steady(plan.line_rate, plan.duration))?;
    if fastest.lost() == 0 {
        return Ok(Throughput {
            rate: fastest.offered(),
            best: fastest.clone(),
            fastest,
        });
    }
    let (mut low, mut high) = (0.0, fastest.offered());
    let give_up = high * GIVE_UP_SHARE;
    let mut best: Option<TrialOutcome> = None;
    let mut slowest = fastest.clone();
    while high - low > high * plan.resolution && high > give_up {
        let rate = f64::midpoint(low, high);
        let outcome = link.trial(Load::steady(rate, plan.duration))?;
        if outcome.lost() == 0 {
            low = rate;
            // The sender cannot send more, so this rate is the maximum.
            if outcome.is_below_load() {
                high = rate;
            }
            best = Some(outcome);
        } else {
            high = rate;
            slowest = outcome;
        }
    }
    Ok(Throughput {
        rate: best.as_ref().map_or(0.0, TrialOutcome::offered),
        best: best.unwrap_or(slowest),
        fastest,
    })
}

/// Frame loss at a share of line rate (section 26.3).
#[derive(Debug, Clone)]
pub struct LossAt {
    /// Load in percent of line rate, or of the sender's rate if that is lower.
    pub load_percent: u32,
    /// The trial at that load.
    pub outcome: TrialOutcome,
}

/// Measures the frame loss from the full rate down in steps of 10 %, until two trials in a row lose
/// no frame.
///
/// # Errors
/// If a trial fails.
pub fn measure_frame_loss(
    link: &mut dyn Link,
    plan: &Plan,
    fastest: &TrialOutcome,
) -> Result<Vec<LossAt>> {
    let full = plan.line_rate.min(fastest.offered());
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

/// The longest burst at full rate without loss (section 26.4, updated by RFC 9004).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackToBack {
    /// Frames of the burst, the mean of all searches.
    pub frames: f64,
    /// The "corrected DUT buffer time" of RFC 9004, section 6.4: the burst's duration at full rate,
    /// less the frames that the device forwards during the burst.
    pub buffer: Duration,
    /// Whether even the longest burst of the search lost no frame.
    pub is_endless: bool,
}

/// Runs `times` searches for the longest burst without loss.
///
/// # Errors
/// If a trial fails.
pub fn measure_bursts(
    link: &mut dyn Link,
    plan: &Plan,
    throughput: &Throughput,
    times: u32,
) -> Result<BackToBack> {
    let full = plan.line_rate.min(throughput.fastest.offered());
    let longest = (full * plan.duration.as_secs_f64()) as u64;
    let mut sum = 0;
    let mut is_endless = true;
    for _ in 0..times {
        let (mut low, mut high) = (0, longest + 1);
        // Most buffers are short, so the search starts small and grows.
        let mut next = FIRST_BURST.min(longest);
        let mut rising = true;
        while high - low > (low / RESOLVED_BURST).max(1) {
            let load = Load {
                rate: plan.line_rate,
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
        is_endless &= low == longest;
    }
    let frames = sum as f64 / f64::from(times.max(1));
    let buffered = frames / full * (1.0 - (throughput.rate / full).min(1.0));
    Ok(BackToBack {
        frames,
        buffer: Duration::try_from_secs_f64(buffered).context("no full rate")?,
        is_endless,
    })
}

/// First burst of a search, in frames.
const FIRST_BURST: u64 = 64;
/// The search ends at a precision of one part in this number.
const RESOLVED_BURST: u64 = 50;

/// Runs a trial for latency, at a share of the throughput (section 26.2 requires the full
/// throughput).
///
/// # Errors
/// If the trial fails.
pub fn measure_latency(
    link: &mut dyn Link,
    plan: &Plan,
    throughput: &Throughput,
    share: f64,
) -> Result<TrialOutcome> {
    // Without a rate free of loss, use a tenth of the fastest rate.
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

    /// A device that forwards at a rate and has a buffer, behind a sender of limited rate.
    struct Queue {
        rate: f64,
        buffer: f64,
        sender_rate: f64,
        trials: Vec<Load>,
    }

    impl Queue {
        fn new(rate: f64, buffer: f64) -> Self {
            Self {
                rate,
                buffer,
                sender_rate: 1e6,
                trials: Vec::new(),
            }
        }
    }

    impl Link for Queue {
        fn trial(&mut self, load: Load) -> Result<TrialOutcome> {
            self.trials.push(load);
            let rate = load.rate.min(self.sender_rate);
            let sent = (rate * load.time.as_secs_f64()).min(load.frames as f64);
            let elapsed = sent / rate;
            let received = (self.rate * elapsed + self.buffer).min(sent);
            let elapsed = Duration::from_secs_f64(elapsed);
            Ok(outcome(load, sent as u64, elapsed, received as u64))
        }
    }

    fn plan(line_rate: f64) -> Plan {
        Plan {
            line_rate,
            duration: Duration::from_secs(1),
            resolution: 0.01,
        }
    }

    fn assert_near(measured: f64, expected: f64, share: f64) {
        let off = (measured - expected).abs();
        assert!(off <= expected * share, "{measured} is not {expected}");
    }

    #[test]
    fn throughput_is_the_rate_of_the_device() {
        for rate in [3e3, 250e3, 499e3] {
            let mut queue = Queue::new(rate, 10.0);
            let found = measure_throughput(&mut queue, &plan(500e3)).unwrap();
            assert_near(found.rate, rate, 0.015);
            assert!(found.rate <= rate + 10.0);
            assert_eq!(found.best.lost(), 0);
            // Seven halvings reach one percent; slow devices need more.
            let halvings = (500e3 / rate).log2().ceil() as usize + 8;
            assert!(queue.trials.len() <= halvings, "{}", queue.trials.len());
        }
    }

    #[test]
    fn lossless_link_takes_one_trial() {
        let mut queue = Queue::new(2e6, 0.0);
        let found = measure_throughput(&mut queue, &plan(500e3)).unwrap();
        assert_near(found.rate, 500e3, 1e-6);
        assert_eq!(queue.trials.len(), 1);
        // The sender limits a faster device.
        let found = measure_throughput(&mut queue, &plan(f64::INFINITY)).unwrap();
        assert_near(found.rate, 1e6, 1e-6);
    }

    #[test]
    fn always_lossy_link_has_zero_throughput() {
        let found = measure_throughput(&mut Queue::new(0.0, 0.0), &plan(500e3)).unwrap();
        assert_eq!(found.rate, 0.0);
        assert!(found.best.lost() > 0);
    }

    #[test]
    fn frame_loss_stops_after_two_lossless_trials() {
        let mut queue = Queue::new(350e3, 0.0);
        let fastest = queue
            .trial(Load::steady(500e3, Duration::from_secs(1)))
            .unwrap();
        let points = measure_frame_loss(&mut queue, &plan(500e3), &fastest).unwrap();
        let loads: Vec<u32> = points.iter().map(|point| point.load_percent).collect();
        assert_eq!(loads, [100, 90, 80, 70, 60]);
        assert_near(points[0].outcome.lost_percent(), 30.0, 0.001);
        assert_eq!(points[3].outcome.lost(), 0);
    }

    #[test]
    fn burst_length_yields_the_buffer_time() {
        let mut queue = Queue::new(250e3, 1000.0);
        let found = measure_throughput(&mut queue, &plan(500e3)).unwrap();
        let bursts = measure_bursts(&mut queue, &plan(500e3), &found, 3).unwrap();
        // While 2000 frames arrive, the device forwards 1000.
        assert_near(bursts.frames, 2000.0, 0.03);
        // The buffer holds 1000 frames, which take 2 ms at full rate.
        assert_near(bursts.buffer.as_secs_f64(), 2e-3, 0.05);
        assert!(!bursts.is_endless);
    }

    #[test]
    fn lossless_burst_is_endless() {
        let mut queue = Queue::new(2e6, 0.0);
        let found = measure_throughput(&mut queue, &plan(500e3)).unwrap();
        let bursts = measure_bursts(&mut queue, &plan(500e3), &found, 1).unwrap();
        assert!(bursts.is_endless);
        assert_eq!(bursts.buffer, Duration::ZERO);
        assert_near(bursts.frames, 500e3, 0.001);
    }
}
