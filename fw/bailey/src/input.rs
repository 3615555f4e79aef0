//! The policy files that a command evaluates, with the settings that apply to them.

use std::path::PathBuf;

use bailey_config::Config;
use bailey_policy::Snapshot;
use bailey_source::{FileSet, LoadResult, Strictness, load_paths, strictness};

use crate::args::InputArgs;
use crate::error::CommandError;

/// The policy files of a command line or of the configuration. The settings of the configuration apply as
/// in `run`.
#[derive(Debug)]
pub(crate) struct PolicyInput {
    /// The configuration.
    pub config: Config,
    /// Files and directories to read.
    pub paths: Vec<PathBuf>,
    recursive: bool,
    strictness: Strictness,
    /// True if the command line names the paths, false if the configuration does.
    pub is_explicit: bool,
}

impl PolicyInput {
    /// Reads the configuration and chooses the paths.
    ///
    /// # Errors
    /// If the configuration is invalid.
    pub(crate) fn from_args(args: &InputArgs) -> Result<Self, CommandError> {
        let config = Config::find(args.config.config.as_deref());
        let config = config.map_err(CommandError::Configuration)?;
        let mut paths = args.paths.clone();
        paths.extend_from_slice(&args.files);
        let is_explicit = !paths.is_empty();
        if !is_explicit {
            paths.clone_from(&config.policies);
        }
        Ok(Self {
            paths,
            is_explicit,
            recursive: args.recursive || config.recursive,
            strictness: strictness(args.lenient || config.lenient),
            config,
        })
    }

    /// The paths of a configuration.
    #[cfg(target_os = "linux")]
    pub(crate) fn of_config(config: Config) -> Self {
        Self {
            paths: config.policies.clone(),
            recursive: config.recursive,
            strictness: strictness(config.lenient),
            is_explicit: false,
            config,
        }
    }

    /// Reads the files.
    pub(crate) fn load(&self) -> LoadResult {
        let allow_empty = !self.is_explicit && self.config.allow_empty;
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
