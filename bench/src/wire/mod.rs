//! Packet rates, latencies and connections through a device under test, for all systems side by
//! side.

use anyhow::{Result, bail};

use crate::results::Measurement;
use system::{ALL, System};

/// Connection rate, TCP throughput, throughput under a flood.
mod connections;
/// A system on its testbed.
mod device;
/// Frames of the generator.
pub(crate) mod frames;
/// The frame generator.
mod generator;
/// Latency of frames.
mod latency;
/// Packet rate at full speed.
mod packet_rate;
/// Background traffic at a constant rate.
pub(crate) mod steady_traffic;
/// The systems under test.
mod system;
/// Two hosts and the device between them.
pub(crate) mod testbed;

/// Runs all scenarios whose names contain `only`, for the named systems; for all if none is named.
///
/// # Errors
/// If a system name is unknown, or a measurement fails.
pub(crate) fn run(only: &str, systems: &[String]) -> Result<Vec<Measurement>> {
    let known = |name: &String| ALL.iter().any(|system| system.name() == name);
    if let Some(unknown) = systems.iter().find(|name| !known(name)) {
        let names = ALL.map(System::name).join(", ");
        bail!("unknown system {unknown:?}; choose from {names}");
    }
    let systems: Vec<System> = ALL
        .into_iter()
        .filter(|system| systems.is_empty() || systems.iter().any(|name| name == system.name()))
        .collect();
    let mut results = Vec::new();
    let mut keep = |measured: Vec<Measurement>| {
        measured.iter().for_each(Measurement::print);
        results.extend(measured);
    };
    for (name, prefixes) in packet_rate::DENY {
        if name.contains(only) {
            keep(packet_rate::deny(name, prefixes, &systems)?);
        }
    }
    for (name, denied_of_ten) in packet_rate::FORWARD {
        if name.contains(only) {
            keep(packet_rate::forward(name, denied_of_ten, &systems)?);
        }
    }
    if latency::NAMES.iter().any(|name| name.contains(only)) {
        keep(latency::run(&systems)?);
    }
    for (name, test) in connections::ALL {
        if name.contains(only) {
            keep(connections::run(name, test, &systems)?);
        }
    }
    Ok(results)
}
