use std::fs::File;
use std::io;
use std::path::Path;

use bailey_config::{Config, DEFAULT_PATH};
use bailey_control::ClientError;
use bailey_control::client;
use bailey_datapath::DatapathError;
use bailey_datapath::attach::nft_guard;
use bailey_introspect::LiveState;
use bailey_source::diagnostic::replace_control_chars;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::{ConfigFile, Format, Listing, Screen, Watch};
use crate::exit::Exit;
use crate::output::complain;
use crate::output::listing::{self, Kind, watched};
use crate::output::{json, line, yaml};

/// The configuration of the Bailey to ask. Who may ask it and not read that file has the defaults.
pub(crate) fn config(file: &ConfigFile) -> Result<Config, Exit> {
    let unreadable = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    if file.config.is_none() && File::open(Path::new(DEFAULT_PATH)).is_err_and(unreadable) {
        complain!("note: {DEFAULT_PATH} cannot be read; its usual paths are taken");
        return Ok(Config::default());
    }
    Config::find(file.config.as_deref()).map_err(|message| {
        complain!("error: {message}");
        Exit::Invalid
    })
}

/// Asks the daemon and, if there is none or it says nothing, reads what is pinned; where that has
/// nothing to the question, it says why.
pub(crate) fn ask<T: DeserializeOwned>(
    config: &Config,
    path: &str,
    query: &impl Serialize,
    read: impl FnOnce(&LiveState) -> Result<Result<T, String>, DatapathError>,
) -> Result<T, Exit> {
    match client::get(&config.paths.socket(), path, query) {
        Ok(answer) => return Ok(answer),
        Err(error) => go_on_without_daemon(config, &error)?,
    }
    match read(&LiveState::new(config.clone())) {
        Ok(answer) => answer.map_err(question),
        Err(error) => Err(fail(&error)),
    }
}

/// Says why the daemon did not answer, if what is pinned may.
///
/// # Errors
/// If it is no use to look there.
pub(crate) fn go_on_without_daemon(config: &Config, error: &ClientError) -> Result<(), Exit> {
    match error {
        ClientError::BadRequest(message) => Err(question(message.clone())),
        ClientError::PermissionDenied => {
            complain!("error: {error}");
            Err(Exit::NotAuthorised)
        }
        ClientError::Unreachable(_) if matches!(config.paths.pins.try_exists(), Ok(false)) => {
            Err(fail(&DatapathError::NotLoaded(config.paths.pins.clone())))
        }
        _ => {
            complain!("warning: {error}; this is read from what is pinned");
            Ok(())
        }
    }
}

/// The command line asks for what there is not.
pub(crate) fn question(message: String) -> Exit {
    complain!("error: {message}");
    Exit::Usage
}

/// Asks and prints, as often as is wanted.
pub(crate) fn show<T: DeserializeOwned + Serialize>(
    options: &Screen,
    path: &str,
    read: impl Fn(&LiveState) -> Result<T, DatapathError>,
    text: impl Fn(&T) -> String,
    exit: impl Fn(&T) -> Exit,
) -> Exit {
    repeat(&options.config, &options.watch, path, read, |answer| {
        match options.output {
            Format::Json => json(&answer),
            Format::Yaml => yaml(&answer),
            Format::Table => line(&text(&answer)),
        }
        exit(&answer)
    })
}

/// Asks and lists, as often as is wanted.
pub(crate) fn list<A, T>(
    options: &Listing,
    path: &str,
    read: impl Fn(&LiveState) -> Result<A, DatapathError>,
    key: &str,
    items: impl Fn(&mut A) -> &mut Vec<T>,
    kind: &Kind<T>,
) -> Exit
where
    A: DeserializeOwned + Serialize,
    T: Serialize,
{
    repeat(&options.config, &options.watch, path, read, |answer| {
        printed(listing::print(options, answer, key, &items, kind))
    })
}

/// Asks and hands over the answer, as often as is wanted.
fn repeat<A: DeserializeOwned>(
    file: &ConfigFile,
    watch: &Watch,
    path: &str,
    read: impl Fn(&LiveState) -> Result<A, DatapathError>,
    print: impl Fn(A) -> Exit,
) -> Exit {
    let config = match config(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    watched(watch, || {
        match ask(&config, path, &(), |view| read(view).map(Ok)) {
            Ok(answer) => print(answer),
            Err(exit) => exit,
        }
    })
}

/// The exit code of printing a list.
pub(crate) fn printed(result: Result<(), String>) -> Exit {
    match result {
        Ok(()) => Exit::Success,
        Err(message) => question(message),
    }
}

/// Prints an error of the datapath and picks the exit code.
pub(crate) fn fail(error: &DatapathError) -> Exit {
    complain!("error: {}", error.with_missing_right());
    if let DatapathError::NotLoaded(pins) = error {
        if nft_guard::is_loaded(pins) {
            complain!(
                "note: the guard is there: it drops what goes through the interfaces of the \
                 configuration, but for the failsafe; `bailey detach --yes-unfiltered` removes it"
            );
        }
        for protector in bailey_datapath::protected_interfaces().unwrap_or_default() {
            let protector = replace_control_chars(&protector.to_string());
            complain!("note: {protector}; --config names the Bailey to ask");
        }
    }
    Exit::from(error)
}
