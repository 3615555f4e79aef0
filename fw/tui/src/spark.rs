//! Sparklines: the rates of the last minute in a few cells.

use std::collections::VecDeque;

/// Seconds that a sparkline shows.
pub const SECONDS: usize = 60;

/// Rates by second, the newest last, with a scale that falls only after a minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    rates: VecDeque<f32>,
}

impl History {
    /// The rates of the last seconds, the oldest first; older ones than [`SECONDS`] are dropped.
    pub fn of(rates: impl IntoIterator<Item = f32>) -> Self {
        let mut history = Self::default();
        rates.into_iter().for_each(|rate| history.push(rate));
        history
    }

    /// Adds the rate of one more second.
    pub fn push(&mut self, rate: f32) {
        if self.rates.len() == SECONDS {
            self.rates.pop_front();
        }
        self.rates
            .push_back(if rate.is_finite() { rate.max(0.0) } else { 0.0 });
    }

    /// The last rate.
    pub fn last(&self) -> Option<f32> {
        self.rates.back().copied()
    }

    /// The rate of a second, counted from [`SECONDS`] ago; 0 before the history.
    pub fn at(&self, second: usize) -> f32 {
        let missing = SECONDS - self.rates.len();
        second.checked_sub(missing).map_or(0.0, |at| self.rates[at])
    }

    /// The greatest rate of a minute: the scale.
    pub fn max(&self) -> f32 {
        self.rates.iter().copied().fold(0.0, f32::max)
    }

    /// Cells from the oldest to the newest second. Each shows the greatest of its seconds; a second without
    /// traffic, and one before the history, is blank.
    pub fn cells(&self, cells: usize, marks: &[char; 8]) -> String {
        let max = self.max();
        let rate = |second: usize| self.at(second);
        let cell = |at: usize| {
            let (from, to) = (at * SECONDS / cells, (at + 1) * SECONDS / cells);
            let most = (from..to.max(from + 1).min(SECONDS))
                .map(rate)
                .fold(0.0, f32::max);
            if most <= 0.0 || max <= 0.0 {
                return ' ';
            }
            let level = (most / max * 8.0 - 0.001).floor().clamp(0.0, 7.0);
            marks[level as usize]
        };
        (0..cells).map(cell).collect()
    }
}

/// A bar of `cells` cells, of which parts are filled with a mark each; the rest is the last mark.
pub fn gauge(cells: usize, parts: &[(f64, char)], of: f64, rest: char) -> String {
    let mut bar = String::new();
    let mut sum = 0.0;
    let mut drawn = 0;
    for (part, mark) in parts {
        sum += part;
        // A part that exists is visible.
        let least = drawn + usize::from(*part > 0.0);
        let end = match of > 0.0 {
            true => ((sum / of * cells as f64).round() as usize)
                .max(least)
                .min(cells),
            false => 0,
        };
        bar.extend(std::iter::repeat_n(*mark, end.saturating_sub(drawn)));
        drawn = drawn.max(end);
    }
    bar.extend(std::iter::repeat_n(rest, cells - drawn));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

    #[test]
    fn cells_show_the_greatest_of_their_seconds() {
        let mut history = History::of((0..60).map(|second| if second == 7 { 8.0 } else { 0.0 }));
        assert_eq!(history.cells(12, &MARKS), " █          ");
        history.push(1.0);
        assert_eq!(history.cells(12, &MARKS), " █         ▁");
        // A short history stands at the right.
        assert_eq!(History::of([4.0, 8.0]).cells(60, &MARKS).trim_start(), "▄█");
        assert_eq!(History::default().cells(3, &MARKS), "   ");
        assert_eq!(
            History::of([f32::NAN, f32::INFINITY, -1.0])
                .cells(60, &MARKS)
                .trim(),
            ""
        );
    }

    #[test]
    fn gauges_are_filled_to_their_share() {
        let parts = [(50.0, '#'), (25.0, '=')];
        assert_eq!(gauge(8, &parts, 100.0, '.'), "####==..");
        assert_eq!(gauge(8, &[(300.0, '#')], 100.0, '.'), "########");
        assert_eq!(gauge(4, &parts, 0.0, '.'), "....");
    }
}
