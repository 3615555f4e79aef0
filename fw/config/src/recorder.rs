//! `[recorder]`: records of packets with a verdict of their own.

use bailey_bpf::abi;
use serde::{Deserialize, Serialize};

/// `[recorder]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recorder {
    /// Records that each CPU keeps of each class of packets; a power of two. 0 turns the recorder off.
    pub records: u32,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { records: 4096 }
    }
}

impl Recorder {
    /// Fewest records of a recorder that is on.
    pub const RECORDS_MIN: u32 = 64;
    /// Most records.
    pub const RECORDS_MAX: u32 = 1 << 16;

    pub(crate) fn check(&self) -> Result<(), String> {
        let (records, least, most) = (self.records, Self::RECORDS_MIN, Self::RECORDS_MAX);
        let is_valid = records.is_power_of_two() && (least..=most).contains(&records);
        if records == 0 || is_valid {
            return Ok(());
        }
        let near = records.clamp(least, most).next_power_of_two();
        Err(format!(
            "recorder.records = {records}: must be 0 (off) or a power of two from {least} to {most}, such \
             as {near}"
        ))
    }
}

/// Bytes that the recorder takes per CPU.
pub const fn recorder_bytes_per_cpu(records: u32) -> u64 {
    abi::RECORD_CLASSES as u64 * ring_bytes(records)
}

/// Bytes of a ring with its header.
pub const fn ring_bytes(records: u32) -> u64 {
    (size_of::<abi::record_ring>() + records as usize * size_of::<abi::record>()) as u64
}
