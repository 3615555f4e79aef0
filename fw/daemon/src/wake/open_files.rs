//! Policy files that another process has written to and not closed yet.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind};

/// Open files with the time of their first write. Later writes do not extend it, so a process that
/// writes without end cannot delay a reload without end.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles(BTreeMap<PathBuf, Instant>);

impl OpenFiles {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The file that has been open longest.
    pub(crate) fn oldest(&self) -> Option<(&Path, Instant)> {
        let oldest = self.0.iter().min_by_key(|(_, since)| **since);
        oldest.map(|(path, since)| (path.as_path(), *since))
    }

    /// Records an event; returns true if it may have changed the content of policy files. Files for
    /// which `is_policy` is false, such as an editor's swap file, do not count as open.
    pub(crate) fn record(
        &mut self,
        event: &Event,
        at: Instant,
        is_policy: impl Fn(&Path) -> bool,
    ) -> bool {
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => {
                for path in event.paths.iter().filter(|path| is_policy(path)) {
                    self.0.entry(path.clone()).or_insert(at);
                }
                true
            }
            // The creator of a regular file still has it open. A further hard link names an
            // existing file, and symbolic links and directories send no close event.
            EventKind::Create(_) => {
                let paths = event.paths.iter();
                for path in paths.filter(|path| is_policy(path) && is_new_regular_file(path)) {
                    self.0.entry(path.clone()).or_insert(at);
                }
                true
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_)) => {
                for path in &event.paths {
                    self.0.remove(path);
                }
                true
            }
            EventKind::Access(_) => false,
            _ => true,
        }
    }

    /// Removes files that have been open for `timeout`.
    pub(crate) fn expire(&mut self, at: Instant, timeout: Duration) {
        self.0.retain(|path, since| {
            let is_waiting = at.saturating_duration_since(*since) < timeout;
            if !is_waiting {
                let path = path.display();
                tracing::warn!(%path, "file was written but not closed in time; reading it");
            }
            is_waiting
        });
    }
}

/// True for a regular file with a single name.
fn is_new_regular_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.nlink() == 1)
}

#[cfg(test)]
mod tests {
    use bailey_clock::now;
    use bailey_source::files::has_known_extension;
    use notify::event::{CreateKind, DataChange, RenameMode};

    use super::*;

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    #[test]
    fn written_file_is_open_until_closed() {
        let mut open = OpenFiles::default();
        let start = now();
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert!(open.record(&event(data, "/p/a.yaml"), start, has_known_extension));
        assert_eq!(open.0.len(), 1);
        let close = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(open.record(&event(close, "/p/a.yaml"), start, has_known_extension));
        assert!(open.0.is_empty());
        assert!(open.record(&event(data, "/p/.a.yaml.swp"), start, has_known_extension));
        assert!(open.0.is_empty(), "the swap file of an editor is no policy");
        assert!(!open.record(
            &event(EventKind::Access(AccessKind::Read), "/p/a.yaml"),
            start,
            has_known_extension
        ));
    }

    #[test]
    fn rename_or_timeout_ends_waiting_for_file() {
        let mut open = OpenFiles::default();
        let start = now();
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        open.record(&event(data, "/p/a.yaml"), start, has_known_extension);
        let to = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        open.record(&event(to, "/p/a.yaml"), start, has_known_extension);
        assert!(open.0.is_empty());
        open.record(&event(data, "/p/b.yaml"), start, has_known_extension);
        open.expire(start + Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(open.0.len(), 1);
        open.expire(start + Duration::from_secs(3), Duration::from_secs(2));
        assert!(open.0.is_empty());
    }

    #[test]
    fn links_and_directories_do_not_count_as_open() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("..data");
        std::os::unix::fs::symlink("x", &link).unwrap();
        let mut open = OpenFiles::default();
        let create = EventKind::Create(CreateKind::Any);
        assert!(open.record(
            &event(create, link.to_str().unwrap()),
            now(),
            has_known_extension
        ));
        assert!(open.record(
            &event(create, directory.path().to_str().unwrap()),
            now(),
            has_known_extension
        ));
        assert!(open.0.is_empty());
        let file = directory.path().join("a.yaml");
        fs::write(&file, "").unwrap();
        assert!(open.record(
            &event(create, file.to_str().unwrap()),
            now(),
            has_known_extension
        ));
        assert_eq!(open.0.len(), 1);
    }
}
