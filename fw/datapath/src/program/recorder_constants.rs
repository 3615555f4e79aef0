//! Size of the recorder as load-time constants.

use bailey_bpf::abi;
use bailey_config::{Settings, ring_bytes};

use crate::error::DatapathError;
use crate::kernel::cpu::cpus;
use crate::maps::shape::ring_records;
use crate::program::constant::Constant;

/// The constants of `recorder.h`.
#[derive(Debug)]
pub(crate) struct RecorderConstants {
    cpus: u32,
    records: u32,
}

impl RecorderConstants {
    /// # Errors
    /// If the number of CPUs cannot be read.
    pub(crate) fn new(settings: &Settings) -> Result<Self, DatapathError> {
        let cpus = cpus()?;
        let records = ring_records(settings, cpus);
        Ok(Self {
            cpus: if records == 0 { 0 } else { cpus },
            records,
        })
    }

    /// Name and value of each constant.
    pub(crate) fn list(&self) -> [Constant; 3] {
        let records = u64::from(self.records);
        let line = size_of::<abi::record>() as u64;
        [
            Constant::required("RECORD_CPUS", u64::from(self.cpus)),
            Constant::required("RECORD_RING_BYTES", ring_bytes(self.records)),
            Constant::required("RECORDS_MASK", records.saturating_sub(1) * line),
        ]
    }
}
