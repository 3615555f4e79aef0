//! Parameters of a token bucket, in the units of `c/core/token_bucket.h`.

use crate::abi;

/// A token bucket: average rate and maximum burst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// Nanoseconds per token; even. 0: unlimited.
    pub interval: u64,
    /// Nanoseconds until an empty bucket is full; even.
    pub burst: u64,
}

/// 30 days in nanoseconds: the largest burst, so that no sum of times wraps.
const LONGEST: u64 = 30 * 24 * 3600 * 1_000_000_000;

impl TokenBucket {
    /// `tokens` per `seconds`, at most `burst` tokens at once. Zero counts as one.
    pub fn new(tokens: u64, seconds: u64, burst: u64) -> Self {
        let time = seconds.saturating_mul(1_000_000_000).min(LONGEST);
        let interval = (time / tokens.max(1)).max(2) & !1;
        let most = (LONGEST / interval).max(1);
        Self {
            interval,
            burst: interval * burst.clamp(1, most),
        }
    }

    /// Tokens that a bucket grants now, as `token_bucket_take` does. `word`: the state of the bucket; `now`: the
    /// coarse monotonic clock, in nanoseconds.
    pub fn left(&self, word: u64, now: u64) -> u64 {
        const DRY: u64 = abi::BUCKET_DRY as u64;
        let is_dry = word & DRY != 0;
        let debt = (word & !DRY).saturating_sub(now);
        // A dry bucket grants its first token only when it is half full.
        if is_dry && debt + self.interval > self.interval.max(self.burst / 2) {
            return 0;
        }
        self.burst.saturating_sub(debt) / self.interval.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dry_buckets_grant_tokens_at_half() {
        let bucket = TokenBucket::new(10, 1, 4);
        let now = 1_000_000_000;
        assert_eq!(bucket.left(0, now), 4);
        let in_debt = now + bucket.interval * 3;
        assert_eq!(bucket.left(in_debt, now), 1);
        assert_eq!(bucket.left(in_debt, now + bucket.interval * 2), 3);
        let dry = (now + bucket.burst) | u64::from(abi::BUCKET_DRY);
        assert_eq!(bucket.left(dry, now), 0);
        assert_eq!(bucket.left(dry, now + bucket.interval * 2), 0);
        assert_eq!(bucket.left(dry, now + bucket.interval * 3), 3);
        assert_eq!(bucket.left(dry, now + bucket.interval * 30), 4);
    }

    #[test]
    fn bucket_is_even_and_never_empty() {
        let bucket = TokenBucket::new(1000, 1, 500);
        assert_eq!((bucket.interval, bucket.burst), (1_000_000, 500_000_000));
        for tokens in [0, 1, 3, 7, 999, 1_000_000_001, u64::MAX] {
            for seconds in [1, 3600, u64::MAX] {
                for burst in [0, 1, u64::MAX] {
                    let bucket = TokenBucket::new(tokens, seconds, burst);
                    assert!(bucket.interval >= 2 && bucket.interval.is_multiple_of(2));
                    assert!(bucket.burst >= bucket.interval && bucket.burst.is_multiple_of(2));
                    assert!(bucket.burst <= 2 * LONGEST);
                }
            }
        }
    }
}
