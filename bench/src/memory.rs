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

/// Memory that a process holds besides the BPF maps in its address space, in MiB. The kernel allocates
/// the pages of maps, and [`process_maps_mib`] counts them.
pub(crate) fn process_own_mib(process: &str) -> u64 {
    let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap_or_default();
    own_kib(&smaps) / 1024
}

fn own_kib(smaps: &str) -> u64 {
    let mut is_map = false;
    let mut kib = 0;
    for line in smaps.lines() {
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        if !first.ends_with(':') {
            is_map = line.ends_with("anon_inode:bpf-map");
        } else if first == "Rss:" && !is_map {
            kib += number_after(line, "Rss:");
        }
    }
    kib
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_bpf_maps_are_not_own_memory() {
        let smaps = "\
55d0c0000000-55d0c0100000 r-xp 00001000 fe:00 1234 /usr/bin/bailey
Size:               1024 kB
Rss:                 700 kB
7f0000000000-7f0008000000 rw-s 00000000 00:0e 1060 anon_inode:bpf-map
Size:             131072 kB
Rss:              131072 kB
7f0010000000-7f0010400000 rw-p 00000000 00:00 0
Rss:                4096 kB
";
        assert_eq!(own_kib(smaps), 700 + 4096);
        assert!(process_own_mib("self") <= process_mib("self", "VmRSS:"));
    }
}
