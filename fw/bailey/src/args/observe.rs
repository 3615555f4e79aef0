//! Arguments of `observe`.

use std::time::SystemTime;

use clap::{Args, ValueEnum};

use super::{ConfigArgs, RecordFilterArgs};
use crate::ttl;

/// Format of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum RecordFormat {
    /// One line per record.
    #[default]
    Compact,
    /// One field per line.
    Dict,
    /// Columns that fit the terminal.
    Table,
    /// One JSON object per line.
    Json,
}

/// Arguments of `observe`. All filters must match, and of each filter one value.
#[derive(Debug, Clone, Args)]
pub struct ObserveArgs {
    /// The Bailey to query.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Show the last N records that match; 20 if neither N nor a time is given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub last: Option<u64>,
    /// Show the first N records that match.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "last")]
    pub first: Option<u64>,
    /// Show all records that match.
    #[arg(long, conflicts_with_all = ["last", "first"])]
    pub all: bool,
    /// Continue with the records of later packets, until interrupted.
    #[arg(short, long, conflicts_with = "first")]
    pub follow: bool,
    /// Only records since this time: an age such as 5m, or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub since: Option<SystemTime>,
    /// Only records until this time.
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "follow")]
    pub until: Option<SystemTime>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: RecordFormat,
    /// Show addresses instead of the names of endpoints.
    #[arg(long)]
    pub numeric: bool,
    /// The filter.
    #[command(flatten)]
    pub filter: RecordFilterArgs,
}

/// An age, or a time.
fn parse_time(text: &str) -> Result<SystemTime, String> {
    let now = bailey_clock::wall();
    if let Ok(seconds) = ttl::parse_seconds(text) {
        return Ok(now - std::time::Duration::from_secs(seconds));
    }
    let time = bailey_clock::parse_rfc3339(text).map_err(|_| {
        "expected an age such as 90s, 5m, 2h or 1d (at most 30d), or a time such as 2026-01-31T12:00:00Z"
    })?;
    if time > now {
        return Err("this time is in the future".to_owned());
    }
    Ok(time)
}
