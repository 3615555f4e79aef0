//! The flow table's hash secret: the NH hash over it, and what is stored beside it: the layout version
//! and the epoch of the last pass.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// The NH hash (UMAC, RFC 4418) of two words of a flow key.
pub(crate) fn nh_pair(a: u32, key_a: u32, b: u32, key_b: u32) -> u64 {
    u64::from(a.wrapping_add(key_a)) * u64::from(b.wrapping_add(key_b))
}

/// The `ABI_VERSION` that the pinned maps were created with.
///
/// # Errors
/// If no flow table is pinned.
pub(crate) fn pinned_abi_version(pins: &PinDir) -> Result<u64, DatapathError> {
    let keys = MappedArray::<abi::flow_keys>::open(pins, "flow_keys")?;
    Ok(layout_of(&keys))
}

/// The layout of the flow table with these keys; 0 until the keys are written.
pub(crate) fn layout_of(keys: &MappedArray<abi::flow_keys>) -> u64 {
    let version = keys.field(0, offset_of!(abi::flow_keys, abi));
    version.load(Ordering::Relaxed)
}

/// The epoch at which the last complete pass over the flow table began.
#[derive(Debug)]
pub(crate) struct PassEpoch(MappedArray<abi::flow_keys>);

impl PassEpoch {
    /// Uses the mapped keys of a flow table.
    pub(crate) fn new(keys: MappedArray<abi::flow_keys>) -> Self {
        Self(keys)
    }

    /// Opens the keys of the pinned flow table.
    ///
    /// # Errors
    /// If no flow table is pinned.
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        MappedArray::open_writable(pins, "flow_keys").map(Self)
    }

    pub(crate) fn load(&self) -> u32 {
        self.word().load(Ordering::Acquire) as u32
    }

    /// Records a complete pass. If another process has recorded a pass that began later, this store
    /// takes the epoch back, which is always safe: it allows fewer epochs.
    pub(crate) fn store(&self, epoch: u32) {
        self.word().store(epoch.into(), Ordering::Release);
    }

    fn word(&self) -> &AtomicU64 {
        self.0.field(0, offset_of!(abi::flow_keys, pass_epoch))
    }
}
