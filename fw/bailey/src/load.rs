use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use bailey_policy::Snapshot;
use bailey_source::{Counts, Diagnostics, FileSet, ReadLimits, Strictness};

use crate::cli::Source;
use crate::config::Config;

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

/// Reads paths. One that does not exist is an error among the others; so is a directory without
/// files, unless `allow_empty`.
pub fn load(
    paths: &[PathBuf],
    recursive: bool,
    allow_empty: bool,
    strictness: Strictness,
    limits: ReadLimits,
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
            let (snapshot, found, counts) = bailey_source::load(&files, strictness, limits);
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

/// The configuration that a command line names, or the defaults.
///
/// # Errors
/// If it cannot be read.
pub fn config_of(source: &Source) -> Result<Config, String> {
    let config = source.config.as_deref().map(Config::read).transpose()?;
    Ok(config.unwrap_or_default())
}

/// Reads what a command line names, within the limits of a configuration.
pub fn load_source(source: &Source, config: &Config) -> Loaded {
    let strictness = strictness(source.lenient || config.lenient);
    load(
        &source.paths,
        source.recursive,
        false,
        strictness,
        config.read_limits(),
    )
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

/// How many endpoints every policy selects, in the order of the policies. A pod that is not started
/// has no address and does not count.
pub fn selected_counts(snapshot: &Snapshot) -> Vec<usize> {
    let known = |policy| {
        snapshot
            .selected_by(policy)
            .filter(|e| !e.addresses.is_empty())
    };
    snapshot
        .policies()
        .iter()
        .map(|policy| known(policy).count())
        .collect()
}

/// What to say where no policy selects anybody.
pub const NOTHING_ENFORCED: &str = "NOTHING IS ENFORCED: no policy selects any endpoint";
