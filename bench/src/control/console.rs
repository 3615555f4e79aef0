//! Cost of the console: time to its first screen, CPU time, memory and bytes to the terminal at rest.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailey_lab::daemon::CONFIG;

use super::readers::cpu_nanoseconds;
use crate::daemon_under_test;
use crate::memory::process_own_mib;

/// Time until the console has all rules.
const BEGIN: Duration = Duration::from_secs(3);
/// Time of the measurement at rest.
const MEASURED: Duration = Duration::from_secs(6);
/// Text of the first whole screen.
const FIRST_SCREEN: &str = "top rules by packets/s";

/// A console on a terminal of 120 columns and 40 lines.
struct Console {
    script: Child,
    bytes: Arc<AtomicU64>,
    is_drawn: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

/// Time, memory and bytes of a console.
pub(super) struct ConsoleCost {
    pub(super) first_screen_ms: f64,
    pub(super) cpu_percent: f64,
    pub(super) mib: f64,
    pub(super) bytes_per_second: f64,
    /// CPU time of the daemon per second with this console.
    pub(super) daemon_ms_per_second: f64,
}

/// Runs a console, and measures it and the daemon at rest.
pub(super) fn measure(root: &Path, daemon: &str) -> Result<ConsoleCost> {
    let begun = Instant::now();
    let mut console = Console::start(root)?;
    while !console.is_drawn.load(Ordering::Relaxed) {
        ensure!(
            begun.elapsed() < Duration::from_secs(20),
            "the console draws nothing"
        );
        sleep(Duration::from_millis(1));
    }
    let first_screen_ms = begun.elapsed().as_secs_f64() * 1000.0;
    sleep(BEGIN);
    let process = console.process()?;
    let before = [cpu_nanoseconds(&process)?, cpu_nanoseconds(daemon)?];
    let (bytes, measured) = (console.bytes.load(Ordering::Relaxed), Instant::now());
    sleep(MEASURED);
    let seconds = measured.elapsed().as_secs_f64();
    let cost = ConsoleCost {
        first_screen_ms,
        cpu_percent: (cpu_nanoseconds(&process)? - before[0]) as f64 / 1e7 / seconds,
        mib: process_own_mib(&process) as f64,
        bytes_per_second: (console.bytes.load(Ordering::Relaxed) - bytes) as f64 / seconds,
        daemon_ms_per_second: (cpu_nanoseconds(daemon)? - before[1]) as f64 / 1e6 / seconds,
    };
    // The console ends with its terminal.
    console.script.kill()?;
    console.script.wait()?;
    console.reader.join().ok().context("the reader panicked")?;
    Ok(cost)
}

impl Console {
    fn start(root: &Path) -> Result<Self> {
        let command = format!(
            "stty cols 120 rows 40; exec {} tui --config {}",
            daemon_under_test::binary_path()?.display(),
            root.join(CONFIG).display()
        );
        let mut script = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env("XDG_STATE_HOME", root.join("home"))
            .env("XDG_CONFIG_HOME", root.join("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("script")?;
        let mut output = script.stdout.take().context("no output")?;
        let (bytes, is_drawn) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, drawn) = (Arc::clone(&bytes), Arc::clone(&is_drawn));
        let reader = spawn(move || {
            let mut text = String::new();
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                count.fetch_add(read as u64, Ordering::Relaxed);
                if !drawn.load(Ordering::Relaxed) {
                    text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                    // The data has come: a rule, not only the frame.
                    let is_whole = text.contains(FIRST_SCREEN) && text.contains("ENFORCE");
                    drawn.store(is_whole, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            script,
            bytes,
            is_drawn,
            reader,
        })
    }

    /// The process of the console.
    fn process(&self) -> Result<String> {
        let children = format!("/proc/{0}/task/{0}/children", self.script.id());
        let children = fs::read_to_string(children)?;
        let first = children.split_whitespace().next();
        Ok(first.context("the console has ended")?.to_owned())
    }
}
