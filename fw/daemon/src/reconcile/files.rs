//! Reads the policy files, and detects changes during the read. Does not compile.

use std::path::PathBuf;

use bailey_clock::wall;
use bailey_config::Config;
use bailey_policy::Snapshot;
use bailey_source::{FileCache, FileSet, LoadResult, load_paths};

use crate::reconcile::outcome::{Refusal, ReloadOutcome};

/// All files below the policy paths with their metadata, or an error per path that cannot be
/// listed.
pub(super) type Listing = Result<FileSet, Vec<String>>;

/// What happens to files that change during the read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnChange {
    /// The read ends with [`ReloadOutcome::FilesChanged`].
    ReadAgain,
    /// The content that was read is used.
    Accept,
}

/// Lists the policy files without reading them.
pub(super) fn list_files(config: &Config) -> Listing {
    FileSet::list(&config.policies, config.recursive).map_err(|errors| {
        let errors = errors.iter();
        errors
            .map(|(path, error)| format!("{}: {error}", path.display()))
            .collect()
    })
}

/// Reads the policy files; returns the snapshot and warnings.
///
/// # Errors
/// `Refused` for invalid files; `FilesChanged` if the files differ before and after the read.
pub(super) fn read_files(
    config: &Config,
    cache: &mut FileCache,
    on_change: OnChange,
) -> Result<(Snapshot, Vec<String>), ReloadOutcome> {
    // With `allow_empty`, a missing path counts as an empty one.
    let mut paths: Vec<PathBuf> = config.policies.clone();
    if config.allow_empty {
        paths.retain(|path| path.exists());
    }

    let LoadResult {
        snapshot,
        diagnostics,
        files,
        ..
    } = load_paths(&paths, config.recursive, config.allow_empty, |files| {
        cache.load_snapshot(files, wall())
    });

    // A path that cannot be listed is an error that `load_paths` has reported, or will report next
    // time.
    match FileSet::list(&paths, config.recursive) {
        Ok(after) if after == files => {}
        _ if on_change == OnChange::Accept => {}
        Ok(_) if !files.is_empty() => return Err(ReloadOutcome::FilesChanged),
        _ => {}
    }

    let is_empty_allowed = files.is_empty() && config.allow_empty;
    let snapshot = match snapshot {
        Some(snapshot) => snapshot,
        None if is_empty_allowed => Snapshot::default(),
        None => {
            let messages = diagnostics.errors().map(ToString::to_string).collect();
            return Err(ReloadOutcome::Refused(Refusal {
                diagnostics,
                messages,
            }));
        }
    };
    let warnings = diagnostics.warnings().map(ToString::to_string).collect();
    Ok((snapshot, warnings))
}
