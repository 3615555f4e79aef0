use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::target::Target;

/// Enforces Kubernetes NetworkPolicy in XDP on bare metal.
#[derive(Debug, Parser)]
#[command(name = "bailey", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Parse, validate and compile policies; offline, no root.
    Check(Check),
    /// Say whether a connection is allowed, and which rules decide; offline, no root.
    ///
    /// Exits 0 if it is allowed, 1 if it is denied.
    Explain(Explain),
    /// Run PolicyTest files: expected verdicts next to the policies.
    ///
    /// Exits 0 if all are as expected, 1 if some are not, 3 if a file is invalid.
    Test(Test),
    /// Enforce policies on the configured interfaces, in the foreground.
    #[cfg(target_os = "linux")]
    Run(Run),
    /// One screen of truth: what enforces, on which interfaces, and what is wrong.
    ///
    /// Exits 0 if all is well, 4 if nothing is enforced, 9 if it is and something is wrong. Works
    /// without the daemon.
    #[cfg(target_os = "linux")]
    Status(Read),
    /// Look at the kernel and the NICs: what is missing, what it costs, what to do.
    ///
    /// Exits 0 if all is well, 9 if a feature is degraded, 10 if something is missing that Bailey needs.
    #[cfg(target_os = "linux")]
    Doctor(Read),
    /// Take Bailey off all interfaces, and forget flows and counters. Works without the daemon.
    #[cfg(target_os = "linux")]
    Detach(Detach),
    /// Show hits, packets and bytes of every rule.
    #[cfg(target_os = "linux")]
    Rules(Read),
    /// Show the flow table.
    #[cfg(target_os = "linux")]
    Conntrack {
        /// What to do with it.
        #[command(subcommand)]
        verb: Conntrack,
    },
    /// Show how many packets passed or were dropped, by reason.
    #[cfg(target_os = "linux")]
    Counters(Read),
    /// Let nothing from or to an address pass for a while, established flows included.
    ///
    /// The block lapses by itself, also with the daemon dead; it is never saved, and gone after a
    /// reboot or `detach`. Failsafe entries pass all the same. Works without the daemon.
    #[cfg(target_os = "linux")]
    Block(Block),
    /// Lift blocks before their time.
    ///
    /// Exits 1 if one of them was not there.
    #[cfg(target_os = "linux")]
    Unblock(Unblock),
    /// Show what is blocked, for how long still, and why.
    #[cfg(target_os = "linux")]
    Blocks(Read),
}

/// Verbs on the flow table.
#[derive(Debug, Subcommand)]
pub enum Conntrack {
    /// List all flows.
    List(Read),
    /// How full the table is, and what happened to flows.
    Stats(Read),
}

/// Where policies and inventory are, and how they are read.
#[derive(Debug, Clone, Args)]
pub struct Source {
    /// Files and directories with policies, pods, namespaces, nodes and workloads.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Look into sub-directories too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Warn about unknown fields and CIDRs with host bits instead of refusing them.
    #[arg(long)]
    pub lenient: bool,
    /// Take limits and leniency from this configuration, as `run` would.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// What to read.
    #[command(flatten)]
    pub source: Source,
    /// Look at this machine too: would these policies cut off the SSH session of the caller?
    #[arg(long)]
    pub live: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// What to read.
    #[command(flatten)]
    pub source: Source,
    /// Who connects: pod:NS/NAME, workload:NS/NAME, node:NAME or an address.
    #[arg(long, value_name = "WHO")]
    pub from: Target,
    /// To whom.
    #[arg(long, value_name = "WHO")]
    pub to: Target,
    /// TCP, UDP, SCTP, ICMP or a protocol number.
    #[arg(long, default_value = "TCP")]
    pub protocol: String,
    /// Destination port, or a port name of the destination.
    #[arg(long)]
    pub port: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// Which implementation answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// The specification, evaluated naively.
    Oracle,
    /// The compiled tables, looked up in Rust.
    #[default]
    Tables,
    /// The BPF program, run by the kernel on built packets; needs root.
    Kernel,
    /// All three; a difference is a failure.
    All,
}

/// How test results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// For people: failures and a summary.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For CI systems.
    Junit,
}

/// `test`.
#[derive(Debug, Args)]
pub struct Test {
    /// PolicyTest files, and directories of them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Look into sub-directories too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// The configuration whose declared prefixes hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which implementation is asked.
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineChoice,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TestFormat,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/bailey/bailey.toml")]
    pub config: PathBuf,
    /// Take the place of another's XDP program instead of refusing an interface that has one.
    #[arg(long)]
    pub replace: bool,
    /// Wait so long for interfaces that do not exist yet.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait_for_interfaces: u64,
}

/// `detach`.
#[derive(Debug, Args)]
pub struct Detach {
    /// Says that you know: afterwards nothing is filtered.
    #[arg(long, required = true)]
    pub yes_unfiltered: bool,
    /// The configuration of the Bailey to detach: where its pins are.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `block`.
#[derive(Debug, Args)]
pub struct Block {
    /// Addresses and prefixes.
    #[arg(value_name = "ADDRESS", required_unless_present = "file")]
    pub addresses: Vec<String>,
    /// More of them, one per line; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// For how long: 90s, 15m, 2h or 7d.
    #[arg(long, value_name = "TIME", value_parser = crate::ttl::parse)]
    pub ttl: u64,
    /// Why; shown by `blocks`.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Block the address that you are logged in from all the same.
    #[arg(long)]
    pub even_myself: bool,
    /// The configuration of the Bailey to tell: where its pins are.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `unblock`.
#[derive(Debug, Args)]
pub struct Unblock {
    /// Addresses and prefixes, as they were blocked.
    #[arg(value_name = "ADDRESS", required_unless_present = "all")]
    pub addresses: Vec<String>,
    /// All there are.
    #[arg(long)]
    pub all: bool,
    /// The configuration of the Bailey to tell: where its pins are.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Verbs that read what a running Bailey has pinned.
#[derive(Debug, Args)]
pub struct Read {
    /// The configuration of the Bailey to ask: where its socket, its pins and its state are.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}
