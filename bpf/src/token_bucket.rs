//! Parameters of a token bucket, in the units of `c/core/token_bucket.h`.

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
