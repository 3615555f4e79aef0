//! Tables that are written once, frozen, and read back before use.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use crate::error::DatapathError;
use crate::kernel::bpf;
use crate::kernel::mmap::Mapping;

/// Writes a table through one mapping, freezes it, and compares the kernel's copy with `image`
/// through a second mapping.
///
/// # Errors
/// If the map cannot be mapped or frozen, or holds other bytes than `image`.
pub(crate) fn write_and_freeze(
    map: BorrowedFd<'_>,
    name: &str,
    image: &[u8],
) -> Result<(), DatapathError> {
    let (words, rest) = image.as_chunks::<8>();
    debug_assert!(rest.is_empty(), "elements are multiples of 8 bytes");
    if !words.is_empty() {
        let mapping = Mapping::writable(map, image.len())
            .map_err(DatapathError::map(name, "map into memory"))?;
        for (to, word) in mapping.words().iter().zip(words) {
            to.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
    }
    bpf::map_freeze(map).map_err(DatapathError::map(name, "freeze"))?;
    if !words.is_empty() {
        let mapping = Mapping::readable(map, image.len())
            .map_err(DatapathError::map(name, "map into memory"))?;
        let mut pairs = mapping.words().iter().zip(words);
        if !pairs.all(|(held, word)| held.load(Ordering::Relaxed) == u64::from_ne_bytes(*word)) {
            return Err(DatapathError::ReadBack {
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}
