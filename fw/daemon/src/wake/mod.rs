use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bailey_clock::now;
use bailey_config::{Config, Watch};
use bailey_source::files::{has_known_extension, is_hidden};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// What the daemon's loop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The policy files changed and have settled.
    Changed,
    /// A signal asks to read them now, whoever writes them at the moment.
    Asked,
    /// Time to compare files that nobody reported.
    Rescan,
    /// An interface changed.
    Interfaces,
    /// A signal asks to stop.
    Stop,
    /// A file is being written: nothing is read yet, but everything else goes on.
    Postponed,
}

/// One thing that happened outside.
#[derive(Debug)]
pub enum Input {
    /// The file system reports a change.
    File(notify::Result<Event>),
    /// A signal.
    Signal(i32),
    /// The kernel reports a change of some interface. Not sent again before this one is taken.
    Interface,
}

/// Waits until policy files have changed and everyone has finished writing them.
#[derive(Debug)]
pub struct EventQueue {
    paths: Vec<PathBuf>,
    recursive: bool,
    timing: Watch,
    inputs: Receiver<Input>,
    sender: Sender<Input>,
    watcher: Option<RecommendedWatcher>,
    open: OpenFiles,
    /// When a change was last heard of that has not been acted on.
    changed: Option<Instant>,
    /// When files were last compared.
    scanned: Instant,
    /// When an interface was first heard to change since that was last told.
    interfaces: Option<Instant>,
    /// Is [`Input::Interface`] on its way?
    pending: Arc<AtomicBool>,
    /// Signals that came while something else was asked for.
    signals: VecDeque<i32>,
}

/// How long changes of interfaces are gathered.
const INTERFACES_SETTLE: Duration = Duration::from_millis(50);

/// Files that were written to and not closed since, and when that was last heard of.
#[derive(Debug, Default)]
struct OpenFiles(BTreeMap<PathBuf, Instant>);

impl EventQueue {
    /// Starts watching the policy paths of a configuration.
    pub fn start(config: &Config) -> Self {
        let (sender, inputs) = channel();
        let mut queue = Self {
            // Relative paths have parents that cannot be watched, and events that name others.
            paths: config
                .policies
                .iter()
                .map(|p| absolute(p).unwrap_or_else(|_| p.clone()))
                .collect(),
            recursive: config.recursive,
            timing: config.watch.clone(),
            inputs,
            sender,
            watcher: None,
            open: OpenFiles::default(),
            changed: None,
            scanned: now(),
            interfaces: None,
            pending: Arc::default(),
            signals: VecDeque::new(),
        };
        queue.rewatch();
        queue
    }

    /// Where signals are to be sent.
    pub fn sender(&self) -> Sender<Input> {
        self.sender.clone()
    }

    /// Says that an interface changed; safe to call as often as the kernel does.
    pub fn interface_changes(&self) -> impl Fn() -> bool + Send + 'static {
        let (sender, pending) = (self.sender.clone(), Arc::clone(&self.pending));
        move || pending.swap(true, Ordering::AcqRel) || sender.send(Input::Interface).is_ok()
    }

    /// Has a signal asked to stop?
    pub fn is_stopping(&mut self) -> bool {
        while let Ok(input) = self.inputs.try_recv() {
            self.take(input);
        }
        self.signals
            .iter()
            .any(|&signal| signal != signal_hook::consts::SIGHUP)
    }

    /// Watches the paths as they are now: one may have been replaced by another directory.
    pub fn rewatch(&mut self) {
        let sender = self.sender.clone();
        let watcher = notify::recommended_watcher(move |event| {
            let _ = sender.send(Input::File(event));
        });
        let mut watcher = match watcher {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!(%error, "cannot watch files; they are compared instead");
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
                tracing::warn!(path = %path.display(), %error, "cannot watch; files are compared");
            }
            // The directory above sees a file or directory come, go or be replaced.
            if let Some(parent) = path.parent().filter(|parent| parent.is_dir()) {
                let _ = watcher.watch(parent, RecursiveMode::NonRecursive);
            }
        }
        self.watcher = Some(watcher);
    }

    /// Blocks until there is something to do.
    pub fn wait(&mut self) -> Wake {
        let rescan = Duration::from_millis(self.timing.rescan_ms);
        let settle = Duration::from_millis(self.timing.settle_ms);
        loop {
            if let Some(signal) = self.signals.pop_front() {
                if signal != signal_hook::consts::SIGHUP {
                    return Wake::Stop;
                }
                // Whoever asks for it knows better than a deadline.
                self.open.0.clear();
                self.scanned = now();
                self.changed = None;
                return Wake::Asked;
            }
            // Deadlines do not move with events that mean nothing.
            let files = match self.changed {
                Some(at) if self.open.0.is_empty() => at + settle,
                _ => self.scanned + rescan,
            };
            // Changes of interfaces come in crowds; files do not wait for them to end.
            let interfaces = self.interfaces.map(|at| at + INTERFACES_SETTLE);
            if now() < files && interfaces.is_some_and(|due| now() >= due) {
                self.interfaces = None;
                return Wake::Interfaces;
            }
            let due = interfaces.map_or(files, |interfaces| interfaces.min(files));
            match self
                .inputs
                .recv_timeout(due.saturating_duration_since(now()))
            {
                Ok(input) => self.take(input),
                Err(RecvTimeoutError::Disconnected) => return Wake::Stop,
                Err(RecvTimeoutError::Timeout) if now() < files => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.scanned = now();
                    self.open
                        .give_up(now(), Duration::from_millis(self.timing.write_timeout_ms));
                    if !self.open.0.is_empty() {
                        return Wake::Postponed;
                    }
                    return match self.changed.take() {
                        Some(_) => Wake::Changed,
                        None => Wake::Rescan,
                    };
                }
            }
        }
    }

    /// The file that is being written since longest, and that reading waits for.
    pub fn written(&self) -> Option<&Path> {
        let oldest = self.open.0.iter().min_by_key(|(_, since)| **since);
        let due = Duration::from_millis(self.timing.rescan_ms);
        oldest
            .filter(|(_, since)| now().saturating_duration_since(**since) >= due)
            .map(|(path, _)| path.as_path())
    }

    /// How long a file that is being written is waited for.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.timing.write_timeout_ms)
    }

    /// Has nothing happened to the files since the last wait? Asked before what was read is put
    /// into force.
    pub fn is_quiet(&mut self) -> bool {
        while let Ok(input) = self.inputs.try_recv() {
            self.take(input);
        }
        self.changed.is_none() && self.open.0.is_empty()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Signal(signal) => self.signals.push_back(signal),
            Input::Interface => {
                self.pending.store(false, Ordering::Release);
                self.interfaces.get_or_insert_with(now);
            }
            Input::File(Ok(event)) => self.note(&event),
            Input::File(Err(error)) => {
                tracing::warn!(%error, "watching files failed; reading them again");
                self.changed = Some(now());
            }
        }
    }

    fn note(&mut self, event: &Event) {
        let concerned = event.paths.iter().any(|path| self.concerns(path));
        let paths = &self.paths;
        let is_read = |path: &Path| {
            has_known_extension(path) && !is_hidden(path)
                || paths.iter().any(|watched| watched == path)
        };
        if event.need_rescan() || (concerned && self.open.note(event, now(), is_read)) {
            self.changed = Some(now());
        }
    }

    fn concerns(&self, path: &Path) -> bool {
        self.paths
            .iter()
            .any(|watched| path.starts_with(watched) || watched.starts_with(path))
    }
}

impl OpenFiles {
    /// Takes in an event; true if it can have changed what files say. Files that nobody reads, as
    /// those that editors keep open, are not waited for.
    fn note(&mut self, event: &Event, at: Instant, is_read: impl Fn(&Path) -> bool) -> bool {
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => {
                let written = event.paths.iter().filter(|path| is_read(path));
                for path in written {
                    // From its first write: somebody who writes for ever is not waited for.
                    self.0.entry(path.clone()).or_insert(at);
                }
                true
            }
            // A file that was created is being written; a link was there before under another
            // name, and nobody has it open.
            EventKind::Create(_) => {
                let written = event
                    .paths
                    .iter()
                    .filter(|path| is_read(path) && is_fresh_file(path));
                for path in written {
                    // From its first write: somebody who writes for ever is not waited for.
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

    fn give_up(&mut self, at: Instant, timeout: Duration) {
        self.0.retain(|path, last| {
            let waiting = at.saturating_duration_since(*last) < timeout;
            if !waiting {
                tracing::warn!(path = %path.display(), "written to but never closed; reading it");
            }
            waiting
        });
    }
}

fn is_fresh_file(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.nlink() == 1)
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, RenameMode};

    use super::*;

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    #[test]
    fn a_file_that_was_written_to_is_open_until_it_is_closed() {
        let mut open = OpenFiles::default();
        let start = now();
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert!(open.note(&event(data, "/p/a.yaml"), start, has_known_extension));
        assert_eq!(open.0.len(), 1);
        let close = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(open.note(&event(close, "/p/a.yaml"), start, has_known_extension));
        assert!(open.0.is_empty());
        assert!(open.note(&event(data, "/p/.a.yaml.swp"), start, has_known_extension));
        assert!(open.0.is_empty(), "an editor's own file is nobody's policy");
        assert!(!open.note(
            &event(EventKind::Access(AccessKind::Read), "/p/a.yaml"),
            start,
            has_known_extension
        ));
    }

    #[test]
    fn a_rename_over_an_open_file_and_silence_end_the_waiting() {
        let mut open = OpenFiles::default();
        let start = now();
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        open.note(&event(data, "/p/a.yaml"), start, has_known_extension);
        let to = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        open.note(&event(to, "/p/a.yaml"), start, has_known_extension);
        assert!(open.0.is_empty());
        open.note(&event(data, "/p/b.yaml"), start, has_known_extension);
        open.give_up(start + Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(open.0.len(), 1);
        open.give_up(start + Duration::from_secs(3), Duration::from_secs(2));
        assert!(open.0.is_empty());
    }

    #[test]
    fn links_and_directories_are_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("..data");
        std::os::unix::fs::symlink("x", &link).unwrap();
        let mut open = OpenFiles::default();
        let create = EventKind::Create(CreateKind::Any);
        assert!(open.note(
            &event(create, link.to_str().unwrap()),
            now(),
            has_known_extension
        ));
        assert!(open.note(
            &event(create, directory.path().to_str().unwrap()),
            now(),
            has_known_extension
        ));
        assert!(open.0.is_empty());
        let file = directory.path().join("a.yaml");
        fs::write(&file, "").unwrap();
        assert!(open.note(
            &event(create, file.to_str().unwrap()),
            now(),
            has_known_extension
        ));
        assert_eq!(open.0.len(), 1);
    }
}
