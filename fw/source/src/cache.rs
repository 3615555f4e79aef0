//! Reads only the files that changed since the last load. A file counts as unchanged if its device,
//! inode, size and times are equal.

use bailey_config::{DeclaredPrefixes, ReadLimits};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bailey_policy::Snapshot;

use crate::diagnostic::Diagnostics;
use crate::files::{FileSet, Stamp};
use crate::snapshot::collector::{Collector, ObjectCounts, Strictness};

/// The objects of each file from the last load; unchanged files are not read again.
#[derive(Debug)]
pub struct FileCache {
    strictness: Strictness,
    limits: ReadLimits,
    declared: DeclaredPrefixes,
    parts: HashMap<PathBuf, (Stamp, Arc<Collector>)>,
}

/// A file can be written twice within one tick of the clock that stamps files. A file that changed
/// less than this time before it was read is therefore not cached (git does the same for its
/// index).
const RACY: Duration = Duration::from_secs(2);

impl FileCache {
    /// An empty cache.
    pub fn new(strictness: Strictness, limits: ReadLimits, declared: DeclaredPrefixes) -> Self {
        Self {
            strictness,
            limits,
            declared,
            parts: HashMap::new(),
        }
    }

    /// Like [`load_snapshot`](crate::load_snapshot), but reads only the files that changed. `now`
    /// is the time of the clock that stamps files.
    pub fn load_snapshot(
        &mut self,
        files: &FileSet,
        now: SystemTime,
    ) -> (Option<Snapshot>, Diagnostics, ObjectCounts) {
        let mut collector = Collector::new(self.strictness, self.limits);
        let mut parts = HashMap::new();
        for (file, stamp) in files.stamps() {
            let known = self.parts.remove(file).filter(|(then, _)| *then == stamp);
            let part = known.map_or_else(
                || {
                    let part = Collector::read_file(file, self.strictness, self.limits);
                    Arc::new(part.without_transient())
                },
                |(_, part)| part,
            );
            collector.merge(&part);
            // An unreadable file may become readable without a change of its stamp.
            if part.is_fully_read() && stamp.is_older_than(now, RACY) {
                parts.insert(file.to_owned(), (stamp, part));
            }
        }
        self.parts = parts;
        collector.build_snapshot(&self.declared)
    }
}
