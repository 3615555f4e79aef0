//! When a growing number reaches a mark, by its slope over the last minute.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples of a number, one a second, of the last minute.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    samples: VecDeque<(Duration, u64)>,
}

/// Time that samples are kept.
const WINDOW: Duration = Duration::from_secs(60);
/// Shortest time between the first and the last sample from which a slope is computed.
const LEAST: Duration = Duration::from_secs(10);

impl Forecast {
    /// Adds the number at a time since some start.
    pub fn add(&mut self, at: Duration, number: u64) {
        self.samples.push_back((at, number));
        while self
            .samples
            .front()
            .is_some_and(|(first, _)| *first + WINDOW < at)
        {
            self.samples.pop_front();
        }
    }

    /// Growth per second over the samples, by least squares; `None` without samples of 10 s.
    pub fn slope(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        if last.0 - first.0 < LEAST {
            return None;
        }
        let points = || {
            let each = self.samples.iter();
            each.map(|(at, number)| ((*at - first.0).as_secs_f64(), *number as f64))
        };
        let count = self.samples.len() as f64;
        let mean_x = points().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = points().map(|(_, y)| y).sum::<f64>() / count;
        let above = points()
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum::<f64>();
        let below = points().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
        Some(above / below)
    }

    /// Seconds until the number reaches `mark` at the present slope: 0 if it has, `None` if it does not
    /// grow that far within a year.
    pub fn seconds_until(&self, mark: u64) -> Option<u64> {
        const YEAR: f64 = 365.0 * 86400.0;
        let now = self.samples.back()?.1;
        if now >= mark {
            return Some(0);
        }
        let slope = self.slope().filter(|slope| *slope > 0.0)?;
        let seconds = (mark - now) as f64 / slope;
        (seconds < YEAR).then_some(seconds as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: impl IntoIterator<Item = u64>) -> Forecast {
        let mut forecast = Forecast::default();
        for (at, number) in (0..).zip(numbers) {
            forecast.add(Duration::from_secs(at), number);
        }
        forecast
    }

    #[test]
    fn steady_growth_reaches_a_mark_in_time() {
        let growing = of((0..30).map(|at| 1000 + 50 * at));
        assert_eq!(growing.slope(), Some(50.0));
        assert_eq!(growing.seconds_until(2450 + 1000), Some(20));
        assert_eq!(growing.seconds_until(2000), Some(0));
        // Only the last minute counts.
        let steady = of((0..200).map(|at| if at < 100 { 50 * at } else { 5000 }));
        assert_eq!(steady.slope(), Some(0.0));
    }

    #[test]
    fn no_slope_gives_no_time() {
        assert_eq!(of(0..5).seconds_until(1000), None);
        assert_eq!(of([7; 30]).seconds_until(1000), None);
        assert_eq!(of((0..30).rev()).seconds_until(1000), None);
        assert_eq!(of([]).seconds_until(1), None);
    }
}
