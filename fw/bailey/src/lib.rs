//! The command line: arguments, output and exit codes. `check`, `explain` and `test` work on any system;
//! the other commands need Linux.
#![forbid(unsafe_code)]

use std::ffi::OsString;

use clap::Parser;

/// Arguments of all commands.
pub mod args;
/// One file per command.
mod commands;
/// Errors that end a command, and their text.
mod error;
/// Exit codes, and the map from errors to them.
pub mod exit;
/// Policy files that a command line or the configuration names.
mod input;
/// Tables, JSON, YAML and messages on the terminal.
mod output;
/// Durations as `90s`, `15m`, `2h` or `7d`.
mod ttl;

pub use exit::Exit;

/// Parses the arguments and runs the command.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let (arguments, reversed) = args::split_not(arguments.into_iter().collect());
    let parsed = args::Cli::try_parse_from(arguments).and_then(|mut cli| {
        #[cfg(target_os = "linux")]
        match &mut cli.command {
            args::Command::Observe(observe) => observe.filter.add_not(reversed)?,
            args::Command::Capture(capture) => capture.filter.add_not(reversed)?,
            _ => {}
        }
        Ok(cli)
    });
    match parsed {
        Ok(cli) => {
            let exit = commands::run_command(cli.command);
            match output::write_error() {
                Some(error) => {
                    output::stderr_line!(
                        "error: standard output: {error}; the output is incomplete"
                    );
                    Exit::Negative
                }
                None => exit,
            }
        }
        Err(error) if error.use_stderr() => {
            // The message quotes the arguments, so its control characters must be replaced.
            output::print_message(error.render().to_string().trim_end());
            Exit::Usage
        }
        // --help and --version.
        Err(error) => {
            let _ = error.print();
            Exit::Success
        }
    }
}
