//! Sparklines: the rates of the last minute in a few cells.

use std::collections::VecDeque;

use serde::Serialize;

/// Seconds that a sparkline shows.
pub const SECONDS: usize = 60;

/// The time that sparklines show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Span {
    /// 60 s.
    #[default]
    Minute,
    /// 5 min.
    FiveMinutes,
    /// 30 min.
    HalfHour,
}

impl Span {
    const ALL: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::HalfHour];
    /// Seconds of one rate.
    const STEPS: [u32; 3] = [1, 5, 30];

    /// Name of the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "60 s",
            Self::FiveMinutes => "5 min",
            Self::HalfHour => "30 min",
        }
    }

    /// The next longer or shorter time.
    pub fn next(self, is_longer: bool) -> Self {
        let at = self as usize;
        let next = if is_longer {
            at + 1
        } else {
            at.saturating_sub(1)
        };
        Self::ALL[next.min(Self::ALL.len() - 1)]
    }
}

/// Rates by second, the newest last, with a scale that falls only after a minute. Beyond a minute the greatest
/// rates of 5 s and of 30 s are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct History {
    rates: VecDeque<f32>,
    #[serde(skip)]
    longer: [Coarse; 2],
}

/// The greatest rates of intervals of equal length.
#[derive(Debug, Clone, Default, PartialEq)]
struct Coarse {
    rates: VecDeque<f32>,
    /// The interval that has not ended: its greatest rate and its seconds so far.
    open: (f32, u32),
}

impl Coarse {
    fn push(&mut self, rate: f32, step: u32) {
        self.open = (self.open.0.max(rate), self.open.1 + 1);
        if self.open.1 == step {
            // Without traffic nothing is stored.
            if self.open.0 > 0.0 || !self.rates.is_empty() {
                push_within(&mut self.rates, self.open.0, SECONDS - 1);
            }
            self.open = (0.0, 0);
        }
    }
}

fn push_within(rates: &mut VecDeque<f32>, rate: f32, most: usize) {
    if rates.len() == most {
        rates.pop_front();
    }
    rates.push_back(rate);
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
        let rate = if rate.is_finite() { rate.max(0.0) } else { 0.0 };
        push_within(&mut self.rates, rate, SECONDS);
        for (coarse, step) in self.longer.iter_mut().zip(&Span::STEPS[1..]) {
            coarse.push(rate, *step);
        }
    }

    /// Replaces the last minute by what another history knows of it; longer times stay.
    pub fn with_minute(mut self, minute: Self) -> Self {
        self.rates = minute.rates;
        if self.longer == <[Coarse; 2]>::default() {
            self.longer = minute.longer;
        }
        self
    }

    /// Whether another second without traffic changes nothing.
    pub fn is_quiet(&self) -> bool {
        let none = |rates: &VecDeque<f32>| rates.iter().all(|rate| *rate == 0.0);
        let is_empty = |coarse: &Coarse| coarse.open.0 == 0.0 && none(&coarse.rates);
        none(&self.rates) && self.longer.iter().all(is_empty)
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

    /// The same for intervals of a longer time.
    fn at_span(&self, at: usize, span: Span) -> f32 {
        let Some(coarse) = (span as usize).checked_sub(1).map(|at| &self.longer[at]) else {
            return self.at(at);
        };
        let newest = SECONDS - 1;
        if at == newest {
            return coarse.open.0;
        }
        let missing = newest - coarse.rates.len();
        at.checked_sub(missing).map_or(0.0, |at| coarse.rates[at])
    }

    /// The greatest rate of a minute: the scale.
    pub fn max(&self) -> f32 {
        self.rates.iter().copied().fold(0.0, f32::max)
    }

    /// Adds the rates of another history, interval by interval.
    pub fn add(&mut self, other: &Self) {
        self.rates = (0..SECONDS).map(|at| self.at(at) + other.at(at)).collect();
        for (sum, other) in self.longer.iter_mut().zip(&other.longer) {
            let at = |coarse: &Coarse, at: usize| {
                let missing = SECONDS - 1 - coarse.rates.len();
                at.checked_sub(missing).map_or(0.0, |at| coarse.rates[at])
            };
            sum.rates = (0..SECONDS - 1)
                .map(|n| at(sum, n) + at(other, n))
                .collect();
            sum.open = (sum.open.0 + other.open.0, other.open.1);
        }
    }

    /// Cells from the oldest to the newest second of the last minute: see [`Self::cells_of`].
    pub fn cells(&self, cells: usize, marks: &[char; 8]) -> String {
        self.cells_of(Span::Minute, cells, marks)
    }

    /// Cells from the oldest to the newest interval. Each shows the greatest of its seconds; an interval without
    /// traffic, and one before the history, is blank.
    pub fn cells_of(&self, span: Span, cells: usize, marks: &[char; 8]) -> String {
        let rate = |at: usize| self.at_span(at, span);
        let max = (0..SECONDS).map(rate).fold(0.0, f32::max);
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
        // The same second of five minutes, of which the last interval has not ended.
        let minute = History::of((0..60).map(|second| if second == 57 { 8.0 } else { 0.0 }));
        let cells = minute.cells_of(Span::FiveMinutes, 60, &MARKS);
        assert_eq!(cells, format!("{}█ ", " ".repeat(58)));
        let mut sum = History::default();
        sum.add(&minute);
        sum.add(&minute);
        assert_eq!((sum.max(), sum.at(57)), (16.0, 16.0));
        assert_eq!(sum.cells_of(Span::FiveMinutes, 60, &MARKS), cells);
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
