//! The pinned maps of one Bailey, and the rule names for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bailey_compile::RuleIds;
use bailey_config::Config;
use bailey_control::api::{self, SCHEMA_VERSION};
use bailey_datapath::maps::control_word::ControlWord;
use bailey_datapath::observe::status::DatapathStatus;
use bailey_datapath::{DatapathError, PinDir};
use bailey_policy::Snapshot;
use bailey_state::rule_ids::RuleNames;

use crate::rule_file::RuleFileCheck;

/// The pinned maps of one Bailey, read as answers of the control API. The daemon's server uses this
/// type, and so do commands that find no daemon.
#[derive(Debug)]
pub struct LiveState {
    pub(crate) pins: PinDir,
    pub(crate) config: Config,
    /// Rules in the daemon's memory; without a daemon `rules.json` has them.
    known: Option<ActivePolicies>,
    pub(crate) rule_file: RuleFileCheck,
}

/// Rules, policies and inventory of the active generation in the daemon's memory. Clones share the
/// content.
#[derive(Debug, Clone, Default)]
pub struct ActivePolicies(Arc<Mutex<ActiveContent>>);

#[derive(Debug, Default)]
struct ActiveContent {
    ids: Arc<RuleIds>,
    /// Has the rules; `None` while the policies were read by an earlier process only.
    snapshot: Option<Arc<Snapshot>>,
    /// Number of changes.
    version: u64,
}

/// Which names are active: the generation, and the number of changes of [`ActivePolicies`]. A commit changes
/// the former before the latter.
pub type NamesVersion = (u32, u64);

impl ActivePolicies {
    fn lock(&self) -> MutexGuard<'_, ActiveContent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the content after a commit.
    pub fn set(&self, ids: Arc<RuleIds>, snapshot: Option<Arc<Snapshot>>) {
        let mut known = self.lock();
        known.ids = ids;
        known.snapshot = snapshot;
        known.version += 1;
    }

    /// The snapshot of the active generation.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.lock().snapshot.clone()
    }

    /// Rule ids and snapshot of the active generation.
    pub(crate) fn active(&self) -> Option<(Arc<RuleIds>, Arc<Snapshot>)> {
        let known = self.lock();
        let snapshot = known.snapshot.clone()?;
        Some((Arc::clone(&known.ids), snapshot))
    }

    /// The names; the flag is false while the policies were read by an earlier process only.
    fn names(&self) -> (RuleNames, bool) {
        let known = self.lock();
        let (ids, snapshot) = (Arc::clone(&known.ids), known.snapshot.clone());
        drop(known);
        let policies = snapshot.as_ref().map_or(&[][..], |known| known.policies());
        (RuleNames::of(&ids, policies), !policies.is_empty())
    }
}

impl LiveState {
    /// The state of the Bailey with this configuration.
    pub fn new(config: Config) -> Self {
        Self {
            pins: PinDir::Path(config.paths.pins.clone()),
            config,
            known: None,
            rule_file: RuleFileCheck::default(),
        }
    }

    /// Takes rules from the daemon's memory instead of `rules.json`.
    #[must_use]
    pub fn with_policies(self, known: ActivePolicies) -> Self {
        Self {
            known: Some(known),
            ..self
        }
    }

    /// The inventory in the daemon's memory.
    pub fn inventory(&self) -> Option<Arc<Snapshot>> {
        self.known.as_ref().and_then(ActivePolicies::snapshot)
    }

    /// The version of the names, for readers that keep them.
    ///
    /// # Errors
    /// If the pinned map cannot be read.
    pub fn names_version(&self) -> Result<NamesVersion, DatapathError> {
        let version = self.known.as_ref().map_or(0, |known| known.lock().version);
        Ok((ControlWord::read(&self.pins)?.generation, version))
    }

    /// Rule ids and snapshot in the daemon's memory.
    pub(crate) fn active(&self) -> Option<(Arc<RuleIds>, Arc<Snapshot>)> {
        self.known.as_ref().and_then(ActivePolicies::active)
    }

    pub(crate) fn loaded(&self) -> Result<DatapathStatus, DatapathError> {
        DatapathStatus::read(&self.config.paths.pins)
    }

    pub(crate) fn stamp(&self) -> Result<api::Stamp, DatapathError> {
        Ok(stamp(ControlWord::read(&self.pins)?.generation))
    }

    /// The stamp; generation 0 if nothing is pinned.
    pub fn stamp_or_none(&self) -> api::Stamp {
        self.stamp().unwrap_or_else(|_| stamp(0))
    }

    /// Rule names; empty if `rules.json` cannot be read, so that rules appear by id.
    pub(crate) fn names(&self) -> RuleNames {
        let read = || RuleNames::read(&self.config.paths.state);
        match self.known.as_ref().map(ActivePolicies::names) {
            Some((names, true)) => names,
            Some((names, false)) => read().unwrap_or(names),
            None => read().unwrap_or_default(),
        }
    }
}

/// The stamp of an answer about this generation, taken now.
pub(crate) fn stamp(generation: u32) -> api::Stamp {
    api::Stamp {
        schema_version: SCHEMA_VERSION,
        time: bailey_clock::rfc3339(),
        node: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        generation,
    }
}
