//! Metrics that are counted when they happen: commits, drift, repairs.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::family::PREFIX;

/// One label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Label(&'static str, &'static str);

impl EncodeLabelSet for Label {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> Result<(), std::fmt::Error> {
        [(self.0, self.1)].encode(encoder)
    }
}

/// Counters and histograms of the daemon. Clones share the content.
#[derive(Debug, Clone)]
pub struct DaemonMetrics {
    applies: Family<Label, Counter>,
    stages: Family<Label, Histogram, fn() -> Histogram>,
    drift: Family<Label, Counter>,
    repairs: Family<Label, Histogram, fn() -> Histogram>,
}

/// From 1 ms to 8 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

/// Outcome of a change of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// A new generation is active.
    Committed,
    /// The files have the active policies.
    Unchanged,
    /// The files or the kernel do not permit a new generation.
    Refused,
}

impl Default for DaemonMetrics {
    fn default() -> Self {
        let metrics = Self {
            applies: Family::default(),
            stages: Family::new_with_constructor(seconds),
            drift: Family::default(),
            repairs: Family::new_with_constructor(seconds),
        };
        // Series exist before their first event, so that a rate sees it.
        for outcome in [
            ApplyOutcome::Committed,
            ApplyOutcome::Unchanged,
            ApplyOutcome::Refused,
        ] {
            drop(metrics.applies.get_or_create(&outcome_label(outcome)));
        }
        for stage in ["read", "compile", "install", "total"] {
            drop(metrics.stages.get_or_create(&Label("stage", stage)));
        }
        for kind in DRIFT_KINDS {
            drop(metrics.drift.get_or_create(&Label("kind", kind)));
            drop(metrics.repairs.get_or_create(&Label("kind", kind)));
        }
        metrics
    }
}

/// Kinds of interference that the daemon repairs.
pub const DRIFT_KINDS: [&str; 4] = [
    "program-detached",
    "program-displaced",
    "pins-removed",
    "guard-removed",
];

fn outcome_label(outcome: ApplyOutcome) -> Label {
    let name = match outcome {
        ApplyOutcome::Committed => "committed",
        ApplyOutcome::Unchanged => "unchanged",
        ApplyOutcome::Refused => "refused",
    };
    Label("outcome", name)
}

impl DaemonMetrics {
    /// Counts a reload.
    pub fn record_apply(&self, outcome: ApplyOutcome) {
        self.applies.get_or_create(&outcome_label(outcome)).inc();
    }

    /// Records how long the stages of a commit took.
    pub fn record_stages(&self, stages: &[(&'static str, Duration)]) {
        let mut total = Duration::ZERO;
        for (stage, duration) in stages {
            total += *duration;
            if ["read", "compile", "install"].contains(stage) {
                let label = Label("stage", stage);
                let histogram = self.stages.get_or_create(&label);
                histogram.observe(duration.as_secs_f64());
            }
        }
        let histogram = self.stages.get_or_create(&Label("stage", "total"));
        histogram.observe(total.as_secs_f64());
    }

    /// Counts interference by another process that the daemon has repaired, and how long the repair took
    /// since the daemon noticed.
    pub fn record_drift(&self, kind: &'static str, repair: Duration) {
        let label = Label("kind", kind);
        self.drift.get_or_create(&label).inc();
        self.repairs
            .get_or_create(&label)
            .observe(repair.as_secs_f64());
    }

    /// Registers all of them.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "policy_apply",
            "Reloads of the policies, by outcome",
            self.applies.clone(),
        );
        registry.register(
            "policy_apply_duration_seconds",
            "Duration of commits, by stage; from the first read file to the first packet under the new policies",
            self.stages.clone(),
        );
        registry.register(
            "drift",
            "Interference by other processes with programs and pins",
            self.drift.clone(),
        );
        registry.register(
            "repair_duration_seconds",
            "Time from noticing interference to its repair",
            self.repairs.clone(),
        );
        registry
    }
}
