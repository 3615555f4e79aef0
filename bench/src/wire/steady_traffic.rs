//! BackgroundTraffic background traffic of established flows.

use std::time::Duration;

use anyhow::Result;

use super::frames::{self, Frame, Step};
use super::generator::{BURST, Generator, Sending};
use super::packet_rate::establish_on;
use super::testbed::{Transfer, WireTestbed};

/// Datagrams of many established flows, in random order. Not TCP: a handshake that the machine
/// misses once would stay denied for the rest of the test.
pub(crate) struct SteadyTraffic {
    generator: Generator,
}

/// Interval between datagrams; leaves CPU time to the daemon, which shares the generator's CPU.
const FRAME_INTERVAL: Duration = Duration::from_micros(4);

impl SteadyTraffic {
    /// Establishes the flows.
    pub(crate) fn establish(
        testbed: &WireTestbed,
        flows: u32,
        random: &mut fastrand::Rng,
    ) -> Result<Self> {
        let clients = frames::clients(flows);
        establish_on(
            &[testbed],
            &clients,
            [Step::Datagram, Step::Reply, Step::Datagram],
        )?;
        let datagrams = (0..flows)
            .map(|_| frames::frame(Step::Datagram, clients[random.usize(..clients.len())]))
            .collect::<Result<Vec<Frame>>>()?;
        Ok(Self {
            generator: Generator::new(&datagrams)?,
        })
    }

    /// Sends for a time.
    pub(crate) fn transfer(&self, testbed: &WireTestbed, time: Duration) -> Result<Transfer> {
        let sending = Sending {
            first: 0,
            count: (time.as_nanos() / FRAME_INTERVAL.as_nanos()) as u32 / BURST * BURST,
            every: FRAME_INTERVAL,
            stamp: false,
        };
        testbed.transfer(&self.generator, 0, sending)
    }
}
