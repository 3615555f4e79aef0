use anyhow::{Context, Result};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps this thread on one CPU.
///
/// # Errors
/// If there is no such CPU.
pub fn pin(cpu: usize) -> Result<()> {
    set(None, cpu)
}

/// Does something on one CPU; afterwards this thread may be where it could be before.
///
/// # Errors
/// If there is no such CPU.
pub fn run_on<T>(cpu: usize, job: impl FnOnce() -> T) -> Result<T> {
    let before = sched_getaffinity(None)?;
    pin(cpu)?;
    let done = job();
    sched_setaffinity(None, &before)?;
    Ok(done)
}

/// Keeps another thread there.
///
/// # Errors
/// If there is no such thread or CPU.
pub fn pin_thread(thread: u32, cpu: usize) -> Result<()> {
    let id = i32::try_from(thread).ok().and_then(Pid::from_raw);
    set(Some(id.context("no thread")?), cpu)
}

fn set(thread: Option<Pid>, cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(thread, &set).with_context(|| format!("CPU {cpu}"))
}
