//! The flow table's hash secret: the NH hash over it, and the layout version stored beside it.

use std::mem::offset_of;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// The NH hash (UMAC, RFC 4418) of two words of a flow key.
pub(crate) fn nh_pair(a: u32, key_a: u32, b: u32, key_b: u32) -> u64 {
    u64::from(a.wrapping_add(key_a)) * u64::from(b.wrapping_add(key_b))
}

/// The part of the hash that all IPv4 flows share: the first word of each mapped address is zero.
pub(crate) fn common_ipv4_hash(keys: &abi::flow_keys) -> u64 {
    let nh = &keys.nh;
    nh_pair(0, nh[2], 0, nh[3]).wrapping_add(nh_pair(0, nh[6], 0, nh[7]))
}

/// The `ABI_VERSION` that the pinned maps were created with.
///
/// # Errors
/// If no flow table is pinned.
pub(crate) fn pinned_abi_version(pins: &PinDir) -> Result<u64, DatapathError> {
    let keys = MappedArray::<abi::flow_keys>::open(pins, "flow_keys")?;
    let version = keys.field(0, offset_of!(abi::flow_keys, abi));
    Ok(version.load(Ordering::Relaxed))
}
