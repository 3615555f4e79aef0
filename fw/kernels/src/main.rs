//! Boots other kernels under qemu, runs the checks there, and writes the matrix.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use record::Record;
use scope::Scope;

/// cpio archives.
mod archive;
/// The programs that guests run, linked statically.
mod build;
/// The checks of the matrix, and the plan of each machine.
mod checks;
/// The console of a guest.
mod console;
/// The kernels in the cache, and the initramfs of a guest.
mod image;
/// Kernel modules and their loading order.
mod modules;
/// The NICs that qemu emulates.
mod nic;
/// The purposes of virtual machines.
mod purpose;
/// The results of a run, kept in docs/kernels.json.
mod record;
/// The comparison of two records.
mod regressions;
/// docs/kernels.md.
mod report;
/// The machines of a run, in parallel.
mod schedule;
/// How much of the matrix one run covers.
mod scope;
/// A virtual machine, from boot to power-off.
mod vm;

const USAGE: &str =
    "usage: bailey-kernels CACHE-FOLDER [--record | --quick | --only TEXT [--record]]";

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

/// Returns whether all checks passed and none is worse than in the record.
fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (cache, update, scope) = match arguments[..] {
        [cache] => (cache, false, Scope::Full),
        [cache, "--record"] => (cache, true, Scope::Full),
        [cache, "--quick"] => (cache, false, Scope::Quick),
        [cache, "--only", text] => (cache, false, Scope::Only(text.to_owned())),
        [cache, "--only", text, "--record"] => (cache, true, Scope::Only(text.to_owned())),
        _ => bail!(USAGE),
    };
    let cache = PathBuf::from(cache);
    let programs = build::programs(&scope)?;
    let kernels = image::kernels(&cache)?;
    let runs = schedule::run_all(&kernels, &programs, &cache, &scope)?;

    let now = Record::of(&runs);
    report::print(&now);
    if update {
        if !now.all_passed() {
            bail!("nothing was recorded: not everything passes");
        }
        let merged = Record::read()?.unwrap_or_default().merge(now);
        merged.write()?;
        report::write(&merged)?;
        return Ok(true);
    }
    let worse = compare(&now, &scope)?;
    for line in &worse {
        eprintln!("WORSE: {line}");
    }
    Ok(worse.is_empty() && now.all_passed())
}

/// Compares a run with docs/kernels.json and returns the regressions. Prints the number of checks
/// that the scope left out.
fn compare(now: &Record, scope: &Scope) -> Result<Vec<String>> {
    let Some(known) = Record::read()? else {
        eprintln!("nothing is compared: docs/kernels.json is missing; write it with --record");
        return Ok(regressions::find(now, &Record::default(), scope));
    };
    let left = regressions::left_out(&known, scope);
    if left.checks > 0 {
        println!(
            "left to the full run: {} of {} recorded checks, and {} tests of the checks that ran",
            left.checks, left.recorded, left.tests
        );
    }
    Ok(regressions::find(now, &known, scope))
}
