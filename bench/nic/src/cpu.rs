use anyhow::{Context, Result};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Keeps this thread on one CPU.
///
/// # Errors
/// If there is no such CPU.
pub fn pin(cpu: usize) -> Result<()> {
    set(None, cpu)
}

/// Keeps another thread there.
///
/// # Errors
/// If there is no such thread or CPU.
pub fn pin_other(thread: u32, cpu: usize) -> Result<()> {
    let id = i32::try_from(thread).ok().and_then(Pid::from_raw);
    set(Some(id.context("no thread")?), cpu)
}

fn set(thread: Option<Pid>, cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(thread, &set).with_context(|| format!("CPU {cpu}"))
}
