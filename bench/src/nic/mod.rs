//! RFC 2544 measurements between two NICs, real or in a lab of veth pairs.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bailey_datapath::kernel::af_xdp::CopyPolicy;
use bailey_nic::frame::{DESTINATION, ECHO_PORT, SOURCE};
use bailey_nic::mix::Mix;
use bailey_nic::rfc2544::Plan;
use bailey_nic::tester::{Options, Tester};
use clap::{Args, ValueEnum};

use crate::results::Measurement;
use measured_link::MeasuredLink;
use series::Series;

mod lab;
/// A path between two NICs, and its tester.
mod measured_link;
/// A series of runs.
mod series;

const GROUP: &str = "nic";

/// The defaults take one to three hours. For final results, RFC 2544 requires `--duration 60` and
/// `--bursts 50`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Interface that sends the frames
    #[arg(long, required_unless_present = "lab", requires = "rx")]
    tx: Option<String>,
    /// Interface that receives the frames
    #[arg(long, requires = "tx")]
    rx: Option<String>,
    /// Measure a lab of veth pairs instead: once with a cable between them, once with Bailey
    #[arg(long, conflicts_with_all = ["tx", "rx"])]
    lab: bool,
    /// Frame sizes in bytes with FCS (64, or 128v6 for IPv6), or mixes: imix, edge, datacenter
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "64,128,256,512,1024,1280,1518,imix"
    )]
    frame: Vec<Mix>,
    /// Number of different 5-tuples
    #[arg(long, default_value_t = 1)]
    flows: u32,
    /// Duration of a trial, in seconds
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    duration: f64,
    /// Number of runs; the report shows the median
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Searches for the longest burst, in each run
    #[arg(long, default_value_t = 5)]
    bursts: u32,
    /// How long a trial waits for late frames, in seconds
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    settle: f64,
    /// Maximum rate in frames per second; default: line rate
    #[arg(long)]
    rate: Option<f64>,
    /// Precision of the throughput search, in percent
    #[arg(long, default_value_t = 1.0)]
    resolution: f64,
    /// Run only these procedures
    #[arg(long, value_delimiter = ',', default_values_t = Procedure::ALL)]
    only: Vec<Procedure>,
    /// Sending queues, one thread each; 0: half the number of CPUs
    #[arg(long, default_value_t = 0)]
    queues: u32,
    /// CPUs of the threads, senders first
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// Whether the kernel may copy frames
    #[arg(long, value_enum, default_value_t = CopyMode::IfNeeded)]
    copies: CopyMode,
    /// MAC of the router that frames are sent to
    #[arg(long, value_parser = mac)]
    via: Option<[u8; 6]>,
    /// MAC of that router on the receiving side, for the replies that establish flows
    #[arg(long, value_parser = mac)]
    via_back: Option<[u8; 6]>,
    /// Source addresses are in the /16 around this address
    #[arg(long, default_value_t = SOURCE)]
    source: Ipv4Addr,
    /// Destination address of frames
    #[arg(long, default_value_t = DESTINATION)]
    destination: Ipv4Addr,
    /// Destination UDP port
    #[arg(long, default_value_t = ECHO_PORT)]
    port: u16,
    /// Use an interface even if it has an address or a default route
    #[arg(long)]
    force: bool,
    /// Name of the system under test, for the report
    #[arg(long, default_value = "link")]
    name: String,
    /// Output file (JSON)
    #[arg(long, default_value = "target/bench/nic.json")]
    pub(crate) json: PathBuf,
}

/// The procedures of RFC 2544, section 26.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Procedure {
    Throughput,
    Loss,
    Bursts,
    Latency,
}

impl Procedure {
    const ALL: [Self; 4] = [Self::Throughput, Self::Loss, Self::Bursts, Self::Latency];
}

impl std::fmt::Display for Procedure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |name| name.get_name()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CopyMode {
    IfNeeded,
    Always,
    Never,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be 0.001 to 86400 seconds".into()),
    }
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|byte| {
            u8::from_str_radix(byte, 16)
                .ok()
                .filter(|_| byte.len() == 2)
        })
        .collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "not a MAC address; expected six hex bytes such as 02:00:00:00:00:01".into())
}

impl Arguments {
    fn options(&self, [sending, receiving]: [&str; 2]) -> Options {
        Options {
            sending: sending.to_owned(),
            receiving: receiving.to_owned(),
            force: self.force,
            copies: match self.copies {
                CopyMode::IfNeeded => CopyPolicy::IfNeeded,
                CopyMode::Always => CopyPolicy::Always,
                CopyMode::Never => CopyPolicy::Never,
            },
            queues: self.queues,
            cpus: self.cpus.clone(),
            flows: self.flows,
            via: self.via,
            via_back: self.via_back,
            source: self.source,
            destination: self.destination,
            port: self.port,
            settle: Duration::from_secs_f64(self.settle),
        }
    }

    /// The plan of a tester: line rate or `--rate`, duration, precision.
    fn plan(&self, tester: &Tester) -> Plan {
        let speed = tester.ports[0].speed;
        let line = speed.map_or(f64::INFINITY, |speed| {
            tester.mix().line_rate(speed as f64 * 1e6)
        });
        Plan {
            line_rate: line.min(self.rate.unwrap_or(f64::INFINITY)),
            duration: Duration::from_secs_f64(self.duration),
            resolution: self.resolution / 100.0,
        }
    }

    /// Estimated duration of all trials.
    fn estimate(&self, links: usize) -> Duration {
        // A search takes about eight trials; trials of bursts are shorter.
        let trials = 8.0 + 5.0 + f64::from(self.bursts) * 5.0 + 1.0;
        let each = trials * (self.duration + self.settle);
        let times = self.runs as usize * self.frame.len() * links;
        Duration::from_secs_f64(each * times as f64)
    }
}

/// Runs all procedures, and prints the results of each frame size when they are complete.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Measurement>> {
    ensure!(
        (0.01..=50.0).contains(&arguments.resolution),
        "--resolution must be 0.01 to 50 percent"
    );
    ensure!(
        arguments.rate.is_none_or(|rate| rate >= 1.0),
        "--rate must be at least one frame per second"
    );
    ensure!(arguments.runs > 0, "--runs must be at least 1");
    let Some(first) = arguments.frame.first() else {
        bail!("--frame is empty; name a size or a mix");
    };
    let links = match (&arguments.tx, &arguments.rx) {
        (Some(tx), Some(rx)) => {
            let tester = Tester::open(arguments.options([tx, rx]), first.clone());
            let tester = tester.with_context(|| format!("cannot measure from {tx} to {rx}"))?;
            vec![MeasuredLink::here(&arguments.name, tester)]
        }
        _ => lab::links(arguments, first)?,
    };
    for link in &links {
        println!("{}: {}", link.name, link.describe());
    }
    let minutes = arguments.estimate(links.len()).as_secs().div_ceil(60);
    println!("estimated time: {minutes} minutes; long searches can double it\n");
    let mut results = Vec::new();
    for mix in &arguments.frame {
        let mut all: Vec<Series> = links.iter().map(|_| Series::default()).collect();
        for link in &links {
            link.load(mix.clone());
        }
        for _ in 0..arguments.runs {
            for (link, series) in links.iter().zip(&mut all) {
                let values = link.measure(arguments)?;
                series.add(values);
            }
        }
        for (link, series) in links.iter().zip(all) {
            let measured = series.measured(&mix.name, &link.name);
            measured.iter().for_each(Measurement::print);
            if let Some(limit) = measured.iter().find_map(|one| one.reason.as_deref()) {
                println!("{:<22} {:<18} limited by {limit}", mix.name, link.name);
            }
            results.extend(measured);
        }
    }
    Ok(results)
}
