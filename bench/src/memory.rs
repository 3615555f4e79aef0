//! Memory of processes, from /proc.

use std::collections::BTreeMap;
use std::fs;

/// A field of /proc/self/status in MiB, such as `VmHWM:` (peak) or `VmRSS:` (current).
pub(crate) fn own_mib(line: &str) -> u64 {
    process_mib("self", line)
}

/// A field of /proc/PID/status in MiB.
pub(crate) fn process_mib(process: &str, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    number_after(&status, line) / 1024
}

/// Memory of all BPF maps that a process has open, in MiB.
pub(crate) fn process_maps_mib(process: &str) -> u64 {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo"));
    let mut maps = BTreeMap::new();
    for entry in entries.into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if text.contains("map_id:") {
            maps.insert(
                number_after(&text, "map_id:"),
                number_after(&text, "memlock:"),
            );
        }
    }
    maps.values().sum::<u64>() >> 20
}

fn number_after(text: &str, name: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    let number = found.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}
