//! The greatest numbers of rules that a reader has seen, shared by all readers, and the end of the rule
//! ids in use.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;
use crate::maps::values::SharedValues;

const NAME: &str = "rule_totals";

/// The map `rule_totals`. The element of `RULE_NONE`, which no packet counts for, holds two other
/// numbers: the end of the rule ids that any generation has had, and how often counters were reset.
#[derive(Debug)]
pub(crate) struct RuleTotals {
    elements: MappedArray<abi::rule_total>,
    /// Whether this process may store.
    is_writable: bool,
}

impl RuleTotals {
    /// Opens the pinned map. A process without the right to write it only reads.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's map.
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        if let Ok(elements) = MappedArray::open_writable(pins, NAME) {
            return Ok(Self {
                elements,
                is_writable: true,
            });
        }
        Ok(Self {
            elements: MappedArray::open(pins, NAME)?,
            is_writable: false,
        })
    }

    /// Maps the open map for reading and writing.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn of_values(values: &SharedValues) -> Result<Self, DatapathError> {
        Ok(Self {
            elements: values.mapped(NAME)?,
            is_writable: true,
        })
    }

    /// Records that a generation has ids below `end`. Must precede its commit.
    pub(crate) fn note_end(&self, end: u32) {
        self.end_word().fetch_max(end.into(), Ordering::AcqRel);
    }

    /// The end of all ids that may have counted a packet.
    pub(crate) fn end(&self) -> usize {
        let noted = self.end_word().load(Ordering::Acquire) as usize;
        noted.clamp(abi::RULE_FIRST as usize, self.elements.len())
    }

    /// Announces that counters of rules are reset. Readers that are at work store nothing then: they
    /// may have read counters of a former rule.
    pub(crate) fn begin_reset(&self) {
        self.resets_word().fetch_add(1, Ordering::SeqCst);
    }

    /// Number of resets, for a reader that begins.
    pub(crate) fn resets(&self) -> u64 {
        self.resets_word().load(Ordering::SeqCst)
    }

    /// Forgets the numbers of a rule.
    pub(crate) fn clear(&self, id: u32) {
        self.elements.clear(id as usize);
    }

    /// The greater of these packets and of the greatest that a reader has seen. It is stored if
    /// no counter was reset since the reader began, at `resets`.
    pub(crate) fn greatest_packets(&self, id: u32, packets: u64, resets: u64) -> u64 {
        let offset = offset_of!(abi::rule_total, packets);
        self.greatest(id, offset, packets, resets)
    }

    /// As [`Self::greatest_packets`], for bytes.
    pub(crate) fn greatest_bytes(&self, id: u32, bytes: u64, resets: u64) -> u64 {
        let offset = offset_of!(abi::rule_total, bytes);
        self.greatest(id, offset, bytes, resets)
    }

    fn greatest(&self, id: u32, offset: usize, sum: u64, resets: u64) -> u64 {
        let word = self.elements.get_field(id as usize, offset);
        let Some(word) = word.filter(|_| id != abi::RULE_NONE) else {
            return sum;
        };
        let mut known = word.load(Ordering::Acquire);
        while sum > known && self.is_writable && self.resets() == resets {
            // Not the greater of both: a reset since the check has changed the number.
            match word.compare_exchange(known, sum, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return sum,
                Err(now) => known = now,
            }
        }
        sum.max(known)
    }

    fn resets_word(&self) -> &AtomicU64 {
        let bytes = offset_of!(abi::rule_total, bytes);
        self.elements.field(abi::RULE_NONE as usize, bytes)
    }

    fn end_word(&self) -> &AtomicU64 {
        let packets = offset_of!(abi::rule_total, packets);
        self.elements.field(abi::RULE_NONE as usize, packets)
    }
}
