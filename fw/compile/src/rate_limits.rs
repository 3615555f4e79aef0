//! Rate limits of rules to the token-bucket parameters that the programs read.

use bailey_bpf::{TokenBucket, abi};
use bailey_policy::{Direction, RateLimit, RateLimits, RuleRef, Snapshot};

use crate::intern::Interner;
use crate::rule_ids::{RuleIds, RuleKey};
use crate::tables::into_chunks;

/// The two map images of rate limits: rule id to limit index, and the distinct limits.
#[derive(Debug, Default)]
pub(crate) struct RateLimitTables {
    pub(crate) by_rule: Vec<abi::u32_chunk>,
    pub(crate) limits: Vec<abi::rule_limit>,
}

impl RateLimitTables {
    /// Builds the tables; both are empty if no rule has a limit.
    pub(crate) fn new(snapshot: &Snapshot, ids: &RuleIds) -> Self {
        let mut limits = Interner::new();
        limits.intern(RateLimits::default());
        let mut by_rule = Vec::new();
        for policy in snapshot.policies() {
            for direction in Direction::BOTH {
                let rules = policy.rules(direction).unwrap_or_default();
                for (index, rule) in rules.iter().enumerate() {
                    if rule.limits.is_unlimited() {
                        continue;
                    }
                    let key = RuleKey::Rule(RuleRef {
                        policy: policy.id.clone(),
                        direction,
                        index,
                    });
                    let Some(id) = ids.id(&key) else { continue };
                    by_rule.resize(ids.end() as usize, 0);
                    by_rule[id as usize] = limits.intern(rule.limits);
                }
            }
        }
        if by_rule.is_empty() {
            return Self::default();
        }
        Self {
            by_rule: into_chunks(&by_rule),
            limits: limits.values().iter().map(encode_limits).collect(),
        }
    }
}

/// The token bucket of a rate limit, as the programs have it.
pub fn token_bucket(limit: RateLimit) -> TokenBucket {
    let RateLimit {
        connections,
        seconds,
        burst,
    } = limit;
    TokenBucket::new(connections.into(), seconds.into(), burst.into())
}

fn encode_limits(limits: &RateLimits) -> abi::rule_limit {
    let bucket = |limit: Option<RateLimit>| limit.map_or_else(TokenBucket::default, token_bucket);
    let (all, source) = (bucket(limits.all), bucket(limits.per_source));
    abi::rule_limit {
        interval: all.interval,
        burst: all.burst,
        source_interval: source.interval,
        source_burst: source.burst,
    }
}
