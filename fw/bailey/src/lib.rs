//! The verbs of the one binary. Offline verbs (`check`, `explain`, `test`) work on any system;
//! those that touch a kernel only on Linux.
#![forbid(unsafe_code)]

/// Command line: what can be asked for.
pub mod args;
/// The clock, and stopwatches on it: nothing else asks for the time.
pub mod clock;
/// The daemon.
#[cfg(target_os = "linux")]
pub mod daemon;
/// Three ways to a verdict.
pub mod engine;
/// Exit codes.
pub mod exit;
/// A table of netfilter that closes what carries no program.
#[cfg(target_os = "linux")]
pub mod guard;
/// Files to a compiled policy set.
pub mod load;
/// Would the caller lock themselves out?
#[cfg(target_os = "linux")]
pub mod lockout;
/// What is printed: lists, tables, JSON, YAML.
pub mod output;
/// PolicyTest: expected verdicts next to the policies.
pub mod policy_test;
/// What the daemon leaves for other processes: rule ids and their names.
pub mod rule_names;
/// Names of endpoints on the command line and in tests.
pub mod target;
/// Times to live, as people write them.
pub mod ttl;
/// One file per verb.
pub mod verbs;
/// What is pinned, as answers.
#[cfg(target_os = "linux")]
pub mod view;

use std::ffi::OsString;

use clap::Parser;

pub use exit::Exit;

/// Parses the arguments and runs the verb.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    match args::Cli::try_parse_from(arguments) {
        Ok(cli) => {
            let exit = verbs::dispatch(cli);
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
