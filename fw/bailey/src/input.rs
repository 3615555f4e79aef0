use std::path::PathBuf;

use bailey_config::Config;
use bailey_policy::Snapshot;
use bailey_source::{FileSet, LoadResult, Strictness, load_paths, strictness};

use crate::args::Source;
use crate::exit::Exit;
use crate::output::complain;

/// What a command line names, and the settings that hold for it: those of the configuration, as `run`
/// has them.
#[derive(Debug)]
pub(crate) struct Named {
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
    pub(crate) fn by(source: &Source) -> Result<Self, Exit> {
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
    pub(crate) fn load(&self) -> LoadResult {
        let allow_empty = !self.explicit && self.config.allow_empty;
        let read = |files: &FileSet| {
            let limits = self.config.read;
            let declared = self.config.inventory.clone();
            bailey_source::load_snapshot(files, self.strictness, limits, &declared)
        };
        let mut loaded = load_paths(&self.paths, self.recursive, allow_empty, read);
        if !self.config.knows_own_nodes() {
            loaded.snapshot = loaded.snapshot.map(Snapshot::without_own_nodes);
        }
        loaded
    }
}
