use std::time::Duration;

use anyhow::Result;

use super::frames::{self, Frame, Step};
use super::generator::{BURST, Generator, Sending};
use super::packet_rate::establish_on;
use super::testbed::{Transfer, WireTestbed};

/// Datagrams of many answered flows, in random order. Not TCP: a handshake that the machine was too slow
/// for once would be denied ever after.
pub(crate) struct SteadyTraffic {
    generator: Generator,
}

/// From one datagram to the next: no more than fits while the generator's CPU also compiles.
const FRAME_INTERVAL: Duration = Duration::from_micros(4);

impl SteadyTraffic {
    /// Opens the flows.
    pub(crate) fn establish(
        testbed: &WireTestbed,
        flows: u32,
        random: &mut fastrand::Rng,
    ) -> Result<Self> {
        let clients = frames::clients(flows);
        establish_on(
            &[testbed],
            &clients,
            [Step::Datagram, Step::Answer, Step::Datagram],
        )?;
        let datagrams = (0..flows)
            .map(|_| frames::frame(Step::Datagram, clients[random.usize(..clients.len())]))
            .collect::<Result<Vec<Frame>>>()?;
        Ok(Self {
            generator: Generator::new(&datagrams)?,
        })
    }

    /// Sends for a while.
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
