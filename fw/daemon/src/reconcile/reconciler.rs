//! The steps from policy files to a committed generation. Does not watch files and does not log.

use std::sync::Arc;

use bailey_clock::Stopwatch;
use bailey_compile::{Compiler, RuleIds};
use bailey_config::Config;
use bailey_datapath::Enforcer;
use bailey_introspect::ActivePolicies;
use bailey_policy::{NetworkPolicy, Snapshot};
use bailey_source::{FileCache, Selection, strictness};
use bailey_state::rule_ids::RuleNames;

use crate::reconcile::candidate::Candidate;
use crate::reconcile::files::{Listing, OnChange, list_files, read_files};
use crate::reconcile::outcome::{CommitReport, Refusal, ReloadOutcome};

/// Keeps the active generation in step with the policy files.
#[derive(Debug)]
pub struct Reconciler {
    config: Config,
    cache: FileCache,
    compiler: Compiler,
    /// Rule ids of the active generation, and retired ids.
    ids: Arc<RuleIds>,
    /// The active policies, shared with the control socket.
    known: ActivePolicies,
    /// The active snapshot; `None` until this process installs one.
    active: Option<Arc<Snapshot>>,
    /// True if the active generation has policies.
    had_policies: bool,
    /// True if `rules.json` describes the active generation.
    is_rule_file_current: bool,
    selection: Selection,
    /// The files at the latest complete read, valid or not; `None` if they must be read again.
    read: Option<Listing>,
}

impl Reconciler {
    /// Starts with the rule ids of an earlier process. `had_policies` tells whether that process's active
    /// generation has, or may have, policies: files without any policy are then refused.
    pub fn new(config: Config, ids: RuleIds, had_policies: bool) -> Self {
        let ids = Arc::new(ids);
        let known = ActivePolicies::default();
        known.set(Arc::clone(&ids), None);
        Self {
            cache: FileCache::new(
                strictness(config.lenient),
                config.read,
                config.inventory.clone(),
            ),
            compiler: Compiler::default(),
            had_policies,
            config,
            ids,
            known,
            active: None,
            is_rule_file_current: false,
            selection: Selection::default(),
            read: None,
        }
    }

    /// Number of endpoints that each active policy selects.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The active policies; the handle follows later commits.
    pub fn active_policies(&self) -> ActivePolicies {
        self.known.clone()
    }

    /// The rule ids of the active generation.
    pub fn ids(&self) -> &RuleIds {
        &self.ids
    }

    fn policies(&self) -> &[Arc<NetworkPolicy>] {
        self.active.as_ref().map_or(&[], |active| active.policies())
    }

    /// True if the files look as at the latest read, so that another read would have the same
    /// result.
    pub fn is_current(&self) -> bool {
        self.read.as_ref() == Some(&list_files(&self.config))
    }

    /// Reads, compiles and installs. `is_quiet` is called before the installation; it returns false
    /// if a file began to change during the read, because such a file may be incomplete.
    pub fn reload(
        &mut self,
        enforcer: &mut impl Enforcer,
        is_quiet: impl FnOnce() -> bool,
    ) -> ReloadOutcome {
        self.reload_with(enforcer, OnChange::ReadAgain, is_quiet)
    }

    /// Like [`Self::reload`], but uses the content that was read even if a process writes the
    /// files: SIGHUP.
    pub fn reload_at_once(&mut self, enforcer: &mut impl Enforcer) -> ReloadOutcome {
        self.reload_with(enforcer, OnChange::Accept, || true)
    }

    fn reload_with(
        &mut self,
        enforcer: &mut impl Enforcer,
        on_change: OnChange,
        is_quiet: impl FnOnce() -> bool,
    ) -> ReloadOutcome {
        self.release_unused_ids(enforcer);
        let outcome = self.prepare_and_install(enforcer, on_change, is_quiet);
        if matches!(outcome, ReloadOutcome::Unchanged)
            && !RuleNames::path(&self.config.paths.state).exists()
        {
            // Another process removed the file. If it cannot be written, `status` reports it as a
            // problem.
            let _ = RuleNames::of(&self.ids, self.policies()).write(&self.config.paths.state);
        }
        outcome
    }

    fn prepare_and_install(
        &mut self,
        enforcer: &mut impl Enforcer,
        on_change: OnChange,
        is_quiet: impl FnOnce() -> bool,
    ) -> ReloadOutcome {
        match self.prepare_with(on_change) {
            Ok(_) if !is_quiet() => {
                self.read = None;
                ReloadOutcome::FilesChanged
            }
            Ok(candidate) => self.install(candidate, enforcer),
            Err(outcome) => outcome,
        }
    }

    /// Reads and compiles; installs nothing.
    ///
    /// # Errors
    /// The outcome, if there is no generation to install.
    pub fn prepare(&mut self) -> Result<Candidate, ReloadOutcome> {
        self.prepare_with(OnChange::ReadAgain)
    }

    /// Prepares a candidate, and records which files the result belongs to.
    fn prepare_with(&mut self, on_change: OnChange) -> Result<Candidate, ReloadOutcome> {
        let listing = list_files(&self.config);
        let result = self.read_and_compile(on_change);
        let has_changed = matches!(result, Err(ReloadOutcome::FilesChanged));
        self.read = (!has_changed).then_some(listing);
        result
    }

    fn read_and_compile(&mut self, on_change: OnChange) -> Result<Candidate, ReloadOutcome> {
        // Read.
        let mut stopwatch = Stopwatch::start();
        let (snapshot, mut warnings) = read_files(&self.config, &mut self.cache, on_change)?;
        stopwatch.lap("read");

        // Compare with the active snapshot.
        if self.active.as_deref() == Some(&snapshot) {
            self.record_positions(snapshot);
            return Err(ReloadOutcome::Unchanged);
        }
        if snapshot.policies().is_empty() && self.had_policies && !self.config.allow_empty {
            return Err(ReloadOutcome::Refused(Refusal::without_file(
                "no policies left; the last ones stay active (allow_empty = true permits none)",
            )));
        }

        // Compile.
        let tables = self
            .compiler
            .compile(&snapshot, &self.ids, &self.config.limits)
            .map_err(|error| ReloadOutcome::Refused(Refusal::without_file(error.to_string())))?;
        stopwatch.lap("compile");

        // Count the endpoints of each policy; an edit counts only the policies that it affects.
        let selection = match &self.active {
            Some(before) => Selection::after(&snapshot, before, &self.selection),
            None => Selection::of(&snapshot),
        };
        warnings.extend(selection.warnings());
        Ok(Candidate {
            snapshot,
            selection,
            tables,
            warnings,
            stopwatch,
        })
    }

    /// True if the policies of a snapshot, which equal the active ones, have the same files and
    /// lines.
    fn has_same_positions(&self, snapshot: &Snapshot) -> bool {
        let mut pairs = self.policies().iter().zip(snapshot.policies());
        pairs.all(|(active, read)| active.location.is_same_location(&read.location))
    }

    /// Records new files and lines of unchanged policies, in `rules.json` and for the control
    /// socket.
    fn record_positions(&mut self, snapshot: Snapshot) {
        if self.has_same_positions(&snapshot) {
            return;
        }
        // If the file cannot be written now, the next commit tries again.
        let _ = RuleNames::of(&self.ids, snapshot.policies()).write(&self.config.paths.state);
        let snapshot = Arc::new(snapshot);
        self.known
            .set(Arc::clone(&self.ids), Some(Arc::clone(&snapshot)));
        self.active = Some(snapshot);
    }

    /// Installs a candidate, and makes it the active generation.
    pub fn install(&mut self, candidate: Candidate, enforcer: &mut impl Enforcer) -> ReloadOutcome {
        let Candidate {
            snapshot,
            selection,
            tables,
            mut warnings,
            mut stopwatch,
        } = candidate;
        stopwatch.lap("wait");

        // Write `rules.json` before the kernel uses new ids: whenever this process dies, the file
        // has every id in use. If the edit changes no id, the file may be written after the
        // installation.
        let state = &self.config.paths.state;
        let has_same_ids = self.is_rule_file_current
            && tables.rules == *self.ids
            && RuleNames::path(state).exists();
        let write_names = || RuleNames::of(&tables.rules, snapshot.policies()).write(state);
        let mut written = if has_same_ids { Ok(()) } else { write_names() };
        self.is_rule_file_current = false;

        // Install.
        let committed = match enforcer.install(&tables) {
            Ok(committed) => committed,
            Err(error) => {
                // Restore the names of the active generation. A failure was already reported at its
                // commit.
                let _ = RuleNames::of(&self.ids, self.policies()).write(state);
                // The reason is the kernel, so the same files may be accepted at the next rescan.
                self.read = None;
                return ReloadOutcome::Refused(Refusal::without_file(error.to_string()));
            }
        };
        stopwatch.lap("install");

        // Write texts and positions of rules whose ids did not change.
        let has_same_texts =
            || self.policies() == snapshot.policies() && self.has_same_positions(&snapshot);
        if has_same_ids && !has_same_texts() {
            written = write_names();
        }
        self.is_rule_file_current = written.is_ok();
        if let Err(error) = written {
            let path = RuleNames::path(&self.config.paths.state);
            warnings.push(format!("{}: cannot write: {error}", path.display()));
        }

        self.activate(snapshot, selection, tables.rules);
        ReloadOutcome::Committed(Box::new(CommitReport {
            committed,
            stats: tables.stats,
            stages: stopwatch.stages().to_vec(),
            warnings,
        }))
    }

    /// Records the installed generation as the active one.
    fn activate(&mut self, snapshot: Snapshot, selection: Selection, rules: RuleIds) {
        self.ids = Arc::new(rules);
        let snapshot = Arc::new(snapshot);
        self.known
            .set(Arc::clone(&self.ids), Some(Arc::clone(&snapshot)));
        self.had_policies = !snapshot.policies().is_empty();
        self.active = Some(snapshot);
        self.selection = selection;
    }

    /// Releases retired rule ids that no flow carries, if more than an eighth of `limits.rules` are
    /// retired.
    fn release_unused_ids(&mut self, enforcer: &impl Enforcer) {
        if self.ids.retired().count() <= self.config.limits.rules / 8 {
            return;
        }
        if let Ok(carried) = enforcer.ids_in_use(&self.ids) {
            Arc::make_mut(&mut self.ids).release_retired(|id| carried.binary_search(&id).is_ok());
        }
    }
}
