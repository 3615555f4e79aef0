//! Boots other kernels under qemu, runs the checks there, and writes the matrix.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use bailey_kernels::plan::{Outcome, Plan};
use build::Programs;
use image::Kernel;
use purpose::Purpose;
use vm::Run;

/// The programs that guests run, built to need nothing.
mod build;
/// Which checks there are.
mod checks;
/// What a guest runs from.
mod image;
/// Why a virtual machine is booted.
mod purpose;
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
    const USAGE: &str = "usage: bailey-kernels CACHE-FOLDER [--record | --only TEXT]";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (cache, update, only) = match arguments[..] {
        [cache] => (cache, false, ""),
        [cache, "--record"] => (cache, true, ""),
        [cache, "--only", text] => (cache, false, text),
        _ => bail!(USAGE),
    };
    let cache = PathBuf::from(cache);
    let programs = build::programs()?;
    let kernels = image::kernels(&cache)?;
    let runs = run_all(&kernels, &programs, &cache, only)?;
    let now = record::Record::of(&runs);
    let known = record::Record::read()?;
    if known.is_none() && !update {
        eprintln!("nothing is compared: there is no docs/kernels.json; --record writes it");
    }
    let known = known.unwrap_or_default();
    let worse = if only.is_empty() {
        now.worse_than(&known)
    } else {
        println!("only some checks have run: counts that they took are compared, nothing else");
        now.dearer_than(&known)
    };
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

/// One machine, unless it has nothing to do.
fn run_one(
    kernel: &Kernel,
    purpose: Purpose,
    programs: &Programs,
    cache: &Path,
    only: &str,
) -> Result<Vec<Outcome>> {
    let mut checks = checks::of(purpose, programs)?;
    checks.retain(|check| format!("{}: {}", check.driver, check.feature).contains(only));
    if checks.is_empty() {
        return Ok(Vec::new());
    }
    let (modules, initramfs) = image::build(kernel, purpose, programs, cache)?;
    vm::run(kernel, purpose, Plan { modules, checks }, &initramfs)
}

/// Lanes for tests: these wait for most of their time, so that two kernels' go together.
const TEST_LANES: usize = 2;

/// All kernels, the newest first, which takes longest: tests in some lanes, and beside them, in what time
/// they leave, counts. In the order of the kernels.
fn run_all(kernels: &[Kernel], programs: &Programs, cache: &Path, only: &str) -> Result<Vec<Run>> {
    let jobs = |purposes: &[Purpose]| {
        let newest_first = (0..kernels.len()).rev();
        let of = |&purpose| newest_first.clone().map(move |at| (at, purpose));
        let jobs: VecDeque<(usize, Purpose)> = purposes.iter().flat_map(of).collect();
        Mutex::new(jobs)
    };
    let tests = jobs(&[Purpose::Kernel, Purpose::Cards]);
    let counts = jobs(&[Purpose::Cost]);
    let done = Mutex::new(Vec::new());
    let work = |jobs: &Mutex<VecDeque<(usize, Purpose)>>| {
        let next = || {
            jobs.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front()
        };
        while let Some((at, purpose)) = next() {
            let kernel = &kernels[at];
            let result = run_one(kernel, purpose, programs, cache, only);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..TEST_LANES {
            scope.spawn(|| work(&tests));
        }
        scope.spawn(|| work(&counts));
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut runs: Vec<Run> = kernels.iter().cloned().map(Run::new).collect();
    for (at, result) in done {
        runs[at].outcomes.extend(result?);
    }
    Ok(runs)
}
