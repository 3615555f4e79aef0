use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bailey_clock::now;
use bailey_control::api;

/// What the daemon knows of itself, shared with whoever answers questions.
#[derive(Debug, Clone)]
pub struct Health {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    committed: Option<Instant>,
    problems: BTreeMap<String, String>,
    warnings: Vec<String>,
    interference: BTreeMap<&'static str, (u64, Instant, String)>,
    failsafe: Option<Vec<String>>,
}

/// What a problem is about, when it is about policy.
pub const POLICY: &str = "policy";

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A daemon that has just started.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                started: now(),
                committed: None,
                problems: BTreeMap::new(),
                warnings: Vec::new(),
                interference: BTreeMap::new(),
                failsafe: None,
            })),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment: whoever panicked left it whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A generation was committed, with these warnings about its policies.
    pub fn committed(&self, warnings: &[String]) {
        let mut state = self.state();
        state.committed = Some(now());
        state.warnings = warnings.to_vec();
    }

    /// What passes whatever policy says; `None` if that is not known.
    pub fn set_failsafe(&self, failsafe: Option<Vec<String>>) {
        self.state().failsafe = failsafe;
    }

    /// Somebody did this to what is attached or pinned, and it is set right.
    pub fn interfered(&self, kind: &'static str, what: String) {
        let mut state = self.state();
        let count = state.interference.get(kind).map_or(0, |(count, ..)| *count);
        state.interference.insert(kind, (count + 1, now(), what));
    }

    /// Something is wrong with a subject until [`Self::solved`].
    pub fn problem(&self, subject: &str, message: &str) {
        // Errors of the datapath name their interface themselves.
        let text = match message.strip_prefix(subject) {
            Some(rest) if rest.starts_with(':') => message.to_owned(),
            _ => format!("{subject}: {message}"),
        };
        self.state().problems.insert(subject.to_owned(), text);
    }

    /// Nothing is wrong with a subject any more.
    pub fn solved(&self, subject: &str) {
        self.state().problems.remove(subject);
    }

    /// What is wrong with a subject.
    pub fn of(&self, subject: &str) -> Option<String> {
        self.state().problems.get(subject).cloned()
    }

    /// In the words of the API.
    pub fn report(&self) -> api::Daemon {
        let state = self.state();
        api::Daemon {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: (now() - state.started).as_secs(),
            committed_seconds_ago: state.committed.map(|at| (now() - at).as_secs()),
            problems: state.problems.values().cloned().collect(),
            interference: state
                .interference
                .iter()
                .map(|(kind, (count, at, what))| api::Interference {
                    kind: (*kind).to_owned(),
                    count: *count,
                    last_seconds_ago: (now() - *at).as_secs(),
                    last: what.clone(),
                })
                .collect(),
            warnings: state
                .warnings
                .iter()
                .take(api::STATUS_WARNINGS)
                .cloned()
                .collect(),
            failsafe: state.failsafe.clone(),
        }
    }
}
