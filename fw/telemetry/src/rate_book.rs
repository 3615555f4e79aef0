//! Rates of counters: the last second, and a history of 60 seconds, of those that change.

use std::hash::Hash;
use std::time::Duration;

use rustc_hash::FxHashMap;

/// Seconds of history.
pub const HISTORY_SECONDS: usize = 60;

/// Counters by key, `N` for each key, sampled once a second. Only keys that changed within
/// [`HISTORY_SECONDS`] take memory for a history.
#[derive(Debug, Clone)]
pub struct RateBook<K, const N: usize> {
    last: FxHashMap<K, [u64; N]>,
    histories: FxHashMap<K, History<N>>,
    /// Number of samples.
    samples: usize,
}

/// Rates of one key, by second.
#[derive(Debug, Clone)]
struct History<const N: usize> {
    /// By sample number modulo [`HISTORY_SECONDS`].
    rates: Box<[[f32; N]; HISTORY_SECONDS]>,
    /// The last sample in which a counter changed.
    changed: usize,
}

impl<K, const N: usize> Default for RateBook<K, N> {
    fn default() -> Self {
        Self {
            last: FxHashMap::default(),
            histories: FxHashMap::default(),
            samples: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, const N: usize> RateBook<K, N> {
    /// Takes the values of all keys, `elapsed` after those before. A key that appears later than in the
    /// first sample has counted from 0. A counter that goes down has been reset: its rate is 0 once.
    pub fn sample(&mut self, elapsed: Duration, values: impl Iterator<Item = (K, [u64; N])>) {
        let is_first = self.samples == 0;
        let seconds = elapsed.as_secs_f32().max(0.001);
        self.samples += 1;
        let now = self.samples;
        for (key, counts) in values {
            let before = self.last.insert(key, counts);
            let before = match before {
                Some(before) => before,
                None if is_first => counts,
                None => [0; N],
            };
            if before == counts {
                continue;
            }
            let history = self.histories.entry(key).or_insert_with(|| History {
                rates: Box::new([[0.0; N]; HISTORY_SECONDS]),
                changed: now.saturating_sub(HISTORY_SECONDS),
            });
            history.forget_between(history.changed, now);
            let mut rates = [0.0; N];
            for (rate, (count, before)) in rates.iter_mut().zip(counts.iter().zip(before)) {
                *rate = count.saturating_sub(before) as f32 / seconds;
            }
            history.rates[now % HISTORY_SECONDS] = rates;
            history.changed = now;
        }
        self.histories
            .retain(|_, history| history.changed + HISTORY_SECONDS > now);
    }

    /// Rates per second of the last second; `None` before the second sample.
    pub fn rates(&self, key: K) -> Option<[f32; N]> {
        if self.samples < 2 {
            return None;
        }
        let history = self.histories.get(&key);
        let history = history.filter(|history| history.changed == self.samples);
        Some(history.map_or([0.0; N], |history| {
            history.rates[self.samples % HISTORY_SECONDS]
        }))
    }

    /// Rates of one counter by second, the oldest first; empty if it has not changed in this time.
    pub fn history(&self, key: K, counter: usize) -> Vec<f32> {
        let Some(history) = self.histories.get(&key) else {
            return Vec::new();
        };
        let first = self.samples.saturating_sub(HISTORY_SECONDS) + 1;
        let numbers = first.max(2)..=self.samples;
        let rate = |number: usize| match number > history.changed {
            true => 0.0,
            false => history.rates[number % HISTORY_SECONDS][counter],
        };
        numbers.map(rate).collect()
    }
}

impl<const N: usize> History<N> {
    /// Clears the seconds after `from` and before `to`.
    fn forget_between(&mut self, from: usize, to: usize) {
        for number in (from + 1).max(to.saturating_sub(HISTORY_SECONDS))..to {
            self.rates[number % HISTORY_SECONDS] = [0.0; N];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn rates_and_history_follow_the_counters() {
        let mut book: RateBook<u32, 2> = RateBook::default();
        book.sample(SECOND, [(1, [100, 5]), (2, [7, 7])].into_iter());
        assert_eq!(book.rates(1), None);
        book.sample(
            SECOND,
            [(1, [110, 5]), (2, [7, 7]), (3, [4, 0])].into_iter(),
        );
        assert_eq!(book.rates(1), Some([10.0, 0.0]));
        assert_eq!(book.rates(2), Some([0.0, 0.0]));
        // A key that appears has counted from 0.
        assert_eq!(book.rates(3), Some([4.0, 0.0]));
        // Two seconds in one sample; then none; then a reset.
        book.sample(2 * SECOND, [(1, [130, 9])].into_iter());
        book.sample(SECOND, [(1, [130, 9])].into_iter());
        book.sample(SECOND, [(1, [3, 0])].into_iter());
        assert_eq!(book.history(1, 0), [10.0, 10.0, 0.0, 0.0]);
        assert_eq!(book.history(1, 1), [0.0, 2.0, 0.0, 0.0]);
        assert_eq!(book.history(2, 0), [0.0; 0]);
    }

    #[test]
    fn histories_of_idle_keys_are_forgotten() {
        let mut book: RateBook<u32, 1> = RateBook::default();
        book.sample(SECOND, [(1, [0])].into_iter());
        book.sample(SECOND, [(1, [1])].into_iter());
        for _ in 0..HISTORY_SECONDS - 1 {
            book.sample(SECOND, [(1, [1])].into_iter());
        }
        let history = book.history(1, 0);
        assert_eq!((history.len(), history[0]), (HISTORY_SECONDS, 1.0));
        book.sample(SECOND, [(1, [1])].into_iter());
        assert!(book.history(1, 0).is_empty());
        assert_eq!(book.rates(1), Some([0.0]));
        // The old second does not come back with the next change.
        book.sample(SECOND, [(1, [3])].into_iter());
        let history = book.history(1, 0);
        assert_eq!(history.iter().sum::<f32>(), 2.0);
    }
}
