//! The console of a guest, over which it reports outcomes.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bailey_kernels::plan::{Check, MARK, Outcome, Plan};

use crate::image::Kernel;

/// The time for boot. The emulator sometimes stops before the guest's first line, and a second guest boots.
const BOOT: Duration = Duration::from_secs(300);

/// Reads the console until the guest has reported the end of its plan. Outcomes are added as they
/// arrive.
///
/// # Errors
/// If the guest stops to answer, or ends early.
pub(crate) fn follow(
    child: &mut Child,
    kernel: &Kernel,
    plan: &Plan,
    outcomes: &mut Vec<Outcome>,
) -> Result<()> {
    let console = BufReader::new(child.stdout.take().context("no console")?);
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in console.lines() {
            // Output of a driver may be no UTF-8: skip the line.
            let Ok(line) = line else { continue };
            if send.send(line).is_err() {
                break;
            }
        }
    });

    // The timeouts of all checks bound the whole run.
    let seconds: u64 = plan.checks.iter().map(|check| check.seconds).sum();
    let mut deadline = Instant::now() + BOOT;
    let mut has_begun = false;

    let mut last = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) => {
                if let Some(message) = line.split_once(MARK).map(|(_, message)| message.trim()) {
                    if message == "begin" {
                        has_begun = true;
                        deadline += Duration::from_secs(seconds);
                        continue;
                    }
                    if message == "end" {
                        return Ok(());
                    }
                    let outcome: Outcome =
                        serde_json::from_str(message).context("invalid outcome of the guest")?;
                    eprintln!(
                        "{:<9} {:<10} {:<30} {:<6} {:>5.0} s",
                        kernel.suite,
                        outcome.driver,
                        outcome.feature,
                        if outcome.passed { "ok" } else { "FAILED" },
                        outcome.seconds
                    );
                    if !outcome.passed {
                        eprintln!("{}", outcome.output);
                    }
                    outcomes.push(outcome);
                } else {
                    last.push(line);
                }
            }
            Err(RecvTimeoutError::Timeout) if !has_begun => {
                // As if the emulator had crashed: the caller boots another guest.
                child.kill().context("cannot end the emulator")?;
                bail!(
                    "the guest does not boot {}",
                    position(plan, outcomes, &last)
                )
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("the guest hangs {}", position(plan, outcomes, &last))
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the guest has ended {}", position(plan, outcomes, &last));
            }
        }
    }
}

/// The current check and the end of the console, for error messages.
fn position(plan: &Plan, outcomes: &[Outcome], console: &[String]) -> String {
    let check: Option<&Check> = plan.checks.get(outcomes.len());
    let check = check.map_or_else(String::new, |check| {
        format!("{}: {}", check.driver, check.feature)
    });
    let tail = console[console.len().saturating_sub(20)..].join("\n");
    format!("({check}); end of its console:\n{tail}")
}
