//! Cost of a sweeper pass over a table with live flows, and of lists of these flows.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use bailey_config::{Config, Settings};
use bailey_control::api::{FlowColumn, FlowQuery};
use bailey_datapath::PinDir;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_introspect::LiveState;
use bailey_policy::Protocol;

use crate::empty_datapath::open_without_policies_in;
use crate::memory::{own_mib, process_own_mib};

const PASSES: u32 = 5;
/// Duration of a pass in the daemon (its module `sweep`).
const PASS_SECONDS: f64 = 8.0;

/// Fills a table with flows, and prints the CPU time of several passes.
pub(crate) fn run(flows: u32) -> Result<()> {
    let settings = Settings {
        flows,
        rules: 256,
        ..Settings::default()
    };
    let pins = PinDir::private()?;
    let directory = match &pins {
        PinDir::Path(path) => path.clone(),
        PinDir::Private(fd) => format!("/proc/self/fd/{}", fd.as_raw_fd()).into(),
    };
    let datapath = open_without_policies_in(pins.clone_handle()?, settings)?;
    let runner = datapath.test_run()?;
    let begun = Instant::now();
    for n in 0..flows {
        let client = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        let server = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let there = frame::ip(client, server, Protocol::UDP, &frame::udp(5000, 53));
        runner.run(Hook::Xdp, &there, 1)?;
        let back = frame::ip(server, client, Protocol::UDP, &frame::udp(53, 5000));
        runner.run(Hook::Tc, &back, 1)?;
    }
    let census = datapath.flows()?.census();
    println!(
        "{} flows in {} slots, filled in {:.1} s",
        census.used_slots,
        census.slots,
        begun.elapsed().as_secs_f64()
    );
    let mut sweeper = datapath.sweeper()?;
    for pass in 1..=PASSES {
        let begun = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        while !sweeper.sweep(sweeper.buckets() / 80 + 1) {}
        sweeper.publish_timeout_scale();
        let ended = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let seconds =
            (ended.tv_sec - begun.tv_sec) as f64 + (ended.tv_nsec - begun.tv_nsec) as f64 / 1e9;
        println!(
            "pass {pass}: {:.1} ms of CPU time, {:.2} % of a core with one pass in {PASS_SECONDS} s",
            seconds * 1000.0,
            seconds / PASS_SECONDS * 100.0
        );
    }
    println!("memory {} MiB", own_mib("VmRSS:"));
    list_flows(directory)
}

/// Prints the time of lists of all flows, and the memory that they take.
fn list_flows(pins: PathBuf) -> Result<()> {
    let mut config = Config::default();
    config.paths.pins = pins;
    let state = LiveState::new(config);
    let top = FlowQuery {
        sort: Some(FlowColumn::Bytes),
        limit: Some(100),
        ..FlowQuery::default()
    };
    for (name, query) in [("all flows", FlowQuery::default()), ("top 100", top)] {
        let before = process_own_mib("self");
        let begun = Instant::now();
        let list = state.flow_list(query)?.map_err(anyhow::Error::msg)?;
        let (mut lines, mut bytes, mut most) = (0, 0, 0);
        list.write(|chunk| {
            lines += chunk.iter().filter(|byte| **byte == b'\n').count();
            bytes += chunk.len();
            if bytes / chunk.len() % 1000 == 0 {
                most = process_own_mib("self").max(most);
            }
            true
        });
        println!(
            "{name}: {lines} lines, {} MB in {:.2} s, {} MiB more memory",
            bytes / 1_000_000,
            begun.elapsed().as_secs_f64(),
            most.max(process_own_mib("self")).saturating_sub(before)
        );
    }
    Ok(())
}
