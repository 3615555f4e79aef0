//! The part of a packet that a fragment holds.

use crate::Fragment;

/// The largest size of an IP packet, in bytes.
const LARGEST_PACKET: usize = 65_535;

/// Classifies a fragment of `bytes` bytes at `offset` bytes. `before` are the bytes of the header
/// that count for the size of the packet.
///
/// # Errors
///
/// The reason of the drop, if no packet can have such a fragment.
pub(super) fn classify(
    offset: u16,
    more: bool,
    bytes: usize,
    before: usize,
) -> Result<Fragment, &'static str> {
    let end = before + usize::from(offset) + bytes;
    if bytes == 0 || more && !bytes.is_multiple_of(8) || end > LARGEST_PACKET {
        return Err("fragment");
    }
    if offset > 0 {
        return Ok(Fragment::Later { offset });
    }
    u16::try_from(bytes)
        .map(|bytes| Fragment::First { bytes })
        .map_err(|_| "fragment")
}
