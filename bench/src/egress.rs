//! Cost of the egress hook: the flow lookup for a packet that XDP has already evaluated.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use bailey_config::Settings;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_policy::Protocol;

use crate::empty_datapath::open_without_policies;

const SAMPLES: usize = 15;
const REPEAT: u32 = 1 << 18;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;

/// Measures the egress program and the XDP program with a packet of an established flow, and prints
/// the median times in nanoseconds. The egress program looks up every forwarded packet again,
/// because the kernel network stack may have rewritten it.
pub(crate) fn run() -> Result<()> {
    let settings = Settings {
        rules: 256,
        ..Settings::default()
    };
    let datapath = open_without_policies(settings)?;
    let runner = datapath.test_run()?;
    for (family, [client, server]) in [
        ("IPv4", ["10.0.0.1", "192.0.2.1"]),
        ("IPv6", ["fd00::1", "2001:db8::1"]),
    ] {
        let [client, server]: [IpAddr; 2] = [client.parse()?, server.parse()?];
        // Establish a flow.
        let segment = |from: IpAddr, to: IpAddr, ports: (u16, u16), flags| {
            frame::ip(
                from,
                to,
                Protocol::TCP,
                &frame::tcp(ports.0, ports.1, flags),
            )
        };
        let there = |flags| segment(client, server, (5000, 443), flags);
        let back = |flags| segment(server, client, (443, 5000), flags);
        runner.run(Hook::Xdp, &there(SYN), 1)?;
        runner.run(Hook::Tc, &back(SYN_ACK), 1)?;
        runner.run(Hook::Xdp, &there(ACK), 1)?;
        ensure!(
            datapath.flows()?.census().live() > 0,
            "the handshake created no flow"
        );
        // Time both hooks with its next packet.
        let data = there(ACK);
        let median = |hook| -> Result<u32> {
            let mut times = Vec::new();
            for _ in 0..SAMPLES {
                times.push(runner.measure(hook, &data, REPEAT)?);
            }
            times.sort_unstable();
            Ok(times[SAMPLES / 2])
        };
        let (xdp, tc) = (median(Hook::Xdp)?, median(Hook::Tc)?);
        println!("{family}: XDP {xdp} ns, egress hook {tc} ns");
    }
    Ok(())
}
