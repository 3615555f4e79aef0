//! Description of the measuring machine, for reports.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// Facts about the machine that a reader of results needs, by name.
pub(crate) fn describe() -> BTreeMap<String, String> {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    [
        ("cpu", cpu_model()),
        ("cpus", all_cpus().to_string()),
        ("last_level_cache", last_level_cache()),
        ("memory", line_of("/proc/meminfo", "MemTotal:")),
        ("kernel", text(system.release())),
        ("architecture", text(system.machine())),
        ("bpf_jit", read("/proc/sys/net/core/bpf_jit_enable")),
        ("date", today()),
        ("bailey", env!("CARGO_PKG_VERSION").to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// CPUs of the machine; unlike [`cpus`], independent of this thread's affinity.
fn all_cpus() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with("processor"))
        .count()
}

/// Number of CPUs that this thread may run on.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

fn line_of(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim().to_owned()
}

/// CPU model name from /proc/cpuinfo.
pub(crate) fn cpu_model() -> String {
    let line = line_of("/proc/cpuinfo", "model name");
    line.trim_start_matches(':').trim().to_owned()
}

fn last_level_cache() -> String {
    let size = |index| {
        read(&format!(
            "/sys/devices/system/cpu/cpu0/cache/index{index}/size"
        ))
    };
    let sizes = (0..5).rev().map(size);
    sizes
        .into_iter()
        .find(|size| !size.is_empty())
        .unwrap_or_default()
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
