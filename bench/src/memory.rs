use std::fs;

/// A line of /proc/self/status in MiB: `VmHWM` is the peak, `VmRSS` what is held now.
pub(crate) fn mebibytes(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|l| l.strip_prefix(line));
    let kibibytes = found.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() / 1024
}
