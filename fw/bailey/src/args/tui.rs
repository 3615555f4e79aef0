//! Arguments of `tui`.

use bailey_tui::model::View;
use clap::{Args, ValueEnum};

use super::ConfigArgs;
use crate::ttl;

/// Arguments of `tui`.
#[derive(Debug, Clone, Args)]
pub struct TuiArgs {
    /// The view to begin with: overview, rules, flows, conntrack, drops, interfaces, talkers, blocks, changes or
    /// health.
    #[arg(long, value_name = "VIEW", default_value = "overview", value_parser = parse_view)]
    pub view: View,
    /// Print the rows of the view instead, without a terminal.
    #[arg(short, long)]
    pub batch: bool,
    /// Print so many times.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, requires = "batch", value_parser = clap::value_parser!(u64).range(1..))]
    pub times: u64,
    /// Time between two prints.
    #[arg(short, long, value_name = "TIME", default_value = "1s", requires = "batch", value_parser = ttl::parse_seconds)]
    pub delay: u64,
    /// Only ASCII characters; automatic where the locale is not UTF-8.
    #[arg(long)]
    pub ascii: bool,
    /// With -b: as text or as JSON, one document per print.
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        requires = "batch"
    )]
    pub output: Output,
    /// Let keys block sources (B) and end flows (x), after a confirmation; needs root.
    #[arg(long, conflicts_with = "batch")]
    pub rw: bool,
    /// Colours: `auto` has none with NO_COLOR.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: Colours,
    /// The Bailey to show.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// How `-b` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// As on a screen.
    Text,
    /// One JSON document per print.
    Json,
}

/// When there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colours {
    /// Unless NO_COLOR is set.
    Auto,
    /// In any case.
    Always,
    /// Bold only.
    Never,
}

fn parse_view(text: &str) -> Result<View, String> {
    View::named(text).ok_or_else(|| {
        let names: Vec<String> = View::ALL
            .iter()
            .map(|view| view.names().1.to_lowercase())
            .collect();
        let near = bailey_config::nearest::nearest(text, &names);
        format!("no view is named so{near}; views are {}", names.join(", "))
    })
}
