//! Boots other kernels under qemu, runs the checks there, and writes the matrix.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use build::Programs;
use image::Kernel;
use vm::Run;

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
    let runs = run_all(&kernels, &programs, &cache)?;
    let now = record::Record::of(&runs);
    let known = record::Record::read()?;
    if known.is_none() && !update {
        eprintln!("nothing is compared: there is no docs/kernels.json; --record writes it");
    }
    let nothing = record::Record::default();
    let worse = now.worse_than(known.as_ref().unwrap_or(&nothing));
    report::print(&now);
    for line in &worse {
        eprintln!("WORSE: {line}");
    }
    if update && !now.complete() {
        bail!("nothing was recorded: not everything passes");
    }
    if update {
        now.write()?;
        report::write(&now)?;
        return Ok(true);
    }
    Ok(worse.is_empty() && now.complete())
}

/// Virtual machines at a time: each has little to do for its second CPU.
const AT_A_TIME: usize = 2;

/// All kernels, some at a time, the newest and slowest first; in their order.
fn run_all(kernels: &[Kernel], programs: &Programs, cache: &Path) -> Result<Vec<Run>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some((at, kernel)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let at = kernels.len().checked_sub(at + 1);
            at.map(|at| (at, &kernels[at]))
        } {
            let result = image::build(kernel, programs, cache)
                .and_then(|(modules, path)| vm::run(kernel, programs, modules, &path, cache));
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
