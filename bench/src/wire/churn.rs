use std::time::Duration;

use anyhow::Result;

use super::blast::establish_on;
use super::frames::{self, Frame, Step};
use super::generator::{BURST, Generator, Sending};
use super::rig::{Passage, Rig};

/// Datagrams of many answered flows, in random order. Not TCP: a handshake that the machine was too slow
/// for once would be denied ever after.
pub(crate) struct Traffic {
    generator: Generator,
}

/// From one datagram to the next: no more than fits while the generator's CPU also compiles.
const PACE: Duration = Duration::from_micros(4);

impl Traffic {
    /// Opens the flows.
    pub(crate) fn establish(rig: &Rig, flows: u32, random: &mut fastrand::Rng) -> Result<Self> {
        let clients = frames::clients(flows);
        establish_on(
            &[rig],
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
    pub(crate) fn pass(&self, rig: &Rig, time: Duration) -> Result<Passage> {
        let sending = Sending {
            first: 0,
            count: (time.as_nanos() / PACE.as_nanos()) as u32 / BURST * BURST,
            every: PACE,
            stamp: false,
        };
        rig.pass(&self.generator, 0, sending)
    }
}
