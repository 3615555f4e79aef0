//! Benchmarks. They print what they measured; nothing here passes or fails.
#![forbid(unsafe_code)]

/// A large cluster's files.
mod cluster;
/// From a file to the packets that it is about.
mod control;
mod cpu_contention;
/// The daemon, on a wire.
mod daemon_under_test;
/// A packet at the egress hook.
mod egress;
/// The programs, with nothing to judge by.
mod empty_datapath;
/// Command the numbers are to show.
mod goals;
/// Where it was measured.
mod machine;
/// Command this process holds.
mod memory;
/// Command is between two NICs.
mod nic;
/// BPF objects, but Bailey's own.
mod object;
/// Policies that several systems hold.
mod policies;
/// Command a packet costs a program.
mod program;
/// Fails if the programs have become slower.
mod regression_check;
/// Command was measured, for people.
mod report;
/// Command was measured, as JSON.
mod results;
/// A pass of the sweeper.
mod sweep;
/// Command tells packets apart.
mod tuples;
/// Through a device under test.
mod wire;
/// Somebody else's filter.
mod xdp_filter;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use results::Report;

/// Benchmarks of Bailey; as root.
#[derive(Debug, Parser)]
#[command(name = "bailey-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Command a packet costs the programs, beside others in the same run.
    Program {
        /// The results, as JSON.
        #[arg(long, default_value = "target/bench/program.json")]
        json: PathBuf,
        /// Only scenarios with this in their names.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Command goes over a wire through each system, in the same run.
    Wire {
        /// The results, as JSON.
        #[arg(long, default_value = "target/bench/wire.json")]
        json: PathBuf,
        /// Only scenarios with this in their names.
        #[arg(long, default_value = "")]
        only: String,
        /// Only these systems.
        #[arg(long, value_delimiter = ',')]
        systems: Vec<String>,
    },
    /// From an edited file to the first packet judged by it, a restart, memory, and packets meanwhile.
    Control {
        /// The results, as JSON.
        #[arg(long, default_value = "target/bench/control.json")]
        json: PathBuf,
        /// Only scenarios with this in their names.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Command is between two NICs, as RFC 2544 says: throughput, loss, bursts and latency.
    Nic(Box<nic::Arguments>),
    /// Fail if the programs have become slower than a record, beside the reference.
    Check {
        /// Command a kind of CPU is held to.
        #[arg(default_value = "docs/ratios.json")]
        records: PathBuf,
        /// Write the record of this kind of CPU instead.
        #[arg(long)]
        record: bool,
    },
    /// Tables and figures of what was measured.
    Report {
        /// Where the results are, and where the report goes.
        #[arg(long, default_value = "target/bench")]
        folder: PathBuf,
        /// Write the record, its tables and its chart to this folder.
        #[arg(long)]
        docs: Option<PathBuf>,
        /// Write the tables and the chart again from the record in --docs; reads no new results.
        #[arg(long, requires = "docs", conflicts_with = "folder")]
        recorded: bool,
    },
    /// Write a large cluster's files, for `bailey check`.
    Cluster {
        /// Where to; must exist.
        directory: PathBuf,
        /// Its workloads.
        #[arg(long, default_value_t = 100_000)]
        workloads: usize,
        /// Its policies.
        #[arg(long, default_value_t = 10_000)]
        policies: usize,
    },
    /// The egress hook's look-up of a packet that XDP has judged already.
    Egress,
    /// One pass of the sweeper over a table with live flows.
    Sweep {
        /// Flows in it.
        #[arg(long, default_value_t = 1_000_000)]
        flows: u32,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Program { json, only } => Report::new(program::run(&only)?).write(&json),
        Command::Wire {
            json,
            only,
            systems,
        } => Report::new(wire::run(&only, &systems)?).write(&json),
        Command::Control { json, only } => Report::new(control::run(&only)?).write(&json),
        Command::Nic(arguments) => Report::new(nic::run(&arguments)?).write(&arguments.json),
        Command::Check { records, record } if record => regression_check::record(&records),
        Command::Check { records, .. } => regression_check::check(&records),
        Command::Report {
            docs: Some(docs),
            recorded: true,
            ..
        } => report::redraw(&docs),
        Command::Report { folder, docs, .. } => report::run(&folder, docs.as_deref()),
        Command::Cluster {
            directory,
            workloads,
            policies,
        } => {
            let bytes = cluster::write(&directory, workloads, policies)?;
            println!("{bytes} bytes in {}", directory.display());
            Ok(())
        }
        Command::Egress => egress::run(),
        Command::Sweep { flows } => sweep::run(flows),
    }
}
