//! The network namespace that pinned programs were attached in. An ifindex is valid in one
//! namespace only.

use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::maps::control_word::ControlMap;
use crate::maps::pins::PinDir;

/// The id of this thread's network namespace; 0 if /proc is not mounted.
pub(crate) fn current() -> u32 {
    std::fs::metadata("/proc/thread-self/ns/net").map_or(0, |metadata| metadata.ino() as u32)
}

/// Checks that the pinned programs were attached from this network namespace.
///
/// # Errors
/// If they were attached from another one, or nothing is pinned.
pub(crate) fn check(pins: &PinDir) -> Result<(), DatapathError> {
    let control = ControlMap::open(pins, "control")?;
    let namespace = control.field(0, offset_of!(abi::control, namespace));
    let namespace = namespace.load(Ordering::Relaxed);
    if namespace == u64::from(current()) {
        return Ok(());
    }
    Err(DatapathError::Unsupported(format!(
        "the pinned programs are attached in another network namespace (net:[{namespace}]); run \
         bailey in that namespace, or set other [paths]"
    )))
}
