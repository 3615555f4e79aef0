//! What goes over a wire through a device under test: side by side, with real interfaces.

use anyhow::{Result, bail};
use ipnet::IpNet;

use crate::policies::scattered;
use crate::results::Measured;
use system::{ALL, Kept, Policy, System};

pub(crate) use frames::{PORT, SERVER};

mod blast;
pub(crate) mod churn;
mod connections;
mod frames;
mod generator;
mod latency;
pub(crate) mod rig;
mod system;

/// Runs per scenario; systems take turns within one.
const RUNS: usize = 5;
const GROUP: &str = "wire";
const SEED: u64 = 0x7769_7265;
/// Prefixes that are denied where a scenario is not about their number.
const SOME_PREFIXES: usize = 10_000;

/// One system on its own wire.
struct Device {
    system: System,
    rig: rig::Rig,
    _kept: Kept,
}

/// What a scenario is to be.
struct Setting<'a> {
    name: &'a str,
    systems: &'a [System],
    forwards: bool,
    denied: &'a [IpNet],
    flows: u32,
    handshakes: bool,
    /// What hosts run instead of a stack.
    receive: Option<&'a str>,
}

/// Scenarios with a text in their names; of some systems, or of all.
pub(crate) fn run(only: &str, systems: &[String]) -> Result<Vec<Measured>> {
    let known = |name: &String| ALL.iter().any(|system| system.name() == name);
    if let Some(unknown) = systems.iter().find(|name| !known(name)) {
        let names = ALL.map(System::name).join(", ");
        bail!("there is no system {unknown:?}; there are {names}");
    }
    let systems: Vec<System> = ALL
        .into_iter()
        .filter(|system| systems.is_empty() || systems.iter().any(|name| name == system.name()))
        .collect();
    let mut results = Vec::new();
    let mut keep = |measured: Vec<Measured>| {
        measured.iter().for_each(Measured::print);
        results.extend(measured);
    };
    for (name, prefixes) in blast::DENY {
        if name.contains(only) {
            keep(blast::deny(name, prefixes, &systems)?);
        }
    }
    for (name, denied_of_ten) in blast::FORWARD {
        if name.contains(only) {
            keep(blast::forward(name, denied_of_ten, &systems)?);
        }
    }
    if latency::NAMES.iter().any(|name| name.contains(only)) {
        keep(latency::run(&systems)?);
    }
    for (name, what) in connections::ALL {
        if name.contains(only) {
            keep(connections::run(name, what, &systems)?);
        }
    }
    Ok(results)
}

/// A wire for each system that can, and a reason for each that cannot.
fn devices(setting: &Setting<'_>, metric: &str) -> Result<(Vec<Device>, Vec<Measured>)> {
    let (mut devices, mut missing) = (Vec::new(), Vec::new());
    let policy = Policy {
        denied: setting.denied,
        flows: setting.flows,
        handshakes: setting.handshakes,
    };
    for &system in setting.systems {
        if let Some(why) = system.cannot(setting.forwards, setting.denied) {
            let names = [GROUP, setting.name, system.name(), metric];
            missing.push(Measured::missing(names, why));
            continue;
        }
        let mut rig = rig::Rig::new()?;
        let kept = system.set_up(&rig, &policy)?;
        if let Some(program) = setting.receive {
            rig.receive(program)?;
        }
        rig.isolate()?;
        devices.push(Device {
            system,
            rig,
            _kept: kept,
        });
    }
    Ok((devices, missing))
}

fn some_prefixes(count: usize, random: &mut fastrand::Rng) -> Vec<IpNet> {
    scattered(count, false, random)
}
