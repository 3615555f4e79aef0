//! The command line as clap parses it. Doc comments of commands, options and values are the text of
//! `--help`.

use clap::{Parser, Subcommand};

/// `block`, `unblock`.
mod block;
/// `capture`.
mod capture;
/// Options that several commands share.
mod common;
/// Arguments of commands that evaluate policies: `check`, `explain`, `test`.
mod evaluate;
/// Output formats, lists, repetition.
mod format;
/// Arguments of commands on a running Bailey: `run`, `detach`, `rules`, `conntrack`.
mod live;
/// `observe`.
mod observe;
/// Filters of packets.
mod record_filter;
/// `tui`.
#[cfg(target_os = "linux")]
mod tui;

pub use block::{BlockArgs, UnblockArgs};
pub use capture::CaptureArgs;
pub use common::{ConfigArgs, InputArgs};
pub use evaluate::{CheckArgs, EngineChoice, ExplainArgs, FailOn, TestArgs, TestFormat};
pub use format::{Format, ListArgs, ListFormat, QueryArgs, WatchArgs};
pub use live::{
    BugreportArgs, ConntrackCommand, DetachArgs, FlowDeleteArgs, FlowFilterArgs, FlowGetArgs,
    FlowListArgs, FlushArgs, RulesArgs, RunArgs, SelfTestArgs, StatusArgs, TalkersArgs, TopArgs,
    TopColumn,
};
pub use observe::{ObserveArgs, RecordFormat};
pub(crate) use record_filter::split_not;
pub use record_filter::{FilterArgs, RecordFilterArgs};
#[cfg(target_os = "linux")]
pub use tui::{Colours, Output, TuiArgs};

/// Enforces Kubernetes NetworkPolicy in XDP on bare metal.
#[derive(Debug, Parser)]
#[command(name = "bailey", version, arg_required_else_help = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Parse, validate and compile policies; offline, without root.
    ///
    /// Without a path, checks the policies of the configuration. Exits with 0 if they are valid, with 3
    /// if they are not.
    Check(CheckArgs),
    /// Show whether a connection is allowed, and which rules decide; without root.
    ///
    /// With a path, evaluates these files only. Without a path, evaluates the files of the configuration,
    /// and adds the state of the Bailey that runs here: flows, failsafe, blocks, floods, and the last packets
    /// of the connection. Exits with 0 if the connection is allowed, with 1 if it is denied.
    Explain(ExplainArgs),
    /// Run PolicyTest files: expected verdicts, stored next to the policies.
    ///
    /// Exits with 0 if all verdicts are as expected, with 1 if some are not, with 3 if a file is invalid.
    Test(TestArgs),
    /// Enforce policies on the configured interfaces, in the foreground.
    #[cfg(target_os = "linux")]
    Run(RunArgs),
    /// Show one screen of health: enforcement, interfaces, problems.
    ///
    /// Exits with 0 if Bailey is healthy, with 4 if no Bailey is loaded, with 9 if something is wrong: no
    /// enforcement, no daemon, a flood or a problem. Works without the daemon.
    #[cfg(target_os = "linux")]
    Status(StatusArgs),
    /// Examine the kernel and the NICs: missing features, their cost, the fix.
    ///
    /// Exits with 0 if every feature is present, with 9 if a feature is degraded, with 10 if a feature
    /// that Bailey needs is missing.
    #[cfg(target_os = "linux")]
    Doctor(ListArgs),
    /// Remove all programs, flows and counters of Bailey.
    ///
    /// Stops the daemon first. Works without the daemon.
    #[cfg(target_os = "linux")]
    Detach(DetachArgs),
    /// List rules with hits, packets and bytes; with a name, show all details.
    #[cfg(target_os = "linux")]
    Rules(RulesArgs),
    /// Show the flow table or its statistics.
    #[cfg(target_os = "linux")]
    Conntrack {
        /// The command on the flow table.
        #[command(subcommand)]
        command: ConntrackCommand,
    },
    /// Show how many packets passed or were dropped, by reason.
    #[cfg(target_os = "linux")]
    Counters(ListArgs),
    /// Show packets that the recorder has noted: denied, dropped, and first of a flow.
    ///
    /// Each CPU keeps the last packets of four classes: denied by policy, dropped otherwise, defence, passed.
    /// Packets of flows, ARP and neighbour discovery are not recorded. Works without the daemon, also after
    /// its end.
    #[cfg(target_os = "linux")]
    Observe(Box<ObserveArgs>),
    /// Capture frames with verdict, reason and rules, also those that are dropped.
    ///
    /// Covers ingress and egress of all interfaces of Bailey. Ends at the first limit that is reached. All
    /// packets take a slower path meanwhile. Works without the daemon; needs root.
    #[cfg(target_os = "linux")]
    Capture(Box<CaptureArgs>),
    /// Show everything at work, in a terminal: rules, flows, drops, talkers. ? shows the keys.
    ///
    /// Only reads. Needs the daemon, and ends with q.
    #[cfg(target_os = "linux")]
    Tui(TuiArgs),
    /// Show sources, targets, ports and rules with most dropped and new packets.
    ///
    /// Counts of the last one to two minutes, from the records of packets. Needs the daemon.
    #[cfg(target_os = "linux")]
    Top(TalkersArgs),
    /// Compare the loaded programs with the oracle, packet by packet, under the active policies.
    ///
    /// Sends the first packets of connections that the policies name, and of connections just beside, through
    /// the probe of the daemon. Changes and counts nothing. Exits with 1 if a verdict or a rule differs. Needs
    /// root and the daemon.
    #[cfg(target_os = "linux")]
    Selftest(SelfTestArgs),
    /// Write an archive for a report of a defect: status, doctor, counters, rules, records, configuration, log.
    #[cfg(target_os = "linux")]
    Bugreport(BugreportArgs),
    /// Drop all packets from and to an address for a limited time, established flows included.
    ///
    /// A block expires by itself, even without the daemon. Blocks are not stored on disk: a reboot or
    /// `detach` removes them. Failsafe entries still pass. Works without the daemon.
    #[cfg(target_os = "linux")]
    Block(BlockArgs),
    /// Remove blocks before they expire.
    ///
    /// Exits with 1 if an address was not blocked.
    #[cfg(target_os = "linux")]
    Unblock(UnblockArgs),
    /// List the active blocks with remaining time and reason.
    #[cfg(target_os = "linux")]
    Blocks(ListArgs),
}
