use crate::Fragment;

const PACKET: usize = 65_535;

/// What the fields of a fragment say, both in bytes; `before` are bytes that count for the size of
/// the packet but are no part of the fragment.
///
/// # Errors
///
/// With the reason of a fragment that no packet can have.
pub(crate) fn classify(
    offset: u16,
    more: bool,
    bytes: usize,
    before: usize,
) -> Result<Fragment, &'static str> {
    let end = before + usize::from(offset) + bytes;
    if bytes == 0 || more && !bytes.is_multiple_of(8) || end > PACKET {
        return Err("fragment");
    }
    if offset > 0 {
        return Ok(Fragment::Later { offset });
    }
    u16::try_from(bytes)
        .map(|bytes| Fragment::First { bytes })
        .map_err(|_| "fragment")
}
