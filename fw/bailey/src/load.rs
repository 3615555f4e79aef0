use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bailey_policy::Snapshot;
use bailey_source::{Counts, Diagnostics, FileSet, Strictness};

use crate::args::Source;
use crate::exit::Exit;
use crate::output::complain;
use bailey_config::Config;

/// What reading a set of paths came to.
#[derive(Debug)]
pub struct Loaded {
    /// The snapshot; absent if there are errors.
    pub snapshot: Option<Snapshot>,
    /// Everything found on the way.
    pub diagnostics: Diagnostics,
    /// What was read and skipped.
    pub counts: Counts,
    /// The files it was read from.
    pub files: FileSet,
}

/// Reads paths, each file as `read` does. One that does not exist is an error among the others; so is a
/// directory without files, unless `allow_empty`.
pub fn load(
    paths: &[PathBuf],
    recursive: bool,
    allow_empty: bool,
    read: impl FnOnce(&FileSet) -> (Option<Snapshot>, Diagnostics, Counts),
) -> Loaded {
    let mut diagnostics = Diagnostics::default();
    match FileSet::list(paths, recursive) {
        Err(errors) => {
            for (path, error) in errors {
                diagnostics.file_error(&path, error.to_string());
            }
            let counts = Counts::default();
            Loaded {
                snapshot: None,
                diagnostics,
                counts,
                files: FileSet::default(),
            }
        }
        Ok(files) => {
            for path in files.empty().iter().filter(|_| !allow_empty) {
                let hint = "no .yaml, .yml or .json file in it; sub-directories are read with \
                            --recursive";
                diagnostics.file_error(path, hint);
            }
            let (snapshot, found, counts) = read(&files);
            diagnostics.extend(found);
            let snapshot = snapshot.filter(|_| !diagnostics.has_errors());
            Loaded {
                snapshot,
                diagnostics,
                counts,
                files,
            }
        }
    }
}

/// What a command line names, and the settings that hold for it: those of the configuration, as `run`
/// has them.
#[derive(Debug)]
pub struct Named {
    /// The settings.
    pub config: Config,
    /// What to read.
    pub paths: Vec<PathBuf>,
    recursive: bool,
    strictness: Strictness,
    /// Does the command line name what to read?
    pub explicit: bool,
}

impl Named {
    /// Reads the configuration. What is wrong with it is reported.
    ///
    /// # Errors
    /// The exit code for it.
    pub fn by(source: &Source) -> Result<Self, Exit> {
        let config = Config::find(source.config.config.as_deref()).map_err(|message| {
            complain!("error: {message}");
            Exit::Invalid
        })?;
        let mut paths = source.paths.clone();
        paths.extend_from_slice(&source.files);
        let explicit = !paths.is_empty();
        if !explicit {
            paths.clone_from(&config.policies);
        }
        Ok(Self {
            paths,
            explicit,
            recursive: source.recursive || config.recursive,
            strictness: strictness(source.lenient || config.lenient),
            config,
        })
    }

    /// Reads the files.
    pub fn load(&self) -> Loaded {
        let allow_empty = !self.explicit && self.config.allow_empty;
        let read = |files: &FileSet| {
            let limits = self.config.read;
            let declared = self.config.inventory.clone();
            bailey_source::load(files, self.strictness, limits, &declared)
        };
        let mut loaded = load(&self.paths, self.recursive, allow_empty, read);
        if !self.config.knows_own_nodes() {
            loaded.snapshot = loaded.snapshot.map(Snapshot::without_own_nodes);
        }
        loaded
    }
}

/// The strictness that a switch means.
pub fn strictness(lenient: bool) -> Strictness {
    if lenient {
        Strictness::Lenient
    } else {
        Strictness::Strict
    }
}

/// Prints findings for people, in colour on a terminal.
pub fn print_diagnostics(diagnostics: &Diagnostics) {
    let mut stderr = io::stderr();
    let color = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = stderr.write_all(diagnostics.render(color).as_bytes());
}

/// How many endpoints every policy selects, by the policy's name and in the order of the policies.
/// A pod that is not started has no address and does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(pub Vec<(String, usize)>);

impl Selection {
    /// Counts.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self::after(snapshot, &Snapshot::default(), &Self::default())
    }

    /// The same, where that of another snapshot is known: a policy that selects the same of the same
    /// endpoints is not counted again.
    pub fn after(snapshot: &Snapshot, known: &Snapshot, counts: &Self) -> Self {
        let (now, before) = (snapshot.endpoints(), known.endpoints());
        let mut pairs = now.iter().zip(before);
        let same = now.len() == before.len() && pairs.all(|(a, b)| Arc::ptr_eq(a, b));
        let known = if same { known.policies() } else { &[] };
        let mut known = known.iter().zip(&counts.0).peekable();
        let counted = snapshot.policies().iter().map(|policy| {
            while known.next_if(|(other, _)| other.id < policy.id).is_some() {}
            let found = known.next_if(|(other, _)| other.id == policy.id);
            if let Some((other, (name, count))) = found
                && other.pod_selector == policy.pod_selector
            {
                return (name.clone(), *count);
            }
            let selected = snapshot.selected_by(policy);
            let addressed = selected.filter(|endpoint| !endpoint.addresses.is_empty());
            (policy.id.to_string(), addressed.count())
        });
        Self(counted.collect())
    }

    /// Does any policy select anybody?
    pub fn enforces(&self) -> bool {
        self.0.iter().any(|(_, count)| *count > 0)
    }

    /// What there is to say of policies that select nobody.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let none = self.0.iter().filter(|(_, count)| *count == 0);
        none.map(|(policy, _)| format!("NetworkPolicy {policy} selects no endpoint"))
            .chain((!self.enforces()).then(|| NOTHING_ENFORCED.to_owned()))
    }
}

/// What to say where no policy selects anybody.
const NOTHING_ENFORCED: &str = "NOTHING IS ENFORCED: no policy selects any endpoint";
