//! Policy files: watches their directories, and decides when changed files may be read.

use std::path::{Path, PathBuf, absolute};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bailey_clock::now;
use bailey_config::{Config, Watch};
use bailey_source::files::{has_known_extension, is_hidden};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::wake::input::Input;
use crate::wake::open_files::OpenFiles;

/// The watched policy paths, and changes that have not been read yet.
///
/// ```text
///             change                  all writers closed,
///   quiet ──────────────▶ changed ───── settle_ms passed ────▶ due (Wake::FilesSettled)
///     │                      │
///     │ rescan_ms passed     │ a file stays open at the rescan
///     ▼                      ▼
///   due (Wake::RescanDue)  due (Wake::FilesOpen); still changed
/// ```
///
/// A file counts as open for at most `write_timeout_ms` from its first write.
#[derive(Debug)]
pub(crate) struct FileChanges {
    paths: Vec<PathBuf>,
    recursive: bool,
    timing: Watch,
    watcher: Option<RecommendedWatcher>,
    open: OpenFiles,
    /// Time of the latest change that has not been read.
    changed: Option<Instant>,
    /// Time of the latest rescan or reload.
    scanned: Instant,
}

/// Result of [`FileChanges::expire`]: the reason why the deadline of the files has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilesDue {
    /// Files changed, and every writer has closed them.
    Settled,
    /// No change was reported since the last scan.
    Rescan,
    /// A process still writes a file.
    Open,
}

impl FileChanges {
    /// The policy paths of a configuration; not watched before [`Self::rewatch`].
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            // A relative path has no parent to watch, and notify reports absolute paths.
            paths: config
                .policies
                .iter()
                .map(|path| absolute(path).unwrap_or_else(|_| path.clone()))
                .collect(),
            recursive: config.recursive,
            timing: config.watch.clone(),
            watcher: None,
            open: OpenFiles::default(),
            changed: None,
            scanned: now(),
        }
    }

    /// Replaces all watches: a path may have become another directory since the last call.
    pub(crate) fn rewatch(&mut self, sender: Sender<Input>) {
        let watcher = notify::recommended_watcher(move |event| {
            let _ = sender.send(Input::File(event));
        });
        let mut watcher = match watcher {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!(%error, "cannot watch files; comparing them periodically instead");
                return;
            }
        };
        let mode = if self.recursive {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        for path in &self.paths {
            if path.is_dir()
                && let Err(error) = watcher.watch(path, mode)
            {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot watch; comparing files periodically instead");
            }
            // The parent directory reports creation, removal and replacement of the path itself.
            if let Some(parent) = path.parent().filter(|parent| parent.is_dir()) {
                let _ = watcher.watch(parent, RecursiveMode::NonRecursive);
            }
        }
        self.watcher = Some(watcher);
    }

    /// Records one report of the watcher.
    pub(crate) fn record(&mut self, event: notify::Result<Event>) {
        match event {
            Ok(event) => self.record_event(&event),
            Err(error) => {
                tracing::warn!(%error, "watching files failed; reading them again");
                self.changed = Some(now());
            }
        }
    }

    fn record_event(&mut self, event: &Event) {
        let is_relevant = event.paths.iter().any(|path| self.is_relevant(path));
        let paths = &self.paths;
        let is_policy = |path: &Path| {
            has_known_extension(path) && !is_hidden(path)
                || paths.iter().any(|watched| watched == path)
        };
        if event.need_rescan() || (is_relevant && self.open.record(event, now(), is_policy)) {
            self.changed = Some(now());
        }
    }

    /// True for paths below a watched path, and for its parents.
    fn is_relevant(&self, path: &Path) -> bool {
        self.paths
            .iter()
            .any(|watched| path.starts_with(watched) || watched.starts_with(path))
    }

    /// Time at which [`Self::expire`] is to be called. Irrelevant events do not move it.
    pub(crate) fn due(&self) -> Instant {
        match self.changed {
            Some(at) if self.open.is_empty() => at + Duration::from_millis(self.timing.settle_ms),
            _ => self.scanned + self.rescan_interval(),
        }
    }

    /// Starts the next interval after the deadline of [`Self::due`].
    pub(crate) fn expire(&mut self) -> FilesDue {
        self.scanned = now();
        self.open.expire(now(), self.write_timeout());
        if !self.open.is_empty() {
            return FilesDue::Open;
        }
        match self.changed.take() {
            Some(_) => FilesDue::Settled,
            None => FilesDue::Rescan,
        }
    }

    /// Forgets changes and open files: the caller reads all files now.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.scanned = now();
        self.changed = None;
    }

    /// True if there is no unread change and no open file.
    pub(crate) fn is_quiet(&self) -> bool {
        self.changed.is_none() && self.open.is_empty()
    }

    /// The file that has been open longest, if it has delayed a reload for at least one rescan
    /// interval.
    pub(crate) fn blocking_file(&self) -> Option<&Path> {
        let (path, since) = self.open.oldest()?;
        let is_late = now().saturating_duration_since(since) >= self.rescan_interval();
        is_late.then_some(path)
    }

    /// Longest time that an open file delays a reload, from its first write.
    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.timing.write_timeout_ms)
    }

    fn rescan_interval(&self) -> Duration {
        Duration::from_millis(self.timing.rescan_ms)
    }
}
