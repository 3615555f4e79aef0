//! Boots other kernels under qemu, runs the checks there, and writes the matrix.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

/// The programs that guests run, built to need nothing.
mod build;
/// Which checks there are.
mod checks;
/// What a guest runs from.
mod image;
/// The numbers and outcomes of a run, as they are kept and compared.
mod record;
/// docs/kernels.md.
mod report;
/// A virtual machine, from boot to power-off.
mod vm;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if nothing is worse than the record.
fn run() -> Result<bool> {
    let mut arguments = std::env::args().skip(1);
    let (Some(cache), update) = (arguments.next(), arguments.next()) else {
        bail!("usage: bailey-kernels CACHE-FOLDER [--record]");
    };
    let cache = PathBuf::from(cache);
    let update = update.is_some_and(|flag| flag == "--record");
    let programs = build::programs()?;
    let kernels = image::kernels(&cache)?;
    let mut runs = Vec::new();
    for kernel in &kernels {
        eprintln!("kernel {}", kernel.version);
        let (modules, initramfs) = image::build(kernel, &programs, &cache)?;
        runs.push(vm::run(kernel, &programs, modules, initramfs, &cache)?);
    }
    let now = record::Record::of(&runs);
    let known = record::Record::read()?;
    let worse = known
        .as_ref()
        .map_or_else(Vec::new, |known| now.worse_than(known));
    report::print(&runs);
    for line in &worse {
        eprintln!("WORSE: {line}");
    }
    if update || known.is_none() {
        now.write()?;
        report::write(&runs)?;
    }
    Ok(worse.is_empty() && now.complete())
}
