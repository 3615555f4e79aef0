//! From paths to a snapshot, with everything found on the way.

use std::path::PathBuf;

use bailey_policy::Snapshot;

use crate::diagnostic::Diagnostics;
use crate::files::FileSet;
use crate::snapshot::collector::{ObjectCounts, Strictness};

/// The result of reading a set of paths.
#[derive(Debug)]
pub struct LoadResult {
    /// The snapshot; absent if there are errors.
    pub snapshot: Option<Snapshot>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
    /// Number of objects read and skipped.
    pub counts: ObjectCounts,
    /// The files of the paths.
    pub files: FileSet,
}

/// Reads all files of the paths with `read`. A missing path is an error like others, and so is a directory
/// without files unless `allow_empty`.
pub fn load_paths(
    paths: &[PathBuf],
    recursive: bool,
    allow_empty: bool,
    read: impl FnOnce(&FileSet) -> (Option<Snapshot>, Diagnostics, ObjectCounts),
) -> LoadResult {
    let mut diagnostics = Diagnostics::default();
    match FileSet::list(paths, recursive) {
        Err(errors) => {
            for (path, error) in errors {
                diagnostics.add_file_error(&path, error.to_string());
            }
            let counts = ObjectCounts::default();
            LoadResult {
                snapshot: None,
                diagnostics,
                counts,
                files: FileSet::default(),
            }
        }
        Ok(files) => {
            for path in files.empty_directories().iter().filter(|_| !allow_empty) {
                let hint = "no .yaml, .yml or .json file in it; sub-directories are read with \
                            --recursive";
                diagnostics.add_file_error(path, hint);
            }
            let (snapshot, found, counts) = read(&files);
            diagnostics.extend(found);
            let snapshot = snapshot.filter(|_| !diagnostics.has_errors());
            LoadResult {
                snapshot,
                diagnostics,
                counts,
                files,
            }
        }
    }
}

/// The strictness that `lenient` selects.
pub fn strictness(lenient: bool) -> Strictness {
    if lenient {
        Strictness::Lenient
    } else {
        Strictness::Strict
    }
}
