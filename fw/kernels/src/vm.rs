use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bailey_kernels::plan::{Check, MARK, Outcome, Plan};

use crate::image::Kernel;
use crate::nic::{DRIVERS, Driver};
use crate::purpose::Purpose;

/// Boot and power-off, beside the checks themselves.
const BOOT: Duration = Duration::from_secs(120);

/// Boots a kernel and does what is planned.
pub(crate) fn run(
    kernel: &Kernel,
    purpose: Purpose,
    plan: Plan,
    initramfs: &Path,
) -> Result<Vec<Outcome>> {
    let counts = purpose == Purpose::InstructionCount;
    let cpu: &[&str] = match counts {
        true => &["-smp", "1", "-icount", "shift=0,sleep=off"],
        false => &["-smp", "2"],
    };
    let mut arguments: Vec<String> = cpu.iter().map(|&argument| argument.to_owned()).collect();
    if purpose.has_nics() {
        arguments.extend(DRIVERS.iter().flat_map(Driver::qemu_arguments));
    }
    // Instruction counts do not depend on time; tests have timeouts.
    let niceness = if counts { "19" } else { "0" };
    let mut outcomes = Vec::new();
    let mut rest = plan;
    for boots in 1.. {
        let (done, ended) = boot(kernel, &rest, initramfs, &arguments, niceness)?;
        rest.checks.drain(..done.len());
        outcomes.extend(done);
        let Some(signal) = ended else {
            break;
        };
        let check = rest.checks.first();
        let check = check.map_or("", |check| check.feature.as_str());
        // That is a fault of the emulator's: a guest that panics ends it without one.
        eprintln!(
            "{}: qemu ended by signal {signal} in {check:?}; {}",
            kernel.suite,
            if boots > REBOOTS {
                "given up"
            } else {
                "booted again, to go on there"
            }
        );
        if boots > REBOOTS {
            bail!(
                "kernel {}: qemu ended by a signal {boots} times",
                kernel.version
            );
        }
    }
    Ok(outcomes)
}

/// How often a machine whose emulator dies is booted again.
const REBOOTS: u32 = 2;

/// What was done, and the signal that ended the emulator before it was all.
fn boot(
    kernel: &Kernel,
    plan: &Plan,
    initramfs: &Path,
    arguments: &[String],
    niceness: &str,
) -> Result<(Vec<Outcome>, Option<i32>)> {
    // The kernel unpacks archives that follow each other.
    let whole = initramfs.with_extension("whole");
    crate::image::append_plan(initramfs, plan, &whole)?;
    let mut child = Command::new("nice")
        .args(["-n", niceness, "qemu-system-x86_64"])
        .args([
            "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "2048",
        ])
        .args([
            "-display",
            "none",
            "-nodefaults",
            "-no-reboot",
            "-serial",
            "stdio",
        ])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(&whole)
        .args([
            "-append",
            "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("cannot run qemu-system-x86_64 by nice")?;
    let mut outcomes = Vec::new();
    let result = follow(&mut child, kernel, plan, &mut outcomes);
    // Before it is killed: it may have ended by itself, `nice` being qemu by then.
    let ended = match &result {
        Ok(()) => None,
        Err(_) => wait_a_little(&mut child)?.and_then(|status| status.signal()),
    };
    let _ = child.kill();
    let _ = child.wait();
    std::fs::remove_file(&whole)?;
    match result {
        Err(error) if ended.is_none() => {
            Err(error).with_context(|| format!("kernel {}", kernel.version))
        }
        _ => Ok((outcomes, ended)),
    }
}

/// A process that has closed its output ends a moment later.
fn wait_a_little(child: &mut Child) -> Result<Option<ExitStatus>> {
    for _ in 0..50 {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(None)
}

/// Reads the console until the guest says that it is through.
fn follow(
    child: &mut Child,
    kernel: &Kernel,
    plan: &Plan,
    outcomes: &mut Vec<Outcome>,
) -> Result<()> {
    let console = BufReader::new(child.stdout.take().context("no console")?);
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in console.lines() {
            // A console that carries what a driver printed may be no text.
            let Ok(line) = line else { continue };
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let seconds: u64 = plan.checks.iter().map(|check| check.seconds).sum();
    let deadline = Instant::now() + BOOT + Duration::from_secs(seconds);
    let mut last = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) => {
                if let Some(told) = line.split_once(MARK).map(|(_, told)| told.trim()) {
                    if told == "end" {
                        return Ok(());
                    }
                    let outcome: Outcome =
                        serde_json::from_str(told).context("what the guest told")?;
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
            Err(RecvTimeoutError::Timeout) => {
                bail!("the guest hangs {}", where_it_is(plan, outcomes, &last))
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the guest went away {}", where_it_is(plan, outcomes, &last));
            }
        }
    }
}

fn where_it_is(plan: &Plan, outcomes: &[Outcome], console: &[String]) -> String {
    let check: Option<&Check> = plan.checks.get(outcomes.len());
    let check = check.map_or_else(String::new, |check| {
        format!("{}: {}", check.driver, check.feature)
    });
    let tail = console[console.len().saturating_sub(20)..].join("\n");
    format!("({check}); its console ends with\n{tail}")
}
