//! Benchmarks of Bailey. The subcommands measure and print; only `check` fails on a result.
#![forbid(unsafe_code)]

/// Files of a large cluster.
mod cluster;
/// Control plane: edit latency, restart time, memory, packet cost during commits.
mod control;
/// CPU contention: selects runs with the least of it.
mod cpu_contention;
/// The Bailey daemon in a test network.
mod daemon_under_test;
/// Cost of the egress hook per packet.
mod egress;
/// A datapath without policies.
mod empty_datapath;
/// Performance goals.
mod goals;
/// Description of the measuring machine.
mod machine;
/// Memory of processes.
mod memory;
/// RFC 2544 measurements between two NICs.
mod nic;
/// BPF objects loaded by libbpf.
mod object;
/// Policies that all systems under test can load.
mod policies;
/// Cost of BPF programs per packet.
mod program;
/// Fails if a ratio to the baseline is worse than recorded.
mod regression_check;
/// Tables, figures and the chart of results.
mod report;
/// Results as JSON.
mod results;
/// Cost of a sweeper pass.
mod sweep;
/// Tuples of addresses and ports.
mod tuples;
/// Packet rates and latencies through a device under test.
mod wire;
/// Debian's xdp-filter.
mod xdp_filter;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use results::Report;

/// Benchmarks of Bailey; needs root
#[derive(Debug, Parser)]
#[command(name = "bailey-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the CPU time per packet of BPF programs, side by side
    Program {
        /// Output file (JSON)
        #[arg(long, default_value = "target/bench/program.json")]
        json: PathBuf,
        /// Run only scenarios with this text in their names
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Measure packet rate, latency and connections through each system, side by side
    Wire {
        /// Output file (JSON)
        #[arg(long, default_value = "target/bench/wire.json")]
        json: PathBuf,
        /// Run only scenarios with this text in their names
        #[arg(long, default_value = "")]
        only: String,
        /// Run only these systems
        #[arg(long, value_delimiter = ',')]
        systems: Vec<String>,
    },
    /// Measure edit latency, restart time, memory, and packet cost during commits
    Control {
        /// Output file (JSON)
        #[arg(long, default_value = "target/bench/control.json")]
        json: PathBuf,
        /// Run only scenarios with this text in their names
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Measure the path between two NICs by RFC 2544: throughput, loss, bursts and latency
    Nic(Box<nic::Arguments>),
    /// Fail if Bailey's time relative to the LRU-hash/LPM baseline is worse than recorded
    Check {
        /// Recorded ratios by CPU model
        #[arg(default_value = "docs/ratios.json")]
        records: PathBuf,
        /// Record the ratios of this CPU model instead
        #[arg(long)]
        record: bool,
    },
    /// Write tables and figures of the results
    Report {
        /// Folder of the results and of the report
        #[arg(long, default_value = "target/bench")]
        folder: PathBuf,
        /// Write the record, its tables and its chart to this folder
        #[arg(long)]
        docs: Option<PathBuf>,
        /// Write the tables and the chart again from the record in --docs; reads no new results
        #[arg(long, requires = "docs", conflicts_with = "folder")]
        recorded: bool,
    },
    /// Write the files of a large cluster, for `bailey check`
    Cluster {
        /// Target folder; must exist
        directory: PathBuf,
        /// Number of workloads
        #[arg(long, default_value_t = 100_000)]
        workloads: usize,
        /// Number of policies
        #[arg(long, default_value_t = 10_000)]
        policies: usize,
    },
    /// Measure the flow lookup of the egress hook for a packet that XDP has already evaluated
    Egress,
    /// Measure a sweeper pass over a table with live flows
    Sweep {
        /// Number of flows
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
