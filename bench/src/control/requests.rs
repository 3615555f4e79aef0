//! Time of requests to the daemon.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Requests of one path; the fastest counts, because the others waited for a CPU.
const REQUESTS: u32 = 5;
/// Pause between two requests, so that each has a later sample of the counters.
const PAUSE: Duration = Duration::from_millis(300);

/// Milliseconds from connecting to the end of the answer.
pub(super) fn time_request_ms(socket: &Path, path: &str) -> Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..REQUESTS {
        std::thread::sleep(PAUSE);
        let begun = Instant::now();
        let mut stream = UnixStream::connect(socket)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: bailey\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        ensure!(answer.starts_with(b"HTTP/1.1 200"), "{path}: no answer");
        fastest = fastest.min(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(fastest)
}
