//! The floor: the least work for a packet of an established IPv4 TCP flow, see floor.bpf.c.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use libbpf_rs::{MapCore, MapFlags};

use super::mutator::Callee;
use super::under_test::{PacketOutcome, ProgramUnderTest};
use crate::object::{BpfObject, image};
use crate::results::FLOOR;

/// The floor, with a table of twice the number of flows.
pub(crate) struct Floor {
    object: BpfObject,
    program: OwnedFd,
}

/// Bytes of `struct flow` of floor.bpf.c.
const FLOW: u32 = 64;
/// Maximum number of slots, `MAX_SLOTS` of floor.bpf.c.
const MAX_SLOTS: u32 = 1 << 21;
const OUTCOMES: &str = ".bss.outcomes";

impl Floor {
    pub(crate) fn new(flows: u32) -> Result<Self> {
        let slots = (flows * 2).next_power_of_two();
        ensure!(
            slots <= MAX_SLOTS,
            "the floor has no room for {flows} flows"
        );
        let object = BpfObject::load_with_globals(image!("floor"), |name, map| {
            match name {
                ".bss.flows" => map.set_value_size(slots * FLOW)?,
                ".rodata.config" => map.set_initial_value(&config(slots))?,
                _ => {}
            }
            Ok(())
        })?;
        let program = object.program_fd("floor_xdp")?;
        Ok(Self { object, program })
    }
}

/// `config` of floor.bpf.c, with random keys.
fn config(slots: u32) -> Vec<u8> {
    let spread = fastrand::u64(..) | 1;
    let mut words = Vec::from(spread.to_ne_bytes());
    let keys = [(); 4].map(|()| fastrand::u32(..));
    words.extend(keys.into_iter().flat_map(u32::to_ne_bytes));
    words.extend([slots - 1, 0].into_iter().flat_map(u32::to_ne_bytes));
    words
}

impl ProgramUnderTest for Floor {
    fn name(&self) -> &'static str {
        FLOOR
    }

    fn callee(&self) -> Callee<'_> {
        Callee {
            program: self.program.as_fd(),
            frags: false,
        }
    }

    fn outcome_counts(&self) -> Result<Option<BTreeMap<PacketOutcome, u64>>> {
        let map = self.object.map(OUTCOMES)?;
        let bytes = map.lookup(&0_u32.to_ne_bytes(), MapFlags::ANY)?;
        let bytes = bytes.context("the map of outcomes is empty")?;
        let mut outcome_counts = BTreeMap::new();
        // One `struct count` per CPU and outcome; its first word is the number of packets.
        let (counts, _) = bytes.as_chunks::<16>();
        let outcomes = PacketOutcome::COUNTED.into_iter().cycle();
        for (count, outcome) in counts.iter().zip(outcomes) {
            let packets = count.first_chunk().copied().map_or(0, u64::from_ne_bytes);
            *outcome_counts.entry(outcome).or_default() += packets;
        }
        Ok(Some(outcome_counts))
    }
}
