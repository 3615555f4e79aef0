use std::path::PathBuf;

use bailey_policytest::engine::Engine;
use bailey_policytest::endpoint::Target;
use clap::{Args, Parser, Subcommand, ValueEnum};

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
    ///
    /// Without a path: those of the configuration. Exits 0 if they are valid, 3 if not.
    Check(Check),
    /// Say whether a connection is allowed, and which rules decide; no root.
    ///
    /// With paths: what these files say. Without: what the files of the configuration say, and what a
    /// Bailey that runs here knows of it: blocks, failsafe, a flood, the live flow. Exits 0 if it is
    /// allowed, 1 if it is denied.
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
    /// Exits 0 if all is well, 4 if no Bailey is here, 9 if something is wrong: nothing is enforced, a flood,
    /// a problem, no daemon. Works without the daemon.
    #[cfg(target_os = "linux")]
    Status(Screen),
    /// Look at the kernel and the NICs: what is missing, what it costs, what to do.
    ///
    /// Exits 0 if all is well, 9 if a feature is degraded, 10 if something is missing that Bailey needs.
    #[cfg(target_os = "linux")]
    Doctor(Listing),
    /// Take Bailey off all interfaces, and forget flows and counters. Works without the daemon.
    #[cfg(target_os = "linux")]
    Detach(Detach),
    /// Show hits, packets and bytes of every rule, or all there is to say of some.
    #[cfg(target_os = "linux")]
    Rules(Rules),
    /// Show the flow table.
    #[cfg(target_os = "linux")]
    Conntrack {
        /// What to do with it.
        #[command(subcommand)]
        verb: Conntrack,
    },
    /// Show how many packets passed or were dropped, by reason.
    #[cfg(target_os = "linux")]
    Counters(Listing),
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
    Blocks(Listing),
}

/// Verbs on the flow table.
#[derive(Debug, Subcommand)]
pub enum Conntrack {
    /// List flows, in the order of the table unless --sort says another.
    List(Flows),
    /// How full the table is, and what happened to flows.
    Stats(Screen),
}

/// Which configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigFile {
    /// The configuration [default: /etc/bailey/bailey.toml, if it is there].
    #[arg(
        long,
        value_name = "FILE",
        env = "BAILEY_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
}

/// Where policies and inventory are, and how they are read.
#[derive(Debug, Clone, Args)]
pub struct Source {
    /// Files and directories with policies, pods, namespaces, nodes and workloads; `-` is standard input
    /// [default: `policies` of the configuration].
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// More of them, as kubectl has it.
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Look into sub-directories too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Warn about unknown fields and CIDRs with host bits instead of refusing them.
    #[arg(long)]
    pub lenient: bool,
    /// Whose settings hold.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Again and again.
#[derive(Debug, Clone, Default, Args)]
pub struct Watch {
    /// Show it again every so many seconds.
    #[arg(
        short = 'w',
        long = "watch",
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86_400),
    )]
    pub seconds: Option<u64>,
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people; as wide as the terminal.
    #[default]
    Table,
    /// For people, with all columns.
    Wide,
    /// For programs, in one piece.
    Json,
    /// For programs, one line each.
    Ndjson,
    /// For programs, in one piece.
    Yaml,
    /// Names alone.
    Name,
}

/// A list.
#[derive(Debug, Clone, Default, Args)]
pub struct Listing {
    /// The Bailey to ask.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ListFormat,
    /// By this column: numbers from the greatest, texts from a to z.
    #[arg(long, value_name = "COLUMN")]
    pub sort: Option<String>,
    /// The other way round.
    #[arg(short, long)]
    pub reverse: bool,
    /// No more than so many.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Leave the headers out.
    #[arg(long)]
    pub no_headers: bool,
    /// Again and again.
    #[command(flatten)]
    pub watch: Watch,
}

/// `rules`.
#[derive(Debug, Clone, Args)]
pub struct Rules {
    /// Say all there is to say of this rule, or of the rules of this policy (NAMESPACE/NAME).
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// How they are listed.
    #[command(flatten)]
    pub listing: Listing,
}

/// `conntrack list`.
#[derive(Debug, Clone, Args)]
pub struct Flows {
    /// Opened from this address or prefix.
    #[arg(long, value_name = "CIDR", value_parser = bailey_config::prefix::parse_or_address)]
    pub src: Option<ipnet::IpNet>,
    /// Opened to this address or prefix.
    #[arg(long, value_name = "CIDR", value_parser = bailey_config::prefix::parse_or_address)]
    pub dst: Option<ipnet::IpNet>,
    /// Opened to this port.
    #[arg(long)]
    pub port: Option<u16>,
    /// Of this protocol: TCP, UDP, SCTP, ICMP, ICMPv6 or a number.
    #[arg(long)]
    pub protocol: Option<String>,
    /// In this state, such as ESTABLISHED.
    #[arg(long)]
    pub state: Option<String>,
    /// Decided by this rule, or by a rule of this policy, on one side.
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
    /// How they are listed.
    #[command(flatten)]
    pub listing: Listing,
}

/// How an answer is printed that is no list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs.
    Yaml,
}

/// What makes `check` fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors: `run` would refuse these files.
    #[default]
    Errors,
    /// Warnings too: `run` would only log them.
    Warnings,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// What to read.
    #[command(flatten)]
    pub source: Source,
    /// Check this machine too: would these policies cut off the SSH session of the caller?
    #[arg(long)]
    pub live: bool,
    /// The findings that make `check` fail, with exit code 3.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub fail_on: FailOn,
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

impl EngineChoice {
    /// The engines of the choice, in the order of their answers.
    pub fn engines(self) -> Vec<Engine> {
        match self {
            Self::Oracle => vec![Engine::Oracle],
            Self::Tables => vec![Engine::Tables],
            Self::Kernel => vec![Engine::Kernel],
            Self::All => vec![Engine::Oracle, Engine::Tables, Engine::Kernel],
        }
    }
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
    /// PolicyTest files, and directories of them; `-` is standard input.
    #[arg(required_unless_present = "files", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// More of them, as kubectl has it.
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Look into sub-directories too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Whose settings hold.
    #[command(flatten)]
    pub config: ConfigFile,
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
    #[command(flatten)]
    pub config: ConfigFile,
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
    /// The Bailey to tell.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// The reason of a block, as long as its place in the map is.
fn reason(text: &str) -> Result<String, String> {
    const BYTES: usize = bailey_bpf::abi::BLOCK_NOTE as usize;
    match text.len() {
        0..=BYTES => Ok(text.to_owned()),
        bytes => Err(format!("{bytes} bytes, and at most {BYTES} are kept")),
    }
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
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = reason)]
    pub reason: String,
    /// Block the address that you are logged in from all the same.
    #[arg(long)]
    pub even_myself: bool,
    /// The Bailey to tell.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// `unblock`.
#[derive(Debug, Args)]
pub struct Unblock {
    /// Addresses and prefixes, as they were blocked.
    #[arg(
        value_name = "ADDRESS",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub addresses: Vec<String>,
    /// All there are.
    #[arg(long)]
    pub all: bool,
    /// The Bailey to tell.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// One screen.
#[derive(Debug, Clone, Args)]
pub struct Screen {
    /// The Bailey to ask.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Again and again.
    #[command(flatten)]
    pub watch: Watch,
}
