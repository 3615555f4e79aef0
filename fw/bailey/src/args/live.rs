//! Arguments of the commands that start, stop or query a running Bailey.

use bailey_config::prefix::parse_or_address;
use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::{ConfigArgs, ListArgs, QueryArgs};

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

/// Arguments of `rules`.
#[derive(Debug, Clone, Args)]
pub struct RulesArgs {
    /// Show all details of one rule, or of the rules of one policy (NAMESPACE/NAME).
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// The list.
    #[command(flatten)]
    pub list: ListArgs,
}

/// Commands on the flow table.
#[derive(Debug, Subcommand)]
pub enum ConntrackCommand {
    /// List flows; unsorted without --sort.
    List(FlowListArgs),
    /// Show how full the table is, flows by state, and events of flows.
    Stats(QueryArgs),
}

/// Arguments of `conntrack list`: filters, all of which must match.
#[derive(Debug, Clone, Args)]
pub struct FlowListArgs {
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
    /// The list.
    #[command(flatten)]
    pub list: ListArgs,
}
