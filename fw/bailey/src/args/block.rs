//! Arguments of the commands that change emergency blocks.

use std::path::PathBuf;

use clap::Args;

use super::ConfigArgs;

/// Arguments of `block`.
#[derive(Debug, Args)]
pub struct BlockArgs {
    /// Addresses and prefixes to block.
    #[arg(value_name = "ADDRESS", required_unless_present = "file")]
    pub addresses: Vec<String>,
    /// File with more addresses and prefixes, one per line; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Duration of the block: 90s, 15m, 2h or 7d; at most 30d.
    #[arg(long, value_name = "TIME", value_parser = crate::ttl::parse_seconds)]
    pub ttl: u64,
    /// Reason, shown by `blocks` and `status`.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = check_reason)]
    pub reason: String,
    /// Block an address even if your own SSH session uses it.
    #[arg(long)]
    pub even_myself: bool,
    /// The Bailey that blocks.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `unblock`.
#[derive(Debug, Args)]
pub struct UnblockArgs {
    /// Addresses and prefixes to unblock; a prefix must have the length that was blocked.
    #[arg(
        value_name = "ADDRESS",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub addresses: Vec<String>,
    /// Remove all blocks.
    #[arg(long)]
    pub all: bool,
    /// The Bailey that blocks.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Refuses a reason that does not fit into its field of the map.
fn check_reason(text: &str) -> Result<String, String> {
    const BYTES_MAX: usize = bailey_bpf::abi::BLOCK_NOTE as usize;
    match text.len() {
        0..=BYTES_MAX => Ok(text.to_owned()),
        bytes => Err(format!("has {bytes} bytes; at most {BYTES_MAX} fit")),
    }
}
