//! Filters of packets, with the names that `hubble observe` gives them. `--not` reverses the filter behind
//! it.

use std::ffi::OsString;

use bailey_config::prefix::parse_or_address;
use bailey_control::api_records::RecordFilter;
use clap::{Args, Parser};
use ipnet::IpNet;

/// Commands whose filters `--not` reverses.
const COMMANDS: [&str; 2] = ["observe", "capture"];

/// Filters, and those behind `--not`.
#[derive(Debug, Clone, Args)]
pub struct RecordFilterArgs {
    /// The filter.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Reverse the next filter: `--not --port 53`.
    #[arg(long = "not", help_heading = "Filters")]
    pub dangling_not: bool,
    /// The filters behind `--not`; none of their values may match.
    #[arg(skip)]
    pub not: Option<FilterArgs>,
}

/// Filters behind `--not`, as a command line of their own.
#[derive(Debug, Parser)]
#[command(name = "--not", no_binary_name = true, disable_help_flag = true)]
struct NotArgs {
    #[command(flatten)]
    filter: FilterArgs,
}

/// Takes the filters that follow `--not` out of a command line. A `--not` without a filter stays.
pub(crate) fn split_not(arguments: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let command = arguments.get(1).map(|command| command.to_string_lossy());
    if command.is_none_or(|command| !COMMANDS.contains(&&*command)) {
        return (arguments, Vec::new());
    }
    let (mut others, mut reversed) = (Vec::new(), Vec::new());
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let is_filter = |next: &OsString| next.to_string_lossy().starts_with('-');
        if argument != "--not" || !rest.peek().is_some_and(is_filter) {
            others.push(argument);
            continue;
        }
        let filter = rest.next().unwrap_or_default();
        let text = filter.to_string_lossy().into_owned();
        let is_alone = text.contains('=') || ["-4", "-6", "--ipv4", "--ipv6"].contains(&&*text);
        reversed.push(filter);
        if !is_alone {
            reversed.extend(rest.next());
        }
    }
    (others, reversed)
}

impl RecordFilterArgs {
    /// Parses the filters behind `--not`.
    ///
    /// # Errors
    /// As clap reports them.
    pub(crate) fn add_not(&mut self, reversed: Vec<OsString>) -> Result<(), clap::Error> {
        if self.dangling_not {
            let message =
                "--not: no filter follows; write it before a filter, as in --not --port 53\n";
            return Err(clap::Error::raw(
                clap::error::ErrorKind::MissingRequiredArgument,
                message,
            ));
        }
        if !reversed.is_empty() {
            let parsed = NotArgs::try_parse_from(reversed).map_err(|error| {
                let text = error.to_string();
                let first = text.lines().next().unwrap_or_default();
                let hint = "--not reverses the filter behind it, as in --not --port 53";
                clap::Error::raw(error.kind(), format!("{first}; {hint}\n"))
            })?;
            self.not = Some(parsed.filter);
        }
        Ok(())
    }

    /// The filter as the API has it.
    pub(crate) fn record_filter(&self) -> RecordFilter {
        RecordFilter {
            not: self.not.as_ref().map(|not| Box::new(not.filter())),
            ..self.filter.filter()
        }
    }
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
    /// Namespace of either end.
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub namespace: Vec<String>,
    /// Either end: NAMESPACE/NAME, or the beginning of a name in any namespace.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub pod: Vec<String>,
    /// Source, as for --pod.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub from_pod: Vec<String>,
    /// Destination, as for --pod.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub to_pod: Vec<String>,
    /// Labels of either end: KEY or KEY=VALUE; joined by + if one end must have all of them.
    #[arg(short, long, value_name = "LABELS", value_delimiter = ',')]
    pub label: Vec<String>,
    /// Workload of either end: the label app.kubernetes.io/name, app or k8s-app, else the name.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub workload: Vec<String>,
    /// Class of the record: policy, drop, defence or pass.
    #[arg(
        short = 't',
        long = "type",
        value_name = "CLASS",
        value_delimiter = ','
    )]
    pub class: Vec<String>,
    /// IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only.
    #[arg(short = '6', long)]
    pub ipv6: bool,
}

impl FilterArgs {
    /// The filter as the API has it.
    fn filter(&self) -> RecordFilter {
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
            namespace: args.namespace,
            pod: args.pod,
            from_pod: args.from_pod,
            to_pod: args.to_pod,
            label: args.label,
            workload: args.workload,
            class: args.class,
            not: None,
        }
    }
}
