//! Options that several commands share: the configuration, and the policy files to read.

use std::path::PathBuf;

use clap::Args;

/// The configuration file.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file [default: /etc/bailey/bailey.toml, if it exists].
    #[arg(
        long,
        value_name = "FILE",
        env = "BAILEY_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
}

/// Files with policies and inventory, and how to read them.
#[derive(Debug, Clone, Args)]
pub struct InputArgs {
    /// Files and directories with policies, pods, namespaces, nodes and workloads; `-` is standard input
    /// [default: `policies` of the configuration].
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// More files and directories; the same as PATH, as in kubectl.
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Read sub-directories too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Report unknown fields and CIDRs with host bits as warnings instead of errors.
    #[arg(long)]
    pub lenient: bool,
    /// The configuration whose settings apply.
    #[command(flatten)]
    pub config: ConfigArgs,
}
