//! Memory that the kernel can give without swapping.

use std::{fs, io};

/// `MemAvailable` of /proc/meminfo, in bytes.
///
/// # Errors
/// If the file cannot be read or lacks the line.
pub(crate) fn available_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    parse(&text).ok_or_else(|| io::Error::other("/proc/meminfo has no MemAvailable"))
}

fn parse(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text = "MemTotal:       24683672 kB\nMemAvailable:   23995988 kB\nBuffers: 1 kB\n";
        assert_eq!(parse(text), Some(23_995_988 * 1024));
        assert_eq!(parse("MemTotal: 1 kB\n"), None);
        assert!(available_bytes().unwrap() > 1 << 20);
    }
}
