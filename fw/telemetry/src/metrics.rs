//! The exposition of all metrics.

/// Families and their encoding.
mod family;
/// Counted when they happen.
mod push;
/// Series of rules.
mod rules;
/// Read by a scrape.
mod scrape;

use bailey_control::api::RuleName;

pub use family::Exposition;
pub use push::{ApplyOutcome, DRIFT_KINDS, DaemonMetrics};
pub use rules::{RuleNumbers, RuleSeries};
pub use scrape::{RecordClass, Scrape};

/// The text of a scrape. `rules`: the names of all rules; `numbers` has those of a rule.
pub fn exposition(
    daemon: &DaemonMetrics,
    scrape: &Scrape<'_>,
    series: &mut RuleSeries,
    rules: &[RuleName],
    numbers: &dyn Fn(u32) -> RuleNumbers,
    format: Exposition,
) -> String {
    let mut families = scrape.families();
    families.extend(series.families(rules, numbers));
    family::encode(&daemon.registry(), families, format)
}
