mod check;
mod explain;
mod test;

#[cfg(target_os = "linux")]
mod query;
#[cfg(target_os = "linux")]
mod block;
#[cfg(target_os = "linux")]
mod conntrack;
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
mod rules;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod status;

use crate::args::{Cli, Verb};
use crate::exit::Exit;

/// Runs the verb that was asked for.
pub(crate) fn dispatch(cli: Cli) -> Exit {
    match cli.verb {
        Verb::Check(options) => check::check(&options),
        Verb::Explain(options) => explain::explain(&options),
        Verb::Test(options) => test::test(&options),
        #[cfg(target_os = "linux")]
        Verb::Run(options) => run::run(&options),
        #[cfg(target_os = "linux")]
        Verb::Status(options) => status::status(&options),
        #[cfg(target_os = "linux")]
        Verb::Doctor(options) => doctor::doctor(&options),
        #[cfg(target_os = "linux")]
        Verb::Detach(options) => detach::detach(&options),
        #[cfg(target_os = "linux")]
        Verb::Rules(options) => rules::rules(&options),
        #[cfg(target_os = "linux")]
        Verb::Conntrack {
            verb: crate::args::Conntrack::List(options),
        } => conntrack::list(&options),
        #[cfg(target_os = "linux")]
        Verb::Conntrack {
            verb: crate::args::Conntrack::Stats(options),
        } => conntrack::stats(&options),
        #[cfg(target_os = "linux")]
        Verb::Counters(options) => counters::counters(&options),
        #[cfg(target_os = "linux")]
        Verb::Block(options) => block::block(&options),
        #[cfg(target_os = "linux")]
        Verb::Unblock(options) => block::unblock(&options),
        #[cfg(target_os = "linux")]
        Verb::Blocks(options) => block::list(&options),
    }
}
