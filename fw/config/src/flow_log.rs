//! `[flow_log]`: records of packets as a file in Hubble's shape.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[flow_log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowLog {
    /// The file; empty for none.
    pub path: PathBuf,
    /// `pass`, `drop`; empty for both.
    pub verdicts: Vec<String>,
    /// Filters as in `bailey observe`, such as `namespace = ["shop"]`; all must match, and of each one value.
    pub filters: BTreeMap<String, Vec<String>>,
    /// Size in bytes from which the file is rotated.
    pub size: u64,
    /// Files that are kept, the present one included.
    pub files: u32,
}

impl Default for FlowLog {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            verdicts: Vec::new(),
            filters: BTreeMap::new(),
            size: 64 << 20,
            files: 5,
        }
    }
}

impl FlowLog {
    /// Whether a file is written.
    pub fn is_on(&self) -> bool {
        !self.path.as_os_str().is_empty()
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        const SIZE_MIN: u64 = 64 << 10;
        const FILES_MAX: u32 = 1000;
        if self.is_on() && !self.path.is_absolute() {
            let path = self.path.display();
            return Err(format!(
                "flow_log.path = {path:?}: must be an absolute path"
            ));
        }
        if self.size < SIZE_MIN {
            let size = self.size;
            return Err(format!(
                "flow_log.size = {size}: must be at least {SIZE_MIN} bytes"
            ));
        }
        if !(1..=FILES_MAX).contains(&self.files) {
            let files = self.files;
            return Err(format!(
                "flow_log.files = {files}: must be 1 to {FILES_MAX}"
            ));
        }
        Ok(())
    }
}
