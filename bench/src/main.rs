//! Benchmarks. They print what they measured; nothing here passes or fails.
#![forbid(unsafe_code)]

mod cluster;
mod edit;
mod memory;
mod sweep;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Benchmarks of Bailey; as root.
#[derive(Debug, Parser)]
#[command(name = "bailey-bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// From an edited policy to the commit, at the size of a demo and of a large cluster.
    Edit {
        /// Workloads of the large cluster.
        #[arg(long, default_value_t = 100_000)]
        workloads: usize,
        /// Its policies, each with a CIDR of its own.
        #[arg(long, default_value_t = 10_000)]
        policies: usize,
    },
    /// Write a large cluster's files, for `bailey check`.
    Cluster {
        /// Where to; must exist.
        directory: std::path::PathBuf,
        /// Its workloads.
        #[arg(long, default_value_t = 100_000)]
        workloads: usize,
        /// Its policies.
        #[arg(long, default_value_t = 10_000)]
        policies: usize,
    },
    /// One pass of the sweeper over a table with live flows.
    Sweep {
        /// Flows in it.
        #[arg(long, default_value_t = 1_000_000)]
        flows: u32,
    },
}

fn main() -> Result<()> {
    match Cli::parse().what {
        What::Edit {
            workloads,
            policies,
        } => edit::run(workloads, policies),
        What::Cluster {
            directory,
            workloads,
            policies,
        } => {
            let bytes = cluster::write(&directory, workloads, policies)?;
            println!("{bytes} bytes in {}", directory.display());
            Ok(())
        }
        What::Sweep { flows } => sweep::run(flows),
    }
}
