//! `bailey run`: starts the daemon in the foreground.

use std::path::Path;

use bailey_config::{Config, DEFAULT_PATH};
use bailey_daemon::RunOptions;

use crate::args::RunArgs;
use crate::error::CommandError;
use crate::exit::{Exit, end_with};
use crate::output::diagnostics::print_diagnostics;
use crate::output::stderr_line;

/// Reads the configuration and enforces policies until a signal ends the daemon.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, CommandError> {
    let default_path = || Path::new(DEFAULT_PATH).to_owned();
    let file = args.config.config.clone().unwrap_or_else(default_path);
    let config = match Config::read(&file) {
        Ok(config) => config,
        Err(message) => {
            let exit = end_with(&CommandError::Configuration(message));
            // Without a configuration the pin directory is unknown, so enforcement cannot be reported here.
            stderr_line!("bailey did not start; `bailey status` shows what is enforced");
            return Ok(exit);
        }
    };
    bailey_daemon::logging::start(&config.log).map_err(CommandError::Log)?;
    let options = RunOptions {
        replace: args.replace,
        wait_for_interfaces_seconds: args.wait_for_interfaces,
        show_diagnostics: print_diagnostics,
    };
    // The daemon has logged the error.
    Ok(match bailey_daemon::serve(&config, &options) {
        Ok(()) => Exit::Success,
        Err(error) => Exit::from(&error),
    })
}
