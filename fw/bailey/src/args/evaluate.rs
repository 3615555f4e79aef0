//! Arguments of the commands that evaluate policies and work on every system: `check`, `explain`, `test`.

use std::path::PathBuf;

use bailey_policytest::endpoint::NamedEndpoint;
use bailey_policytest::engine::Engine;
use clap::{Args, ValueEnum};

use super::{ConfigArgs, Format, InputArgs};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The files to check.
    #[command(flatten)]
    pub input: InputArgs,
    /// Also check whether these policies would cut off your SSH session to this machine.
    #[arg(long)]
    pub live: bool,
    /// Findings that make `check` fail, with exit code 3.
    #[arg(long, value_enum, default_value_t, value_name = "SEVERITY")]
    pub fail_on: FailOn,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// Findings that make `check` fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors: `run` would refuse these files.
    #[default]
    Errors,
    /// Errors and warnings: `run` only logs warnings.
    Warnings,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The files to evaluate.
    #[command(flatten)]
    pub input: InputArgs,
    /// Source: pod:NS/NAME, workload:NS/NAME, node:NAME or an IP address.
    #[arg(long, value_name = "ENDPOINT")]
    pub from: NamedEndpoint,
    /// Destination: the same forms as --from. Without it, and without a path: the last dropped packets of
    /// the address of --from.
    #[arg(long, value_name = "ENDPOINT")]
    pub to: Option<NamedEndpoint>,
    /// TCP, UDP, SCTP, ICMP or a protocol number.
    #[arg(long, default_value = "TCP")]
    pub protocol: String,
    /// Destination port: a number, or a port name of the destination.
    #[arg(long)]
    pub port: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// PolicyTest files, and directories that contain them; `-` is standard input.
    #[arg(required_unless_present = "files", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// More files and directories; the same as PATH, as in kubectl.
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Read sub-directories too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// The configuration whose settings apply.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Implementation that evaluates the cases.
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineChoice,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TestFormat,
}

/// Implementations that evaluate PolicyTests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// The oracle: the slow evaluator that defines the semantics.
    Oracle,
    /// The compiled tables, looked up in Rust.
    #[default]
    Tables,
    /// The BPF program, run by the kernel on generated packets; needs root.
    Kernel,
    /// All three; a difference between them is a failure.
    All,
}

impl EngineChoice {
    /// The chosen engines, in the order of their answers.
    pub fn engines(self) -> Vec<Engine> {
        match self {
            Self::Oracle => vec![Engine::Oracle],
            Self::Tables => vec![Engine::Tables],
            Self::Kernel => vec![Engine::Kernel],
            Self::All => vec![Engine::Oracle, Engine::Tables, Engine::Kernel],
        }
    }
}

/// Format of test results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// Failures and a summary.
    #[default]
    Table,
    /// JSON for programs.
    Json,
    /// JUnit XML for CI systems.
    Junit,
}
