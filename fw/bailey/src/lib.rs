//! The command line: arguments, output and exit codes. `check`, `explain` and `test` work on any system;
//! the other commands need Linux.
#![forbid(unsafe_code)]

/// Arguments of all commands.
pub mod args;
/// One file per command.
mod commands;
/// Exit codes, and the map from errors to them.
pub mod exit;
/// Reads the policies that a command line or the configuration names.
mod input;
/// Tables, JSON, YAML and diagnostics on the terminal.
mod output;
/// Durations as `90s`, `15m`, `2h` or `7d`.
mod ttl;

use std::ffi::OsString;

use clap::Parser;

pub use exit::Exit;

/// Parses the arguments and runs the verb.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    match args::Cli::try_parse_from(arguments) {
        Ok(cli) => {
            let exit = commands::dispatch(cli);
            match output::failure() {
                Some(error) => {
                    output::complain!(
                        "error: standard output: {error}; what was printed is not whole"
                    );
                    Exit::Negative
                }
                None => exit,
            }
        }
        Err(error) if error.use_stderr() => {
            // It repeats what was typed.
            output::message(error.render().to_string().trim_end());
            Exit::Usage
        }
        Err(error) => {
            let _ = error.print();
            Exit::Success
        }
    }
}
