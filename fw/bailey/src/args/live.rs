//! Arguments of the commands that start, stop or query a running Bailey.

use std::path::PathBuf;

use bailey_config::prefix::parse_or_address;
use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;

use super::{ConfigArgs, Format, ListArgs, QueryArgs, WatchArgs};
use crate::ttl;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration to run with.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Replace XDP programs of other software instead of refusing their interfaces.
    #[arg(long)]
    pub replace: bool,
    /// Wait up to SECONDS seconds for interfaces that do not exist yet.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait_for_interfaces: u64,
}

/// Arguments of `detach`.
#[derive(Debug, Args)]
pub struct DetachArgs {
    /// Confirm that the interfaces will be unfiltered afterwards.
    #[arg(long, required = true)]
    pub yes_unfiltered: bool,
    /// The Bailey to detach.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Wait up to SECONDS seconds until Bailey is healthy, then show the status.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub wait: Option<u64>,
    /// The answer.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// Arguments of `selftest`.
#[derive(Debug, Clone, Args)]
pub struct SelfTestArgs {
    /// Number of packets.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub packets: u32,
    /// Choice of the packets; the same number chooses the same ones.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// The Bailey to test.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `bugreport`.
#[derive(Debug, Clone, Args)]
pub struct BugreportArgs {
    /// The archive; must not exist [default: bailey-report-TIME.tar here].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace addresses, and the names of endpoints, namespaces, policies, labels and this machine, each always
    /// by the same other one.
    #[arg(long)]
    pub redact: bool,
    /// The Bailey to report on.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `rules`.
#[derive(Debug, Clone, Args)]
pub struct RulesArgs {
    /// Show all details of one rule, or of the rules of one policy (NAMESPACE/NAME).
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Only rules without a packet for this time, such as 30d; also rules that never had one.
    #[arg(long, value_name = "AGE", value_parser = ttl::parse_seconds)]
    pub unused_since: Option<u64>,
    /// The list.
    #[command(flatten)]
    pub list: ListArgs,
}

/// Commands on the flow table.
#[derive(Debug, Subcommand)]
pub enum ConntrackCommand {
    /// List flows; unsorted without --sort.
    List(FlowListArgs),
    /// Show all that is known about the flows that match, a fact per line.
    ///
    /// Exits with 1 if no flow matches.
    Get(FlowGetArgs),
    /// End the flows that match: their next packets are evaluated as the first of new flows.
    ///
    /// Exits with 1 if no flow matches. Needs root; works without the daemon. Counters of rules keep the packets
    /// of ended flows. TCP connections of isolated endpoints end, because only a SYN creates their flows.
    Delete(FlowDeleteArgs),
    /// End all flows.
    Flush(FlushArgs),
    /// Show the addresses and ports with most flows.
    Top(TopArgs),
    /// Show how full the table is, flows by state, events of flows, and when the table will be full.
    Stats(QueryArgs),
}

/// Arguments of `conntrack top` and `top`.
#[derive(Debug, Clone, Args)]
pub struct TopArgs {
    /// The Bailey to query.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Rows of each list.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Repetition.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Arguments of `top`.
#[derive(Debug, Clone, Args)]
pub struct TalkersArgs {
    /// Print the talkers as tables. Without it, the console shows them.
    #[arg(short, long)]
    pub batch: bool,
    /// The lists.
    #[command(flatten)]
    pub top: TopArgs,
}

/// Filters of flows, all of which must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Filters")]
pub struct FlowFilterArgs {
    /// Only flows created from this address or prefix.
    #[arg(long, value_name = "CIDR", value_parser = parse_or_address)]
    pub src: Option<IpNet>,
    /// Only flows to this address or prefix.
    #[arg(long, value_name = "CIDR", value_parser = parse_or_address)]
    pub dst: Option<IpNet>,
    /// Only flows to this destination port.
    #[arg(long)]
    pub port: Option<u16>,
    /// Only flows of this protocol: TCP, UDP, SCTP, ICMP, ICMPv6 or a number.
    #[arg(long)]
    pub protocol: Option<String>,
    /// Only flows in this state, such as ESTABLISHED.
    #[arg(long)]
    pub state: Option<String>,
    /// Only flows that this rule, or a rule of this policy, decided at egress or ingress.
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
}

/// Arguments of `conntrack list`.
#[derive(Debug, Clone, Args)]
pub struct FlowListArgs {
    /// The filters.
    #[command(flatten)]
    pub filter: FlowFilterArgs,
    /// Only the first N flows by this column: short for --sort COLUMN --limit N.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["sort", "limit"])]
    pub top: Option<u32>,
    /// The column of --top.
    #[arg(
        long,
        value_name = "COLUMN",
        requires = "top",
        default_value = "bytes",
        ignore_case = true
    )]
    pub by: TopColumn,
    /// The list.
    #[command(flatten)]
    pub list: ListArgs,
}

/// Arguments of `conntrack get`.
#[derive(Debug, Clone, Args)]
pub struct FlowGetArgs {
    /// The filters; at least one.
    #[command(flatten)]
    pub filter: FlowFilterArgs,
    /// The Bailey to query.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// Arguments of `conntrack delete`.
#[derive(Debug, Clone, Args)]
pub struct FlowDeleteArgs {
    /// The filters; at least one.
    #[command(flatten)]
    pub filter: FlowFilterArgs,
    /// The Bailey whose flows end.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `conntrack flush`.
#[derive(Debug, Clone, Args)]
pub struct FlushArgs {
    /// Confirm that TCP connections of isolated endpoints end.
    #[arg(long, required = true)]
    pub yes: bool,
    /// The Bailey whose flows end.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Columns of `conntrack list --top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TopColumn {
    /// Bytes in both directions.
    Bytes,
    /// Packets from the initiator.
    Packets,
    /// Time since the last packet.
    Idle,
    /// Time until the flow expires.
    Left,
    /// Bytes per second in both directions, measured for a second.
    Rate,
}
