use std::path::Path;

use bailey_config::{Config, DEFAULT_PATH};
use bailey_daemon::RunOptions;

use crate::args::Run;
use crate::exit::Exit;
use crate::output::complain;
use crate::output::diagnostics::print_diagnostics;

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
    if let Err(error) = bailey_daemon::logging::start(&config.log) {
        complain!("error: cannot log: {error}");
        return Exit::Internal;
    }
    let options = RunOptions {
        replace: options.replace,
        wait_for_interfaces_seconds: options.wait_for_interfaces,
        show_diagnostics: print_diagnostics,
    };
    match bailey_daemon::serve(&config, &options) {
        Ok(()) => Exit::Success,
        Err(error) => Exit::from(&error),
    }
}
