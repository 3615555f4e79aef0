use bailey_datapath::counters::Counters;
use bailey_datapath::{DatapathError, PinDir};

use crate::cli::Read;
use crate::config::{Config, Paths};
use crate::daemon::lock::Lock;
use crate::exit::Exit;
use crate::rule_names::RuleNames;

/// What a running Bailey has left for readers.
pub(crate) struct Pinned {
    pub(crate) pins: PinDir,
    pub(crate) names: RuleNames,
}

/// Finds it, or says why not.
pub(crate) fn open(options: &Read) -> Result<Pinned, Exit> {
    let paths = match &options.config {
        None => Paths::default(),
        Some(file) => Config::read(file)
            .map(|config| config.paths)
            .map_err(|message| {
                eprintln!("error: {message}");
                Exit::Invalid
            })?,
    };
    if !paths.pins.exists() {
        return Err(fail(&DatapathError::NotLoaded(paths.pins)));
    }
    if !Lock::is_held(&paths.run) {
        eprintln!(
            "warning: no bailey is running, so nothing is enforced; this is what the last one left"
        );
    }
    let names = RuleNames::read(&paths.state).unwrap_or_else(|error| {
        let path = RuleNames::path(&paths.state);
        eprintln!(
            "warning: {}: {error}; rules are shown by number",
            path.display()
        );
        RuleNames::default()
    });
    Ok(Pinned {
        pins: PinDir::Path(paths.pins),
        names,
    })
}

/// The same with the counters opened.
pub(crate) fn open_counters(options: &Read) -> Result<(Pinned, Counters), Exit> {
    let pinned = open(options)?;
    let counters = Counters::open(&pinned.pins).map_err(|error| fail(&error))?;
    Ok((pinned, counters))
}

/// Prints an error of the datapath and picks the exit code.
pub(crate) fn fail(error: &DatapathError) -> Exit {
    eprintln!("error: {error}");
    match error {
        DatapathError::NotLoaded(_) => Exit::NotRunning,
        DatapathError::Layout { .. } => Exit::Internal,
        _ => Exit::NotAuthorised,
    }
}
