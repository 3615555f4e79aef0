//! The daemon's own state for `status`: problems, warnings and interference. Not the state of the
//! kernel.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bailey_clock::{now, wall};
use bailey_control::api;
use bailey_telemetry::metrics::{ApplyOutcome, DaemonMetrics};

/// State that the loop writes and the control socket reads. Clones share the content.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    shared: Arc<Mutex<State>>,
    metrics: DaemonMetrics,
}

#[derive(Debug)]
struct State {
    started: Instant,
    /// Time of the latest commit.
    committed: Option<Instant>,
    /// One text per subject.
    problems: BTreeMap<String, String>,
    /// Warnings of the latest commit.
    warnings: Vec<String>,
    /// By kind.
    interference: BTreeMap<&'static str, Interference>,
    failsafe: Option<Vec<String>>,
    /// Last beat of each loop.
    beats: BTreeMap<&'static str, SystemTime>,
}

/// Interference of one kind.
#[derive(Debug)]
struct Interference {
    count: u64,
    last: Instant,
    /// Object of the latest one.
    text: String,
}

/// Subject of problems with policy files.
pub(crate) const POLICY: &str = "policy";

impl Health {
    /// The state of a daemon that starts now.
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                started: now(),
                committed: None,
                problems: BTreeMap::new(),
                warnings: Vec::new(),
                interference: BTreeMap::new(),
                failsafe: None,
                beats: BTreeMap::new(),
            })),
            metrics: DaemonMetrics::default(),
        }
    }

    /// The daemon's own counters.
    pub(crate) fn metrics(&self) -> &DaemonMetrics {
        &self.metrics
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single assignment, so a panic leaves the state consistent.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a loop is alive.
    pub(crate) fn beat(&self, name: &'static str) {
        self.lock().beats.insert(name, wall());
    }

    /// Last beat of each loop.
    pub(crate) fn beats(&self) -> BTreeMap<&'static str, SystemTime> {
        self.lock().beats.clone()
    }

    /// Records a commit, how long its stages took, and the warnings about its policies.
    pub(crate) fn record_commit(&self, stages: &[(&'static str, Duration)], warnings: &[String]) {
        self.metrics.record_apply(ApplyOutcome::Committed);
        self.metrics.record_stages(stages);
        let mut state = self.lock();
        state.committed = Some(now());
        state.warnings = warnings.to_vec();
    }

    /// Sets the active failsafe entries; `None` if they are not known.
    pub(crate) fn set_failsafe(&self, failsafe: Option<Vec<String>>) {
        self.lock().failsafe = failsafe;
    }

    /// Counts interference by another process with attached programs or pins, which Bailey has
    /// repaired. `repair`: time from noticing to the repair.
    pub(crate) fn record_interference(&self, kind: &'static str, text: String, repair: Duration) {
        self.metrics.record_drift(kind, repair);
        let mut state = self.lock();
        let count = state.interference.get(kind).map_or(0, |known| known.count) + 1;
        let last = now();
        let interference = Interference { count, last, text };
        state.interference.insert(kind, interference);
    }

    /// Sets the problem of a subject; it lasts until [`Self::clear_problem`].
    pub(crate) fn set_problem(&self, subject: &str, message: &str) {
        // Errors of the datapath already begin with their interface.
        let text = match message.strip_prefix(subject) {
            Some(rest) if rest.starts_with(':') => message.to_owned(),
            _ => format!("{subject}: {message}"),
        };
        self.lock().problems.insert(subject.to_owned(), text);
    }

    /// Removes the problem of a subject, if it has one.
    pub(crate) fn clear_problem(&self, subject: &str) {
        self.lock().problems.remove(subject);
    }

    /// The problem of a subject.
    pub(crate) fn problem_of(&self, subject: &str) -> Option<String> {
        self.lock().problems.get(subject).cloned()
    }

    /// The state as an API value.
    pub(crate) fn to_api(&self) -> api::Daemon {
        let state = self.lock();
        let interference = state.interference.iter();
        let interference = interference.map(|(kind, known)| api::Interference {
            kind: (*kind).to_owned(),
            count: known.count,
            last_seconds_ago: (now() - known.last).as_secs(),
            last: known.text.clone(),
        });
        let warnings = state.warnings.iter().take(api::STATUS_WARNINGS);
        api::Daemon {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: (now() - state.started).as_secs(),
            committed_seconds_ago: state.committed.map(|at| (now() - at).as_secs()),
            problems: state.problems.values().cloned().collect(),
            interference: interference.collect(),
            warnings: warnings.cloned().collect(),
            failsafe: state.failsafe.clone(),
        }
    }
}
