//! Boots other kernels under qemu, runs the checks there, and writes the matrix.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use build::Programs;
use image::Kernel;
use vm::{Purpose, Run};

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

/// All kernels, some machines at a time, the longest first: tests before counts, the newest kernel
/// before older ones. In the order of the kernels.
fn run_all(kernels: &[Kernel], programs: &Programs, cache: &Path) -> Result<Vec<Run>> {
    let newest_first = (0..kernels.len()).rev();
    let purposes = [Purpose::Kernel, Purpose::Cards, Purpose::Cost].into_iter();
    let jobs: Vec<(usize, Purpose)> = purposes
        .flat_map(|purpose| newest_first.clone().map(move |at| (at, purpose)))
        .collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some(&(at, purpose)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let kernel = &kernels[at];
            let result = image::build(kernel, purpose, programs, cache)
                .and_then(|(modules, path)| vm::run(kernel, purpose, programs, (modules, &path)));
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(work);
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut runs: Vec<Run> = kernels.iter().cloned().map(Run::new).collect();
    for (at, result) in done {
        runs[at].outcomes.extend(result?);
    }
    Ok(runs)
}
