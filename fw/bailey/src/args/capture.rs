//! Arguments of `capture`.

use std::path::PathBuf;

use bailey_control::api_records::RecordFilter;
use clap::Args;

use super::{ConfigArgs, RecordFilterArgs, RecordFormat};
use crate::ttl;

/// Arguments of `capture`. The capture ends at the first limit that is reached.
#[derive(Debug, Clone, Args)]
pub struct CaptureArgs {
    /// The Bailey to query.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Write pcapng to this file, or to standard output (-). Without it, print one line per frame.
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Only frames that are dropped.
    #[arg(long, conflicts_with_all = ["passed", "all", "verdict"])]
    pub drops: bool,
    /// Only frames that pass.
    #[arg(long, conflicts_with_all = ["all", "verdict"])]
    pub passed: bool,
    /// All frames: the default.
    #[arg(long)]
    pub all: bool,
    /// End after this number of frames.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// End when the file has this size: bytes, or a number with K, M or G.
    #[arg(long, default_value = "64M", value_parser = parse_size)]
    pub size: u64,
    /// End after this time, as in 90s, 5m or 2h.
    #[arg(long, default_value = "60s", value_parser = ttl::parse_seconds)]
    pub duration: u64,
    /// Bytes of each frame to keep.
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65000))]
    pub snaplen: u32,
    /// Format of lines.
    #[arg(short, long, value_enum, conflicts_with = "write")]
    pub output: Option<RecordFormat>,
    /// Show addresses instead of the names of endpoints, in lines.
    #[arg(long)]
    pub numeric: bool,
    /// The filter.
    #[command(flatten)]
    pub filter: RecordFilterArgs,
}

impl CaptureArgs {
    /// The filter as the API has it, with the verdicts that the command line asks for.
    pub(crate) fn record_filter(&self) -> RecordFilter {
        let mut filter = self.filter.record_filter();
        for (is_set, verdict) in [(self.drops, "drop"), (self.passed, "pass")] {
            if is_set {
                filter.verdict.push(verdict.to_owned());
            }
        }
        filter
    }
}

/// Bytes, or a number with K, M or G (powers of 1024).
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("expected a number of bytes, or one with K, M or G, as in 64M".to_owned()),
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0);
    let size = number.and_then(|number| number.checked_mul(1 << shift));
    size.ok_or_else(|| "expected a number of bytes, or one with K, M or G, as in 64M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, size) in [("1", 1), ("64M", 64 << 20), ("2k", 2048), ("1G", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(size));
        }
        for text in [
            "",
            "0",
            "M",
            "1T",
            "-1",
            "1.5M",
            "99999999999999999999",
            "18446744073709551615G",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
