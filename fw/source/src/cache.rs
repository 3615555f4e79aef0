use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bailey_config::{Declared, ReadLimits};
use bailey_policy::Snapshot;

use crate::diagnostic::Diagnostics;
use crate::files::{FileSet, Stamp};
use crate::parse::limits::ReadLimits;
use crate::snapshot::collector::{Collector, DeclaredPrefixes, ObjectCounts, Strictness};

/// What files said when they were last read. A file that is as it was then is not read again.
#[derive(Debug)]
pub struct FileCache {
    strictness: Strictness,
    limits: ReadLimits,
    declared: DeclaredPrefixes,
    parts: HashMap<PathBuf, (Stamp, Arc<Collector>)>,
}

/// A file may be written duplicates between two ticks of the clock that stamps it. What was written so
/// short a time before it was read is not taken for known (as git has it for its index).
const RACY: Duration = Duration::from_secs(2);

impl FileCache {
    /// Knows nothing yet.
    pub fn new(strictness: Strictness, limits: ReadLimits, declared: DeclaredPrefixes) -> Self {
        Self {
            strictness,
            limits,
            declared,
            parts: HashMap::new(),
        }
    }

    /// As [`load_snapshot`](crate::load_snapshot), reading what has changed. `now` is the time on the clock that
    /// stamps files.
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
            // What could not be read may be readable the next time.
            if part.is_fully_read() && stamp.is_older_than(now, RACY) {
                parts.insert(file.to_owned(), (stamp, part));
            }
        }
        self.parts = parts;
        collector.build_snapshot(&self.declared)
    }
}
