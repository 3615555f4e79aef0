//! Output formats, and the options of commands that print lists or repeat their output.

use clap::{Args, ValueEnum};

use super::ConfigArgs;

/// Format of an answer that is not a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
    /// YAML for programs.
    Yaml,
}

/// Format of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns that fit the terminal.
    #[default]
    Table,
    /// All columns.
    Wide,
    /// One JSON document.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// One YAML document.
    Yaml,
    /// Names only, one per line.
    Name,
}

/// Repetition of the output.
#[derive(Debug, Clone, Default, Args)]
pub struct WatchArgs {
    /// Repeat the output every SECONDS seconds; every 2 seconds if no value is given.
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

/// A command that prints one answer.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// The Bailey to query.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Repetition.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// A command that prints a list.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// The Bailey to query.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ListFormat,
    /// Sort by this column: numbers in descending order, text in ascending order.
    #[arg(long, value_name = "COLUMN")]
    pub sort: Option<String>,
    /// Reverse the order.
    #[arg(short, long)]
    pub reverse: bool,
    /// Print at most N entries.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Omit the header line of tables.
    #[arg(long)]
    pub no_headers: bool,
    /// Repetition.
    #[command(flatten)]
    pub watch: WatchArgs,
}
