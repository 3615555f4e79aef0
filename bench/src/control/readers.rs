//! CPU time of the daemon while clients read `/v1/watch`.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Time for the first lines, which have all rules.
const BEGIN: Duration = Duration::from_secs(5);
/// Time of one measurement.
const MEASURED: Duration = Duration::from_secs(4);

/// Milliseconds of CPU time per second, with this number of readers.
pub(super) fn cpu_ms_per_second(process: &str, socket: &Path, readers: usize) -> Result<f64> {
    let is_done = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for _ in 0..readers {
        threads.push(start_reader(socket, Arc::clone(&is_done))?);
    }
    sleep(BEGIN);
    let (before, begun) = (cpu_nanoseconds(process)?, Instant::now());
    sleep(MEASURED);
    let used = cpu_nanoseconds(process)? - before;
    let seconds = begun.elapsed().as_secs_f64();
    is_done.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().ok().context("a reader panicked")?;
    }
    Ok(used as f64 / 1e6 / seconds)
}

fn start_reader(socket: &Path, is_done: Arc<AtomicBool>) -> Result<JoinHandle<()>> {
    let mut stream = UnixStream::connect(socket)?;
    write!(stream, "GET /v1/watch HTTP/1.1\r\nHost: bailey\r\n\r\n")?;
    Ok(thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while !is_done.load(Ordering::Relaxed) {
            if !matches!(stream.read(&mut buffer), Ok(1..)) {
                return;
            }
        }
    }))
}

/// CPU time of all threads of a process.
pub(super) fn cpu_nanoseconds(process: &str) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let first = text.split_whitespace().next().unwrap_or_default();
        sum += first.parse::<u64>().context("schedstat")?;
    }
    Ok(sum)
}
