//! Size of the recorder as load-time constants.

use bailey_bpf::abi;
use bailey_config::Settings;

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
    pub(crate) fn list(&self) -> [Constant; 4] {
        let records = u64::from(self.records);
        let rings = u64::from(self.cpus) * u64::from(abi::RECORD_CLASSES);
        [
            Constant::required("RECORD_CPUS", u64::from(self.cpus)),
            Constant::required("RECORDS_AT", 1 + rings),
            Constant::required("RECORDS_SHIFT", u64::from(records.max(1).ilog2())),
            Constant::required("RECORDS_MASK", records.saturating_sub(1)),
        ]
    }
}
