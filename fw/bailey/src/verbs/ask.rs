use bailey_control::ClientError;
use bailey_control::client;
use bailey_datapath::DatapathError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::{Format, Read};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{json, line};
use crate::view::View;

/// The configuration that a reading verb names; the defaults if it names none.
pub(crate) fn config(file: Option<&std::path::Path>) -> Result<Config, Exit> {
    match file {
        None => Ok(Config::default()),
        Some(file) => Config::read(file).map_err(|message| {
            eprintln!("error: {message}");
            Exit::Invalid
        }),
    }
}

/// Asks the daemon and, if there is none or it says nothing, reads what is pinned.
pub(crate) fn ask<T: DeserializeOwned>(
    options: &Read,
    path: &str,
    read: impl FnOnce(&View) -> Result<T, DatapathError>,
) -> Result<T, Exit> {
    let config = config(options.config.as_deref())?;
    match client::get(&config.paths.socket(), path) {
        Ok(answer) => return Ok(answer),
        Err(ClientError::Denied) => {
            eprintln!("error: {}", ClientError::Denied);
            return Err(Exit::NotAuthorised);
        }
        Err(ClientError::Unreachable(_)) if matches!(config.paths.pins.try_exists(), Ok(false)) => {
            return Err(fail(&DatapathError::NotLoaded(config.paths.pins)));
        }
        Err(error) => {
            eprintln!("warning: {error}; this is read from what is pinned");
        }
    }
    read(&View::new(config)).map_err(|error| fail(&error))
}

/// Asks and prints: as JSON, or as a text for people.
pub(crate) fn show<T: DeserializeOwned + Serialize>(
    options: &Read,
    path: &str,
    read: impl FnOnce(&View) -> Result<T, DatapathError>,
    text: impl FnOnce(&T) -> String,
) -> Exit {
    let answer = match ask(options, path, read) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    match options.output {
        Format::Json => json(&answer),
        Format::Table => line(&text(&answer)),
    }
    Exit::Success
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
