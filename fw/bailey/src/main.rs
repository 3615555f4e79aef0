//! The `bailey` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A large cluster is millions of small strings, and each edit makes and drops some: see ARCHITECTURE.md.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bailey::run(std::env::args_os()).into()
}
