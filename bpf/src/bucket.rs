/// A token bucket in the numbers of `bucket.h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// Nanoseconds per token; even. 0: no limit.
    pub interval: u64,
    /// Nanoseconds until an empty one is full; even.
    pub burst: u64,
}

/// A month: so that no sum wraps.
const LONGEST: u64 = 30 * 24 * 3600 * 1_000_000_000;

impl TokenBucket {
    /// So many tokens in so many seconds, at most `burst` at once.
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
    fn a_bucket_is_even_and_never_empty() {
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
