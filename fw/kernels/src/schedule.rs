//! The machines of a run, in parallel.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use bailey_kernels::plan::{Outcome, Plan};

use crate::build::Programs;
use crate::image::{self, Kernel};
use crate::purpose::Purpose;
use crate::scope::Scope;
use crate::vm;

/// The outcomes of one kernel's machines.
#[derive(Debug)]
pub(crate) struct KernelRun {
    pub(crate) kernel: Kernel,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Machines that still have to run, as indices of kernels and purposes.
type Queue = Mutex<VecDeque<(usize, Purpose)>>;

/// Runs the machines of all kernels. Tests run in some lanes, the newest kernel first because it
/// takes longest; beside them one lane counts instructions, with a low priority. Returns the
/// outcomes in the order of the kernels.
///
/// # Errors
/// If a machine cannot be booted or does not finish.
pub(crate) fn run_all(
    kernels: &[Kernel],
    programs: &Programs,
    cache: &Path,
    scope: &Scope,
) -> Result<Vec<KernelRun>> {
    let queue = |purposes: &[Purpose]| -> Queue {
        let newest_first = (0..kernels.len()).rev();
        let of = |&purpose| newest_first.clone().map(move |index| (index, purpose));
        Mutex::new(purposes.iter().flat_map(of).collect())
    };
    let tests = queue(scope.machines());
    let counts = queue(&[Purpose::InstructionCount]);
    let done = Mutex::new(Vec::new());
    let work = |queue: &Queue| {
        let next = || locked(queue).pop_front();
        while let Some((index, purpose)) = next() {
            let result = run_one(&kernels[index], purpose, programs, cache, scope);
            locked(&done).push((index, result));
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..scope.lanes() {
            threads.spawn(|| work(&tests));
        }
        threads.spawn(|| work(&counts));
    });
    let mut runs: Vec<KernelRun> = kernels
        .iter()
        .map(|kernel| KernelRun {
            kernel: kernel.clone(),
            outcomes: Vec::new(),
        })
        .collect();
    for (index, result) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
        runs[index].outcomes.extend(result?);
    }
    Ok(runs)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one machine, unless the scope leaves it without checks.
fn run_one(
    kernel: &Kernel,
    purpose: Purpose,
    programs: &Programs,
    cache: &Path,
    scope: &Scope,
) -> Result<Vec<Outcome>> {
    let checks = crate::checks::of(purpose, &kernel.suite, scope, programs)?;
    if checks.is_empty() {
        return Ok(Vec::new());
    }
    let begin = Instant::now();
    let (modules, initramfs) = image::build(kernel, purpose, programs, cache)?;
    let outcomes = vm::run(kernel, purpose, Plan { modules, checks }, &initramfs)?;
    let in_checks: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
    eprintln!(
        "{:<9} {purpose:?}: {:.0} s, of which {in_checks:.0} s in {} checks",
        kernel.suite,
        begin.elapsed().as_secs_f64(),
        outcomes.len()
    );
    Ok(outcomes)
}
