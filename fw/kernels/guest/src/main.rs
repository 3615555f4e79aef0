//! `/init` of the virtual machine: mounts file systems, loads modules, runs the checks of
//! `/plan.json` one after the other, reports to the host over the console, and powers off. Called as
//! `measure …`, it is one of the checks itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bailey_kernels::plan::{Check, MARK, Outcome, Plan, VALUE};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

/// Checks that record values.
mod measure;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, rest @ ..] = arguments.as_slice()
        && verb == "measure"
    {
        return match measure::run(rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    if let Err(error) = init() {
        println!("guest: {error:#}");
    }
    // The console is slow: give it time for the last messages.
    sleep(Duration::from_millis(200));
    let _ = reboot(RebootMode::RB_POWER_OFF);
    ExitCode::FAILURE
}

/// Prepares the machine and runs its plan.
fn init() -> Result<()> {
    for (kind, at) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("bpf", "/sys/fs/bpf"),
        ("tmpfs", "/run"),
    ] {
        fs::create_dir_all(at)?;
        let none: Option<&str> = None;
        mount(Some(kind), at, Some(kind), MsFlags::empty(), none)
            .with_context(|| format!("cannot mount {at}"))?;
    }
    println!("{MARK}begin");
    fs::write("/proc/sys/kernel/printk", "1")?;
    let plan: Plan = serde_json::from_slice(&fs::read("/plan.json")?)?;
    for module in &plan.modules {
        let file = File::open(module).with_context(|| module.clone())?;
        if let Err(error) = finit_module(&file, c"", ModuleInitFlags::empty()) {
            println!("guest: {module}: {error}");
        }
    }
    // Wait for drivers, which probe in the background.
    sleep(Duration::from_secs(1));
    let slots = slots()?;
    for check in &plan.checks {
        let outcome = run(&with_slots(check, &slots))?;
        println!("{MARK}{}", serde_json::to_string(&outcome)?);
    }
    println!("{MARK}end");
    Ok(())
}

/// The PCI slots of the NICs by MAC address. A lab changes MAC addresses, but not slots.
fn slots() -> Result<BTreeMap<String, String>> {
    let mut slots = BTreeMap::new();
    for entry in fs::read_dir("/sys/class/net")? {
        let path = entry?.path();
        let address = fs::read_to_string(path.join("address")).unwrap_or_default();
        let device = path.canonicalize()?;
        let parts = device
            .iter()
            .map(|part| part.to_string_lossy().into_owned());
        let mut slot = parts.filter(|part| part.len() == 12 && part.matches(':').count() == 2);
        if let Some(slot) = slot.next_back() {
            slots.insert(address.trim().to_owned(), slot);
        }
    }
    Ok(slots)
}

/// Replaces MAC addresses in a check by PCI slots.
fn with_slots(check: &Check, slots: &BTreeMap<String, String>) -> Check {
    let mut check = check.clone();
    let values = check.environment.values_mut().chain(&mut check.command);
    for value in values {
        for (address, slot) in slots {
            *value = value.replace(address, slot);
        }
    }
    check
}

/// The output of a test program that has no test with the given name.
const NOTHING_RAN: &str = "running 0 tests";

/// Runs a check until it ends, or kills it after its timeout.
fn run(check: &Check) -> Result<Outcome> {
    let begin = Instant::now();
    let mut log = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(Path::new("/tmp/log"))?;
    let mut child = Command::new(&check.command[0])
        .args(&check.command[1..])
        .envs(&check.environment)
        .env("PATH", "/bin")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()
        .with_context(|| check.command[0].clone())?;
    let passed = loop {
        if let Some(status) = child.try_wait()? {
            break status.success();
        }
        if begin.elapsed().as_secs() > check.seconds {
            child.kill()?;
            child.wait()?;
            break false;
        }
        sleep(Duration::from_millis(50));
    };
    let mut bytes = Vec::new();
    log.rewind()?;
    log.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let passed = passed && !text.contains(NOTHING_RAN);
    let values: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.strip_prefix(VALUE)?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let last = text.len().saturating_sub(6000);
    let last = (last..).find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    Ok(Outcome {
        driver: check.driver.clone(),
        feature: check.feature.clone(),
        passed,
        seconds: begin.elapsed().as_secs_f64(),
        output: if passed {
            String::new()
        } else {
            text[last..].to_owned()
        },
        values,
    })
}
