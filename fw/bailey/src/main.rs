//! The `bailey` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    bailey::run(std::env::args_os()).into()
}
