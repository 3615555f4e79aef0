use crate::cli::Run;
use crate::config::Config;
use crate::daemon;
use crate::exit::Exit;

/// Reads the configuration and enforces until told to stop.
pub(crate) fn run(options: &Run) -> Exit {
    let config = match Config::read(&options.config) {
        Ok(config) => config,
        Err(message) => {
            eprintln!("error: {message}");
            // Where its pins are is not known either.
            eprintln!("bailey did not start; `bailey status` tells what is enforced");
            return Exit::Invalid;
        }
    };
    daemon::log::start(&config.log);
    daemon::serve(config, options)
}
