//! Numbers of interfaces mean something in one network namespace only.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::maps::control_word;
use crate::maps::pinned::map_pinned;
use crate::maps::pins::PinDir;

/// The number of this thread's network namespace.
pub(crate) fn current() -> u32 {
    std::fs::metadata("/proc/thread-self/ns/net").map_or(0, |metadata| metadata.ino() as u32)
}

/// Fails unless what is pinned was attached from this network namespace.
pub(crate) fn check(pins: &PinDir) -> Result<(), DatapathError> {
    let (control, _) = map_pinned(pins, "control", size_of::<abi::control>())?;
    let theirs = control.words()[control_word::NAMESPACE].load(Ordering::Relaxed);
    if theirs == u64::from(current()) {
        return Ok(());
    }
    Err(DatapathError::Unsupported(format!(
        "what is pinned there is attached in another network namespace (net:[{theirs}]); run bailey \
         in that one, or give it other [paths]"
    )))
}
