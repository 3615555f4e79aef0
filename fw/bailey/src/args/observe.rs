//! Arguments of `observe`. Filters have the names that `hubble observe` gives them.

use std::time::SystemTime;

use bailey_config::prefix::parse_or_address;
use bailey_control::api_records::RecordFilter;
use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::ConfigArgs;
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
    /// The filter.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Filters. Each takes several values, separated by commas or by repetition.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Source or destination in this address or prefix.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = parse_or_address)]
    pub ip: Vec<IpNet>,
    /// Source in this address or prefix.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = parse_or_address)]
    pub from_ip: Vec<IpNet>,
    /// Destination in this address or prefix.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = parse_or_address)]
    pub to_ip: Vec<IpNet>,
    /// Source or destination port.
    #[arg(long, value_delimiter = ',')]
    pub port: Vec<u16>,
    /// Source port.
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub from_port: Vec<u16>,
    /// Destination port.
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub to_port: Vec<u16>,
    /// Protocol: TCP, UDP, SCTP, ICMP, ICMPv6 or a number.
    #[arg(long, value_delimiter = ',')]
    pub protocol: Vec<String>,
    /// TCP flags that are all set, such as SYN+ACK.
    #[arg(long, value_name = "FLAGS", value_delimiter = ',')]
    pub tcp_flags: Vec<String>,
    /// Verdict: pass (or forwarded), drop (or dropped).
    #[arg(long, value_delimiter = ',')]
    pub verdict: Vec<String>,
    /// Reason, as `counters` names it.
    #[arg(long, alias = "drop-reason-desc", value_delimiter = ',')]
    pub reason: Vec<String>,
    /// A rule that decided, or any rule of this policy (NAMESPACE/NAME).
    #[arg(
        long,
        visible_alias = "policy",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub rule: Vec<String>,
    /// Interface.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub interface: Vec<String>,
    /// Direction as seen from this machine: ingress or egress.
    #[arg(long, value_name = "DIRECTION", value_delimiter = ',')]
    pub traffic_direction: Vec<String>,
    /// IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only.
    #[arg(short = '6', long)]
    pub ipv6: bool,
}

impl FilterArgs {
    /// The filter as the API has it.
    pub(crate) fn filter(&self) -> RecordFilter {
        let args = self.clone();
        let versions = [(args.ipv4, 4), (args.ipv6, 6)];
        let versions = versions.into_iter().filter(|(is_set, _)| *is_set);
        RecordFilter {
            ip: args.ip,
            from_ip: args.from_ip,
            to_ip: args.to_ip,
            port: args.port,
            from_port: args.from_port,
            to_port: args.to_port,
            protocol: args.protocol,
            tcp_flags: args.tcp_flags,
            verdict: args.verdict,
            reason: args.reason,
            rule: args.rule,
            interface: args.interface,
            traffic_direction: args.traffic_direction,
            ip_version: versions.map(|(_, version)| version).collect(),
        }
    }
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
