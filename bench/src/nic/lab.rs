//! RFC 2544 in a lab of veth pairs: once with a cable between the ports, once with Bailey.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use bailey_lab::NicTestbed;
use bailey_lab::nic_testbed::PORTS;
use bailey_nic::mix::Mix;
use bailey_nic::tester::Tester;
use serde_json::json;

use super::Arguments;
use super::measured_link::{Lab, MeasuredLink};
use crate::daemon_under_test::{self, DaemonOptions};
use crate::policies::scattered;

/// Prefixes that Bailey denies; no source of the tester is in them.
const DENIED: usize = 10_000;
const SEED: u64 = 2544;
/// Flows that mixes with new flows create before the first of them expire.
const NEW_FLOWS: u32 = 1 << 20;

/// Opens the links of the lab: a cable, and Bailey.
pub(super) fn links(arguments: &Arguments, mix: &Mix) -> Result<Vec<MeasuredLink>> {
    let cable = Lab {
        _daemon: None,
        rack: NicTestbed::with_cable()?,
    };
    let rack = NicTestbed::with_device()?;
    daemon_under_test::write_config(
        &rack,
        &DaemonOptions {
            flows: NEW_FLOWS + 2 * arguments.flows,
            // The tester creates flows at the rate of a flood.
            allow_floods: true,
            without_recorder: false,
        },
    )?;
    protect(&rack, arguments)?;
    let bailey = Lab {
        _daemon: Some(daemon_under_test::launch(&rack, "attached")?),
        rack,
    };
    let labs = [("cable", cable), ("bailey", bailey)];
    let links = labs.into_iter().map(|(name, lab)| {
        let options = arguments.options(PORTS);
        let mix = mix.clone();
        let tester = lab.rack.tester.run(move || Tester::open(options, mix))?;
        Ok(MeasuredLink::in_lab(name, tester, lab))
    });
    links.collect()
}

/// Writes the policy that allows the tester's destination, except from many prefixes.
fn protect(rack: &NicTestbed, arguments: &Arguments) -> Result<()> {
    let v6: IpAddr = bailey_nic::frame::DESTINATION_V6.into();
    daemon_under_test::write_server_workload(rack, &[arguments.destination.into(), v6])?;
    let mut random = fastrand::Rng::with_seed(SEED);
    let denied = scattered(DENIED, false, &mut random);
    let own = ipnet::Ipv4Net::new_assert(arguments.source, 16).trunc();
    let denied: Vec<_> = denied
        .into_iter()
        .filter(|prefix| !matches!(prefix.addr(), IpAddr::V4(address) if own.contains(&address)))
        .collect();
    let anywhere = Ipv4Addr::UNSPECIFIED;
    let rule = json!({
        "from": [
            {"ipBlock": {"cidr": format!("{anywhere}/0"), "except": denied}},
            {"ipBlock": {"cidr": "::/0"}},
        ],
        "ports": [{"protocol": "UDP", "port": arguments.port}],
    });
    daemon_under_test::write_policy(&daemon_under_test::policy_dir(rack), "protected", &rule)
}
