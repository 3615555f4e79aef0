//! What goes over a wire through a device under test: side by side, with real interfaces.

use anyhow::{Result, bail};
use ipnet::IpNet;

use crate::policies::scattered;
use crate::results::Measurement;
use system::{ALL, System, SystemGuard, WirePolicy};

pub(crate) use frames::{PORT, SERVER};

mod connections;
mod frames;
mod generator;
mod latency;
mod packet_rate;
pub(crate) mod steady_traffic;
mod system;
pub(crate) mod testbed;

/// Runs per scenario; systems take turns within one.
const RUNS: usize = 5;
const GROUP: &str = "wire";
const SEED: u64 = 0x7769_7265;
/// Prefixes that are denied where a scenario is not about their number.
const DEFAULT_PREFIXES: usize = 10_000;

/// One system on its own wire.
struct DeviceUnderTest {
    system: System,
    testbed: testbed::WireTestbed,
    _guard: SystemGuard,
}

/// What a scenario is to be.
struct WireScenario<'a> {
    name: &'a str,
    systems: &'a [System],
    forwards: bool,
    denied: &'a [IpNet],
    flows: u32,
    allow_floods: bool,
    /// What hosts run instead of a stack.
    receive: Option<&'a str>,
}

/// Scenarios with a text in their names; of some systems, or of all.
pub(crate) fn run(only: &str, systems: &[String]) -> Result<Vec<Measurement>> {
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

/// A wire for each system that can, and a reason for each that cannot.
fn set_up_devices(
    scenario: &WireScenario<'_>,
    metric: &str,
) -> Result<(Vec<DeviceUnderTest>, Vec<Measurement>)> {
    let (mut devices, mut missing) = (Vec::new(), Vec::new());
    let policy = WirePolicy {
        denied: scenario.denied,
        flows: scenario.flows,
        allow_floods: scenario.allow_floods,
    };
    for &system in scenario.systems {
        if let Some(why) = system.unsupported_reason(scenario.forwards, scenario.denied) {
            let names = [GROUP, scenario.name, system.name(), metric];
            missing.push(Measurement::unavailable(names, why));
            continue;
        }
        let mut testbed = testbed::WireTestbed::new()?;
        let guard = system.set_up(&testbed, &policy)?;
        if let Some(program) = scenario.receive {
            testbed.attach_receivers(program)?;
        }
        testbed.pin_device_threads()?;
        devices.push(DeviceUnderTest {
            system,
            testbed,
            _guard: guard,
        });
    }
    Ok((devices, missing))
}

fn random_prefixes(count: usize, random: &mut fastrand::Rng) -> Vec<IpNet> {
    scattered(count, false, random)
}
