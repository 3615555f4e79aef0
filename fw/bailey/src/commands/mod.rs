//! One file per command, and five that commands share: `query`, `flow_printer`, `record_lines`,
//! `record_printer`, `explain_live`.

mod check;
mod explain;
mod test;

#[cfg(target_os = "linux")]
mod block;
#[cfg(target_os = "linux")]
mod bugreport;
#[cfg(target_os = "linux")]
mod capture;
#[cfg(target_os = "linux")]
mod conntrack;
#[cfg(target_os = "linux")]
mod conntrack_delete;
#[cfg(target_os = "linux")]
mod conntrack_get;
#[cfg(target_os = "linux")]
mod counters;
#[cfg(target_os = "linux")]
mod detach;
#[cfg(target_os = "linux")]
mod doctor;
#[cfg(target_os = "linux")]
mod explain_live;
#[cfg(target_os = "linux")]
mod flow_printer;
#[cfg(target_os = "linux")]
mod observe;
#[cfg(target_os = "linux")]
mod query;
#[cfg(target_os = "linux")]
mod record_lines;
#[cfg(target_os = "linux")]
mod record_printer;
#[cfg(target_os = "linux")]
mod redaction;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod selftest;
#[cfg(target_os = "linux")]
mod status;
#[cfg(target_os = "linux")]
mod top;
#[cfg(target_os = "linux")]
mod tui;

use crate::args::Command;
#[cfg(target_os = "linux")]
use crate::args::ConntrackCommand;
use crate::exit::{Exit, end_with};

/// Runs a command and reports its error.
pub(crate) fn run_command(command: Command) -> Exit {
    let result = match command {
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Test(args) => test::test(&args),
        #[cfg(target_os = "linux")]
        Command::Run(args) => run::run(&args),
        #[cfg(target_os = "linux")]
        Command::Status(args) => status::show_status(&args),
        #[cfg(target_os = "linux")]
        Command::Doctor(args) => doctor::doctor(&args),
        #[cfg(target_os = "linux")]
        Command::Detach(args) => detach::detach(&args),
        #[cfg(target_os = "linux")]
        Command::Rules(args) => rules::show_rules(&args),
        #[cfg(target_os = "linux")]
        Command::Conntrack { command } => match command {
            ConntrackCommand::List(args) => conntrack::list_flows(&args),
            ConntrackCommand::Get(args) => conntrack_get::get_flows(&args),
            ConntrackCommand::Delete(args) => conntrack_delete::delete_flows(&args),
            ConntrackCommand::Flush(args) => conntrack_delete::flush_flows(&args),
            ConntrackCommand::Top(args) => top::show_flow_top(&args),
            ConntrackCommand::Stats(args) => conntrack::show_stats(&args),
        },
        #[cfg(target_os = "linux")]
        Command::Counters(args) => counters::list_counters(&args),
        #[cfg(target_os = "linux")]
        Command::Tui(args) => tui::tui(&args),
        #[cfg(target_os = "linux")]
        Command::Top(args) => top::show_talkers(&args),
        #[cfg(target_os = "linux")]
        Command::Observe(args) => observe::observe(&args),
        #[cfg(target_os = "linux")]
        Command::Capture(args) => capture::capture(&args),
        #[cfg(target_os = "linux")]
        Command::Selftest(args) => selftest::selftest(&args),
        #[cfg(target_os = "linux")]
        Command::Bugreport(args) => bugreport::write_report(&args),
        #[cfg(target_os = "linux")]
        Command::Block(args) => block::block(&args),
        #[cfg(target_os = "linux")]
        Command::Unblock(args) => block::unblock(&args),
        #[cfg(target_os = "linux")]
        Command::Blocks(args) => block::list_blocks(&args),
    };
    result.unwrap_or_else(|error| end_with(&error))
}
