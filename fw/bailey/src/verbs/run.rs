use std::path::Path;

use crate::args::Run;
use crate::daemon::{self, RunOptions};
use crate::exit::Exit;
use crate::load::print_diagnostics;
use crate::output::complain;
use bailey_config::{Config, DEFAULT_PATH};

/// Reads the configuration and enforces until told to stop.
pub(crate) fn run(options: &Run) -> Exit {
    let usual = || Path::new(DEFAULT_PATH).to_owned();
    let file = options.config.config.clone().unwrap_or_else(usual);
    let config = match Config::read(&file) {
        Ok(config) => config,
        Err(message) => {
            complain!("error: {message}");
            // Where its pins are is not known either.
            complain!("bailey did not start; `bailey status` tells what is enforced");
            return Exit::Invalid;
        }
    };
    if let Err(error) = daemon::log::start(&config.log) {
        complain!("error: cannot log: {error}");
        return Exit::Internal;
    }
    let options = RunOptions {
        replace: options.replace,
        wait_for_interfaces_seconds: options.wait_for_interfaces,
        show_diagnostics: print_diagnostics,
    };
    match daemon::serve(&config, &options) {
        Ok(()) => Exit::Success,
        Err(error) => Exit::from(&error),
    }
}
