use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailey_clock::{Stopwatch, wall};
use bailey_compile::{Compiler, RuleIds, TableStats, Tables};
use bailey_config::Config;
use bailey_datapath::{Committed, Enforcer};
use bailey_introspect::KnownRules;
use bailey_policy::{NetworkPolicy, Snapshot};
use bailey_source::{Diagnostics, FileCache, FileSet};
use bailey_source::{LoadResult, Selection, load_paths, strictness};
use bailey_state::rule_ids::RuleNames;

/// Keeps what is in force in step with the files.
#[derive(Debug)]
pub struct Reconciler {
    config: Config,
    cache: FileCache,
    compiler: Compiler,
    ids: Arc<RuleIds>,
    /// Whoever shows rules knows them from here.
    known: KnownRules,
    active: Option<Snapshot>,
    /// Does the generation in force have policies?
    had_policies: bool,
    /// Does the file of rule names say what is in force?
    named: bool,
    selection: Selection,
    /// The files as they were when they were last read to an end, good or bad.
    read: Option<Listing>,
}

/// Files that change while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changing {
    /// Are read again.
    Wait,
    /// Are taken as they are.
    Take,
}

/// What listing the policy paths came to.
type Listing = Result<FileSet, Vec<String>>;

/// A generation that was just committed.
#[derive(Debug)]
pub struct CommitReport {
    /// Its number and slot.
    pub committed: Committed,
    /// Its sizes.
    pub stats: TableStats,
    /// How long each stage took.
    pub stages: Vec<(&'static str, Duration)>,
    /// What there is to warn about.
    pub warnings: Vec<String>,
}

/// Read and compiled, not yet in force.
#[derive(Debug)]
pub struct Candidate {
    snapshot: Snapshot,
    selection: Selection,
    tables: Tables,
    warnings: Vec<String>,
    stopwatch: Stopwatch,
}

/// What a reload came to.
#[derive(Debug)]
pub enum Outcome {
    /// A new generation is in force.
    Committed(Box<CommitReport>),
    /// The files say what is in force already.
    Unchanged,
    /// The files changed while they were read: to be read again.
    FilesChanged,
    /// The files cannot be put into force; what was in force stays.
    Refused(Refusal),
}

/// Why files were not put into force.
#[derive(Debug)]
pub struct Refusal {
    /// The findings in files, if it is about files.
    pub diagnostics: Diagnostics,
    /// One line each.
    pub messages: Vec<String>,
}

impl Candidate {
    /// What was read.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Refusal {
    /// For a reason that is not in a file.
    pub(crate) fn of(message: impl Into<String>) -> Self {
        Self {
            diagnostics: Diagnostics::default(),
            messages: vec![message.into()],
        }
    }
}

impl Reconciler {
    /// Starts with the rule ids of an earlier process, and whether its policies are still in force.
    pub fn new(config: Config, ids: RuleIds, enforcing: bool) -> Self {
        let ids = Arc::new(ids);
        let known = KnownRules::default();
        known.set(Arc::clone(&ids), Vec::new());
        Self {
            cache: FileCache::new(
                strictness(config.lenient),
                config.read,
                config.inventory.clone(),
            ),
            compiler: Compiler::default(),
            had_policies: enforcing && ids.iter().next().is_some(),
            config,
            ids,
            known,
            active: None,
            named: false,
            selection: Selection::default(),
            read: None,
        }
    }

    /// Per policy in force, how many endpoints it selects.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The rules in force, for whoever shows them.
    pub fn known_rules(&self) -> KnownRules {
        self.known.clone()
    }

    fn policies(&self) -> &[Arc<NetworkPolicy>] {
        self.active.as_ref().map_or(&[], Snapshot::policies)
    }

    /// The rule ids of the generation in force.
    pub fn ids(&self) -> &RuleIds {
        &self.ids
    }

    /// Do the files look as they did when they were last read? Then reading them again would come
    /// to the same.
    pub fn is_current(&self) -> bool {
        self.read.as_ref() == Some(&self.listing())
    }

    fn listing(&self) -> Listing {
        FileSet::list(&self.config.policies, self.config.recursive).map_err(|errors| {
            errors
                .iter()
                .map(|(path, error)| format!("{}: {error}", path.display()))
                .collect()
        })
    }

    /// Reads, compiles and installs, or says why not. `is_quiet` is asked before the last step: a
    /// file that began to change while it was read must not be taken for whole.
    pub fn reload(
        &mut self,
        enforcer: &mut impl Enforcer,
        is_quiet: impl FnOnce() -> bool,
    ) -> Outcome {
        self.reload_named(enforcer, Changing::Wait, is_quiet)
    }

    /// The same, where somebody insists: files are taken as they are, also while they are written.
    pub fn reload_at_once(&mut self, enforcer: &mut impl Enforcer) -> Outcome {
        self.reload_named(enforcer, Changing::Take, || true)
    }

    fn reload_named(
        &mut self,
        enforcer: &mut impl Enforcer,
        changing: Changing,
        is_quiet: impl FnOnce() -> bool,
    ) -> Outcome {
        self.release_ids(enforcer);
        let outcome = self.reload_files(enforcer, changing, is_quiet);
        if matches!(outcome, Outcome::Unchanged)
            && !RuleNames::path(&self.config.paths.state).exists()
        {
            // Somebody took it away. If it cannot be written, `status` goes on saying so.
            let _ = RuleNames::of(&self.ids, self.policies()).write(&self.config.paths.state);
        }
        outcome
    }

    fn reload_files(
        &mut self,
        enforcer: &mut impl Enforcer,
        changing: Changing,
        is_quiet: impl FnOnce() -> bool,
    ) -> Outcome {
        match self.prepare_as(changing) {
            Ok(_) if !is_quiet() => {
                self.read = None;
                Outcome::FilesChanged
            }
            Ok(candidate) => self.install(candidate, enforcer),
            Err(outcome) => outcome,
        }
    }

    /// Reads and compiles; touches nothing.
    ///
    /// # Errors
    /// The outcome, if there is nothing to install.
    pub fn prepare(&mut self) -> Result<Candidate, Outcome> {
        self.prepare_as(Changing::Wait)
    }

    fn prepare_as(&mut self, changing: Changing) -> Result<Candidate, Outcome> {
        let listing = self.listing();
        let result = self.try_prepare(changing);
        let moving = matches!(result, Err(Outcome::FilesChanged));
        self.read = (!moving).then_some(listing);
        result
    }

    fn try_prepare(&mut self, changing: Changing) -> Result<Candidate, Outcome> {
        let mut stopwatch = Stopwatch::start();
        let (snapshot, mut warnings) = self.read(changing)?;
        stopwatch.lap("read");
        if self.active.as_ref() == Some(&snapshot) {
            self.note_moves(snapshot);
            return Err(Outcome::Unchanged);
        }
        if snapshot.policies().is_empty() && self.had_policies && !self.config.allow_empty {
            return Err(Outcome::Refused(Refusal::of(
                "all policies are gone; the last ones stay in force (allow_empty = true would \
                 take them away)",
            )));
        }
        let tables = self
            .compiler
            .compile(&snapshot, &self.ids, &self.config.limits)
            .map_err(|error| Outcome::Refused(Refusal::of(error.to_string())))?;
        stopwatch.lap("compile");
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

    /// Do the policies in force, which are those of the snapshot, stand in the same lines of the same files?
    fn stand_where(&self, snapshot: &Snapshot) -> bool {
        let mut pairs = self.policies().iter().zip(snapshot.policies());
        pairs.all(|(a, b)| a.location.is_same_location(&b.location))
    }

    /// The same policies may stand elsewhere: in other lines, in other files.
    fn note_moves(&mut self, snapshot: Snapshot) {
        if self.stand_where(&snapshot) {
            return;
        }
        let policies = snapshot.policies().to_vec();
        // If it cannot be written now, the next commit tries again.
        let _ = RuleNames::of(&self.ids, &policies).write(&self.config.paths.state);
        self.known.set(Arc::clone(&self.ids), policies);
        self.active = Some(snapshot);
    }

    /// Puts into force what was candidate.
    pub fn install(&mut self, candidate: Candidate, enforcer: &mut impl Enforcer) -> Outcome {
        let Candidate {
            snapshot,
            selection,
            tables,
            mut warnings,
            mut stopwatch,
        } = candidate;
        stopwatch.lap("wait");
        let state = &self.config.paths.state;
        // Many edits leave every rule where it was; then what the file says of them can wait.
        let known = self.named && tables.rules == *self.ids && RuleNames::path(state).exists();
        let names = || RuleNames::of(&tables.rules, snapshot.policies()).write(state);
        let mut written = if known { Ok(()) } else { names() };
        self.named = false;
        let committed = match enforcer.install(&tables) {
            Ok(committed) => committed,
            Err(error) => {
                // The names of what stays in force; if that fails too, it was told at the commit.
                let _ = RuleNames::of(&self.ids, self.policies()).write(state);
                // About the kernel, not the files: the same files may be taken the next time.
                self.read = None;
                return Outcome::Refused(Refusal::of(error.to_string()));
            }
        };
        stopwatch.lap("install");
        let same = || self.policies() == snapshot.policies() && self.stand_where(&snapshot);
        if known && !same() {
            written = names();
        }
        self.named = written.is_ok();
        if let Err(error) = written {
            let path = RuleNames::path(&self.config.paths.state);
            warnings.push(format!("{}: cannot write: {error}", path.display()));
        }
        self.ids = Arc::new(tables.rules);
        let policies = snapshot.policies().to_vec();
        self.known.set(Arc::clone(&self.ids), policies);
        self.had_policies = !snapshot.policies().is_empty();
        self.active = Some(snapshot);
        self.selection = selection;
        Outcome::Committed(Box::new(CommitReport {
            committed,
            stats: tables.stats,
            stages: stopwatch.stages().to_vec(),
            warnings,
        }))
    }

    /// Reads the files, and makes sure that they were the same before and after.
    fn read(&mut self, changing: Changing) -> Result<(Snapshot, Vec<String>), Outcome> {
        let config = &self.config;
        let paths: Vec<_> = match config.allow_empty {
            true => config
                .policies
                .iter()
                .filter(|path| Path::exists(path))
                .cloned()
                .collect(),
            false => config.policies.clone(),
        };
        let LoadResult {
            snapshot,
            diagnostics,
            files,
            ..
        } = load_paths(&paths, config.recursive, config.allow_empty, |files| {
            self.cache.load_snapshot(files, wall())
        });
        match FileSet::list(&paths, config.recursive) {
            Ok(after) if after == files => {}
            _ if changing == Changing::Take => {}
            // A path that cannot be listed is an error that `load` has found too, or will find.
            Ok(_) if !files.is_empty() => return Err(Outcome::FilesChanged),
            _ => {}
        }
        let only_empty = files.is_empty() && config.allow_empty;
        let snapshot = match snapshot {
            Some(snapshot) => snapshot,
            None if only_empty => Snapshot::default(),
            None => {
                let messages = diagnostics.errors().map(ToString::to_string).collect();
                return Err(Outcome::Refused(Refusal {
                    diagnostics,
                    messages,
                }));
            }
        };
        let warnings = diagnostics.warnings().map(ToString::to_string).collect();
        Ok((snapshot, warnings))
    }

    /// Lets go of rule ids that rest and that no flow carries, before they pile up.
    fn release_ids(&mut self, enforcer: &impl Enforcer) {
        if self.ids.retired().count() <= self.config.limits.rules / 8 {
            return;
        }
        if let Ok(carried) = enforcer.ids_in_use(&self.ids) {
            Arc::make_mut(&mut self.ids).release_retired(|id| carried.binary_search(&id).is_ok());
        }
    }
}
