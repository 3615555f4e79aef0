//! The `bailey` binary. The library has everything else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The snapshot of a large cluster is millions of small strings, and every edit allocates and frees some.
/// docs/decisions/014-mimalloc-2.md has the comparison of allocators.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bailey::run(std::env::args_os()).into()
}
