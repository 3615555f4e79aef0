//! CPU affinity of threads.

use anyhow::{Context, Result};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins the calling thread to one CPU.
///
/// # Errors
/// If the CPU does not exist.
pub fn pin(cpu: usize) -> Result<()> {
    set(None, cpu)
}

/// Runs `job` on one CPU, then restores the affinity of the calling thread.
///
/// # Errors
/// If the CPU does not exist.
pub fn run_on<T>(cpu: usize, job: impl FnOnce() -> T) -> Result<T> {
    let before = sched_getaffinity(None)?;
    pin(cpu)?;
    let done = job();
    sched_setaffinity(None, &before)?;
    Ok(done)
}

/// Pins another thread to one CPU.
///
/// # Errors
/// If the thread or the CPU does not exist.
pub fn pin_thread(thread: u32, cpu: usize) -> Result<()> {
    let id = i32::try_from(thread).ok().and_then(Pid::from_raw);
    set(Some(id.context("thread id 0 or out of range")?), cpu)
}

fn set(thread: Option<Pid>, cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(thread, &set).with_context(|| format!("cannot pin a thread to CPU {cpu}"))
}
