//! The verdict of the active policies on one connection, and the new connections that their limits admit now.

use std::net::IpAddr;

use bailey_compile::{RuleIds, RuleKey, token_bucket};
use bailey_control::api_live::{LiveDecision, LiveLimit, LivePolicy};
use bailey_datapath::DatapathError;
use bailey_datapath::flows::limits::LimitBuckets;
use bailey_policy::oracle::evaluate;
use bailey_policy::{Connection, Decider, RateLimit, RateLimits, RuleRef, Snapshot};

use crate::live_state::LiveState;

impl LiveState {
    /// Evaluates a new connection under the active policies; `None` if only their names are known.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub(crate) fn live_policy(
        &self,
        connection: &Connection,
    ) -> Result<Option<LivePolicy>, DatapathError> {
        let Some((ids, snapshot)) = self.active() else {
            return Ok(None);
        };
        let verdict = evaluate(&snapshot, connection);
        let buckets = LimitBuckets::open(&self.pins)?;
        let decision = |decider: &Decider| LiveDecision {
            allowed: decider.is_allowed(),
            rule: decider.to_string(),
            isolated_by: decider
                .isolated_by()
                .iter()
                .map(ToString::to_string)
                .collect(),
            limits: match decider {
                Decider::Rule(rule) => limits(&buckets, &ids, &snapshot, rule, connection.source),
                _ => Vec::new(),
            },
        };
        Ok(Some(LivePolicy {
            allowed: verdict.is_allowed(),
            egress: decision(&verdict.egress),
            ingress: decision(&verdict.ingress),
        }))
    }

    /// Interfaces on which a packet with this source is dropped as spoofed.
    pub(crate) fn spoofed_on(&self, source: IpAddr) -> Vec<String> {
        let sources = &self.config.sources;
        match sources.internal.iter().any(|net| net.contains(&source)) {
            true => sources.external.clone(),
            false => Vec::new(),
        }
    }
}

fn limits(
    buckets: &LimitBuckets,
    ids: &RuleIds,
    snapshot: &Snapshot,
    rule: &RuleRef,
    source: IpAddr,
) -> Vec<LiveLimit> {
    let mut policies = snapshot.policies().iter();
    let policy = policies.find(|policy| policy.id == rule.policy);
    let rules = policy.and_then(|policy| policy.rules(rule.direction));
    let found = rules.and_then(|rules| rules.get(rule.index));
    let Some(RateLimits { all, per_source }) = found.map(|found| found.limits) else {
        return Vec::new();
    };
    let Some(id) = ids.id(&RuleKey::Rule(rule.clone())) else {
        return Vec::new();
    };
    let limit = |limit: RateLimit, is_per_source, left| LiveLimit {
        per_source: is_per_source,
        connections: limit.connections,
        seconds: limit.seconds,
        burst: limit.burst,
        left,
    };
    let all = all.map(|l| limit(l, false, buckets.left(id, token_bucket(l))));
    let per_source =
        per_source.map(|l| limit(l, true, buckets.left_of_source(id, source, token_bucket(l))));
    all.into_iter().chain(per_source).collect()
}
