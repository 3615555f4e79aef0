//! Devices under test: one testbed per system, set up for a scenario.

use anyhow::Result;
use ipnet::IpNet;

use super::system::{System, SystemGuard, WirePolicy};
use super::testbed::WireTestbed;
use crate::policies::scattered;
use crate::results::Measurement;

/// Runs per scenario; systems take turns within a run.
pub(super) const RUNS: usize = 5;
pub(super) const GROUP: &str = "wire";
pub(super) const SEED: u64 = 0x7769_7265;
/// Denied prefixes of scenarios in which their number does not matter.
pub(super) const DEFAULT_PREFIXES: usize = 10_000;

/// A system on its own testbed.
pub(super) struct DeviceUnderTest {
    pub(super) system: System,
    pub(super) testbed: WireTestbed,
    _guard: SystemGuard,
}

/// Requirements of a scenario.
pub(super) struct WireScenario<'a> {
    pub(super) name: &'a str,
    pub(super) systems: &'a [System],
    /// Whether the scenario needs a system that forwards.
    pub(super) forwards: bool,
    /// Denied prefixes.
    pub(super) denied: &'a [IpNet],
    /// Capacity of the flow tables.
    pub(super) flows: u32,
    /// Whether the scenario creates flows at the rate of a flood.
    pub(super) creates_flows: bool,
    /// Receive program of the hosts; none keeps their network stack.
    pub(super) receive: Option<&'a str>,
}

/// Sets up a device for each system that supports the scenario. Returns the devices, and a
/// measurement without a value for each other system.
pub(super) fn set_up_devices(
    scenario: &WireScenario<'_>,
    metric: &str,
) -> Result<(Vec<DeviceUnderTest>, Vec<Measurement>)> {
    let (mut devices, mut missing) = (Vec::new(), Vec::new());
    let policy = WirePolicy {
        denied: scenario.denied,
        flows: scenario.flows,
        allow_floods: scenario.creates_flows,
    };
    for &system in scenario.systems {
        if let Some(why) = system.unsupported_reason(scenario.forwards, scenario.denied) {
            let names = [GROUP, scenario.name, system.name(), metric];
            missing.push(Measurement::unavailable(names, why));
            continue;
        }
        let mut testbed = WireTestbed::new()?;
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

/// Random disjoint IPv4 prefixes.
pub(super) fn random_prefixes(count: usize, random: &mut fastrand::Rng) -> Vec<IpNet> {
    scattered(count, false, random)
}
