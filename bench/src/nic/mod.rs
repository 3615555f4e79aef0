//! What is between two NICs, as RFC 2544 says: of real ones, or in a lab.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bailey_datapath::kernel::xsk::Copies;
use bailey_nic::frame::{DESTINATION, ECHO_PORT, SOURCE};
use bailey_nic::mix::Mix;
use bailey_nic::rfc2544::Plan;
use bailey_nic::tester::{Options, Tester};
use clap::{Args, ValueEnum};

use crate::results::Measurement;
use measured_link::MeasuredLink;
use series::Series;

mod lab;
/// Whom a series is about.
mod measured_link;
/// One series of trials.
mod series;

const GROUP: &str = "nic";

/// The defaults are for a look of an hour or three; RFC 2544 says `--duration 60` and `--bursts 50` for
/// results that count.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Frames leave through this interface
    #[arg(long, required_unless_present = "lab", requires = "rx")]
    tx: Option<String>,
    /// And come back by this one
    #[arg(long, requires = "tx")]
    rx: Option<String>,
    /// Instead: a lab of veth pairs, once with a cable between them, once with Bailey
    #[arg(long, conflicts_with_all = ["tx", "rx"])]
    lab: bool,
    /// Sizes in bytes, check sequence included (64, or 128v6 for IPv6), or mixes: imix, edge, datacenter
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "64,128,256,512,1024,1280,1518,imix"
    )]
    frame: Vec<Mix>,
    /// Different 5-tuples
    #[arg(long, default_value_t = 1)]
    flows: u32,
    /// How long a trial lasts, in seconds
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    duration: f64,
    /// Everything so many times; the median is told
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Searches for the longest burst, in each run
    #[arg(long, default_value_t = 5)]
    bursts: u32,
    /// How long a trial waits for late frames, in seconds
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    settle: f64,
    /// Frames a second at most, if not all that the line carries
    #[arg(long)]
    rate: Option<f64>,
    /// How exactly throughput is searched for, in percent
    #[arg(long, default_value_t = 1.0)]
    resolution: f64,
    /// Only these
    #[arg(long, value_delimiter = ',', default_values_t = Procedure::ALL)]
    only: Vec<Procedure>,
    /// Sending queues, a thread each; 0 is half as many as CPUs
    #[arg(long, default_value_t = 0)]
    queues: u32,
    /// CPUs for the threads, the senders' first
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// May the kernel copy frames: if the NIC needs it, always, or never?
    #[arg(long, value_enum, default_value_t = CopyMode::IfNeeded)]
    copies: CopyMode,
    /// The Ethernet address of the router that frames are sent to
    #[arg(long, value_parser = mac)]
    via: Option<[u8; 6]>,
    /// The address of that router on the receiving side, for the answers that open flows
    #[arg(long, value_parser = mac)]
    via_back: Option<[u8; 6]>,
    /// Sources are in the /16 around it
    #[arg(long, default_value_t = SOURCE)]
    source: Ipv4Addr,
    /// Whom frames are for
    #[arg(long, default_value_t = DESTINATION)]
    destination: Ipv4Addr,
    /// Its UDP port
    #[arg(long, default_value_t = ECHO_PORT)]
    port: u16,
    /// Take interfaces that the machine uses
    #[arg(long)]
    force: bool,
    /// What is between them, for the report
    #[arg(long, default_value = "link")]
    name: String,
    /// The results, as JSON
    #[arg(long, default_value = "target/bench/nic.json")]
    pub(crate) json: PathBuf,
}

/// What RFC 2544 measures, section 26.
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
        _ => Err("from 0.001 to 86400 seconds".into()),
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
        .ok_or_else(|| "an Ethernet address is six bytes: 02:00:00:00:00:01".into())
}

impl Arguments {
    fn options(&self, [sending, receiving]: [&str; 2]) -> Options {
        Options {
            sending: sending.to_owned(),
            receiving: receiving.to_owned(),
            force: self.force,
            copies: match self.copies {
                CopyMode::IfNeeded => Copies::IfNeeded,
                CopyMode::Always => Copies::Always,
                CopyMode::Never => Copies::Never,
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

    /// For what the tester sends.
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

    /// About how long it will take.
    fn estimate(&self, links: usize) -> Duration {
        // Searches of some eight trials; bursts are shorter.
        let trials = 8.0 + 5.0 + f64::from(self.bursts) * 5.0 + 1.0;
        let each = trials * (self.duration + self.settle);
        let times = self.runs as usize * self.frame.len() * links;
        Duration::from_secs_f64(each * times as f64)
    }
}

/// Measures, and tells of each frame size when it is through with it.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Measurement>> {
    ensure!(
        (0.01..=50.0).contains(&arguments.resolution),
        "--resolution is from 0.01 to 50 percent"
    );
    ensure!(
        arguments.rate.is_none_or(|rate| rate >= 1.0),
        "--rate is at least one frame a second"
    );
    ensure!(arguments.runs > 0, "--runs is at least 1");
    let Some(first) = arguments.frame.first() else {
        bail!("--frame names nothing");
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
    println!("about {minutes} minutes; the longest searches twice that\n");
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
