use std::path::PathBuf;

use bailey_policy::Snapshot;

use crate::collect::{Counts, Strictness};
use crate::diagnostic::Diagnostics;
use crate::files::FileSet;

/// What reading a set of paths came to.
#[derive(Debug)]
pub struct LoadResult {
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
pub fn load_paths(
    paths: &[PathBuf],
    recursive: bool,
    allow_empty: bool,
    read: impl FnOnce(&FileSet) -> (Option<Snapshot>, Diagnostics, Counts),
) -> LoadResult {
    let mut diagnostics = Diagnostics::default();
    match FileSet::list(paths, recursive) {
        Err(errors) => {
            for (path, error) in errors {
                diagnostics.file_error(&path, error.to_string());
            }
            let counts = Counts::default();
            LoadResult {
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
            LoadResult {
                snapshot,
                diagnostics,
                counts,
                files,
            }
        }
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
