//! A virtual machine, from boot to power-off.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bailey_kernels::plan::{Outcome, Plan};

use crate::image::Kernel;
use crate::nic::{DRIVERS, Driver};
use crate::purpose::Purpose;

/// Boots a kernel and runs the checks of a plan. Boots again if qemu crashes, and continues with
/// the check in which it did.
///
/// # Errors
/// If qemu cannot be started or crashes too often, or if the guest hangs.
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

    // Boot until all checks have an outcome.
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
        // A signal is a fault of the emulator: after a panic of the guest it exits normally.
        eprintln!(
            "{}: qemu ended by signal {signal} in {check:?}; {}",
            kernel.suite,
            if boots > REBOOTS {
                "giving up"
            } else {
                "booting again, to continue there"
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

/// The number of further boots after a crash of qemu.
const REBOOTS: u32 = 2;

/// Boots once. Returns the outcomes and, if qemu crashed before the end of the plan, its signal.
fn boot(
    kernel: &Kernel,
    plan: &Plan,
    initramfs: &Path,
    arguments: &[String],
    niceness: &str,
) -> Result<(Vec<Outcome>, Option<i32>)> {
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
    let result = crate::console::follow(&mut child, kernel, plan, &mut outcomes);
    // Look for a signal before killing the process, which `nice` has replaced by qemu.
    let ended = match &result {
        Ok(()) => None,
        Err(_) => wait_briefly(&mut child)?.and_then(|status| status.signal()),
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

/// Waits up to 5 s for the end of a process that has closed its output.
fn wait_briefly(child: &mut Child) -> Result<Option<ExitStatus>> {
    for _ in 0..50 {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(None)
}
