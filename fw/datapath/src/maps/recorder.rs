//! The rings of the recorder, mapped for reading; see `struct record` of abi.h.
//!
//! Each CPU overwrites the oldest records of its rings without regard for readers. A reader copies
//! records first and reads the number of written ones again afterwards. A record is intact if the CPU
//! cannot have begun the one that takes its place.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::kernel::cpu::cpus;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;
use crate::maps::table::RECORDS;
use crate::maps::values::SharedValues;

/// Classes of records, which have rings of their own.
pub const CLASSES: usize = abi::RECORD_CLASSES as usize;

/// Writes the sizes into the map. The size of the map tells them.
pub(crate) fn initialize_recorder(values: &SharedValues) -> Result<(), DatapathError> {
    let map: MappedArray<abi::record> = values.mapped(RECORDS)?;
    let rings = cpus()? as usize * CLASSES;
    let lines = map.len() / rings;
    let is_on = lines > 1;
    let (cpus, records) = match is_on {
        true => (rings / CLASSES, lines - 1),
        false => (0, 0),
    };
    for (offset, size) in [
        (offset_of!(abi::record_ring, cpus), cpus),
        (offset_of!(abi::record_ring, records), records),
    ] {
        map.field(0, offset).store(size as u64, Ordering::Release);
    }
    Ok(())
}

/// The pinned rings.
#[derive(Debug)]
pub struct RecordRings {
    map: MappedArray<abi::record>,
    pins: PinDir,
    cpus: usize,
    records: u64,
}

/// Positions in all rings: the next record that a reader has not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordCursor(Vec<u64>);

/// A record, its CPU and its class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRecord {
    pub(crate) record: abi::record,
    pub(crate) ring: usize,
    pub(crate) number: u64,
}

/// Packets and records of one class on all CPUs. `packets` = `written` + packets that were not sampled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordCount {
    /// Packets of the class.
    pub packets: u64,
    /// Records written since the map was created.
    pub written: u64,
}

impl RecordRings {
    /// Opens the pinned rings. Without a recorder there are none.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's map.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let map = MappedArray::open_table(pins, RECORDS)?;
        let sizes: abi::record_ring = bytemuck::cast(map.read(0));
        let rings = sizes.cpus.checked_mul(CLASSES as u64);
        let lines = rings.and_then(|rings| rings.checked_mul(sizes.records.checked_add(1)?));
        let is_valid =
            sizes.cpus == 0 || sizes.records.is_power_of_two() && lines == Some(map.len() as u64);
        if !is_valid {
            return Err(DatapathError::Layout {
                name: RECORDS,
                message: format!(
                    "it has {} lines, not those of {} CPUs with {} records",
                    map.len(),
                    sizes.cpus,
                    sizes.records
                ),
            });
        }
        Ok(Self {
            map,
            pins: pins.clone_handle()?,
            cpus: sizes.cpus as usize,
            records: sizes.records,
        })
    }

    /// Whether the recorder is on.
    pub fn is_on(&self) -> bool {
        self.cpus > 0
    }

    fn rings(&self) -> usize {
        self.cpus * CLASSES
    }

    fn line(&self, ring: usize, number: u64) -> usize {
        let index = (number & (self.records - 1)) as usize;
        self.header(ring) + 1 + index
    }

    /// The line of the header of a ring.
    fn header(&self, ring: usize) -> usize {
        ring * (1 + self.records as usize)
    }

    fn field(&self, ring: usize, offset: usize) -> &AtomicU64 {
        self.map.field(self.header(ring), offset)
    }

    fn written(&self, ring: usize) -> u64 {
        let written = self.field(ring, offset_of!(abi::record_ring, written));
        written.load(Ordering::Acquire)
    }

    /// Packets and records, by `enum record_class`.
    pub fn counts(&self) -> [RecordCount; CLASSES] {
        let mut counts = [RecordCount::default(); CLASSES];
        for ring in 0..self.rings() {
            let count = &mut counts[ring % CLASSES];
            // In this order packets are never fewer than records.
            count.written += self.written(ring);
            let packets = self.field(ring, offset_of!(abi::record_ring, packets));
            count.packets += packets.load(Ordering::Relaxed);
        }
        counts
    }

    /// Records of each ring.
    pub(crate) fn capacity(&self) -> u64 {
        self.records
    }

    /// The most records that any ring of a class has got since a position.
    pub(crate) fn most_new(&self, cursor: &RecordCursor) -> [u64; CLASSES] {
        let mut most = [0; CLASSES];
        for (ring, next) in cursor.0.iter().enumerate() {
            let new = self.written(ring).saturating_sub(*next);
            let of_class = &mut most[ring % CLASSES];
            *of_class = new.max(*of_class);
        }
        most
    }

    /// Lets the programs note one in 2^`shift` packets of a class, on all CPUs.
    ///
    /// # Errors
    /// If this process may not write the map.
    pub(crate) fn set_sampling(&self, class: usize, shift: u32) -> Result<(), DatapathError> {
        let map: MappedArray<abi::record> = MappedArray::open_writable_table(&self.pins, RECORDS)?;
        let offset = offset_of!(abi::record_ring, sampling);
        for ring in (class..self.rings()).step_by(CLASSES) {
            map.field(self.header(ring), offset)
                .store((1 << shift) - 1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The position before the oldest records, or behind the newest.
    pub fn cursor(&self, at_end: bool) -> RecordCursor {
        let rings = (0..self.rings()).map(|ring| self.written(ring));
        let rings = rings.map(|written| {
            if at_end {
                written
            } else {
                self.oldest(written)
            }
        });
        RecordCursor(rings.collect())
    }

    /// The first record that is intact as long as no other is written.
    fn oldest(&self, written: u64) -> u64 {
        (written + 1).saturating_sub(self.records)
    }

    /// Reads the records from a position on, in no order across rings, and moves the position behind
    /// them. Returns the number of records that were overwritten before they were read, by class.
    pub(crate) fn read(
        &self,
        cursor: &mut RecordCursor,
        into: &mut Vec<RawRecord>,
    ) -> [u64; CLASSES] {
        let mut lost = [0; CLASSES];
        for (ring, next) in cursor.0.iter_mut().enumerate() {
            let written = self.written(ring);
            // A map of another start: all of it is new.
            let from = if *next > written { 0 } else { *next };
            let first = from.max(self.oldest(written));
            let begin = into.len();
            for number in first..written {
                let record = self.map.read(self.line(ring, number));
                into.push(RawRecord {
                    record,
                    ring,
                    number,
                });
            }
            // The copies before the number.
            fence(Ordering::Acquire);
            let intact = self.oldest(self.written(ring)).max(first);
            let overwritten = (intact.min(written) - first) as usize;
            into.drain(begin..begin + overwritten);
            lost[ring % CLASSES] += intact.min(written) - from;
            *next = written;
        }
        lost
    }
}
