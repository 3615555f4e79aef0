//! Queries of a running Bailey: from the daemon, or without a daemon from the pinned maps.

use std::fs::File;
use std::io;
use std::path::Path;

use bailey_config::{Config, DEFAULT_PATH};
use bailey_control::ClientError;
use bailey_control::client;
use bailey_datapath::DatapathError;
use bailey_introspect::LiveState;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::{ConfigArgs, Format, ListArgs, QueryArgs, WatchArgs};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::list::{ListLayout, print_list, repeat};
use crate::output::{print_json, print_line, print_yaml, stderr_line};

/// Reads the configuration of the Bailey to query. A user who cannot read the default file may still use
/// the control socket, so the default configuration replaces it.
///
/// # Errors
/// If the configuration is invalid.
pub(crate) fn read_config(args: &ConfigArgs) -> Result<Config, CommandError> {
    let is_denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    if args.config.is_none() && File::open(Path::new(DEFAULT_PATH)).is_err_and(is_denied) {
        stderr_line!("note: {DEFAULT_PATH} is not readable; using the default paths");
        return Ok(Config::default());
    }
    Config::find(args.config.as_deref()).map_err(CommandError::Configuration)
}

/// Queries the daemon. If no daemon answers, `read` takes the answer from the pinned maps. Its inner error
/// means that the query names an object that does not exist.
///
/// # Errors
/// If neither has an answer, or the query is wrong.
pub(crate) fn query<T: DeserializeOwned>(
    config: &Config,
    path: &str,
    parameters: &impl Serialize,
    read: impl FnOnce(&LiveState) -> Result<Result<T, String>, DatapathError>,
) -> Result<T, CommandError> {
    match client::get(&config.paths.socket(), path, parameters) {
        Ok(answer) => return Ok(answer),
        Err(error) => fall_back_to_pins(config, error)?,
    }
    read(&LiveState::new(config.clone()))?.map_err(CommandError::Usage)
}

/// Warns that the daemon did not answer and the pinned maps are read instead.
///
/// # Errors
/// If the pinned maps cannot answer either: the query is wrong, not permitted, or nothing is pinned.
pub(crate) fn fall_back_to_pins(config: &Config, error: ClientError) -> Result<(), CommandError> {
    match error {
        ClientError::BadRequest(_) | ClientError::PermissionDenied => {
            Err(CommandError::Client(error))
        }
        ClientError::Unreachable(_) if matches!(config.paths.pins.try_exists(), Ok(false)) => {
            Err(DatapathError::NotLoaded(config.paths.pins.clone()).into())
        }
        ClientError::Unreachable(_)
        | ClientError::Refused(_)
        | ClientError::Malformed(_)
        | ClientError::Timeout => {
            stderr_line!("warning: {error}; reading the pinned maps instead");
            Ok(())
        }
    }
}

/// Queries and prints one answer, repeatedly with `--watch`. `exit` chooses the exit code.
///
/// # Errors
/// If the configuration is invalid.
pub(crate) fn render<T: DeserializeOwned + Serialize>(
    args: &QueryArgs,
    path: &str,
    read: impl Fn(&LiveState) -> Result<T, DatapathError>,
    format: impl Fn(&T) -> String,
    exit: impl Fn(&T) -> Exit,
) -> Result<Exit, CommandError> {
    query_and_print(&args.config, &args.watch, path, read, |answer| {
        match args.output {
            Format::Json => print_json(&answer),
            Format::Yaml => print_yaml(&answer),
            Format::Table => print_line(&format(&answer)),
        }
        Ok(exit(&answer))
    })
}

/// Queries and prints a list, repeatedly with `--watch`. `key` is the list's field in JSON, `items` the
/// same field in Rust.
///
/// # Errors
/// If the configuration is invalid.
pub(crate) fn render_list<A, T>(
    args: &ListArgs,
    path: &str,
    read: impl Fn(&LiveState) -> Result<A, DatapathError>,
    key: &str,
    items: impl Fn(&mut A) -> &mut Vec<T>,
    layout: &ListLayout<T>,
) -> Result<Exit, CommandError>
where
    A: DeserializeOwned + Serialize,
    T: Serialize,
{
    query_and_print(&args.config, &args.watch, path, read, |answer| {
        print_list(args, answer, key, &items, layout)?;
        Ok(Exit::Success)
    })
}

fn query_and_print<A: DeserializeOwned>(
    config: &ConfigArgs,
    watch: &WatchArgs,
    path: &str,
    read: impl Fn(&LiveState) -> Result<A, DatapathError>,
    print: impl Fn(A) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    let config = read_config(config)?;
    Ok(repeat(watch, || {
        print(query(&config, path, &(), |state| read(state).map(Ok))?)
    }))
}
