//! Memory mappings of BPF arrays. Knows no types of elements.
#![expect(unsafe_code, reason = "mmap(2) and the views into what it returns")]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The values of an mmapable BPF array, as 64-bit words that are shared with the kernel. BPF rounds
/// the size of values up to 8 bytes.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: NonNull<AtomicU64>,
    words: usize,
    mapped: usize,
}

// SAFETY: the memory is shared with the kernel and is only accessed atomically.
unsafe impl Send for Mapping {}
// SAFETY: as above; AtomicU64 allows access from several threads.
unsafe impl Sync for Mapping {}

const PAGE: usize = 4096;

impl Mapping {
    /// Maps `bytes` of values for reading and writing. The map cannot be frozen while the mapping
    /// exists.
    pub(crate) fn writable(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Self::new(map, bytes, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// Maps `bytes` of values for reading. A store to the words raises SIGSEGV.
    pub(crate) fn readable(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Self::new(map, bytes, ProtFlags::READ)
    }

    fn new(map: BorrowedFd<'_>, bytes: usize, protection: ProtFlags) -> io::Result<Self> {
        let mapped = bytes.next_multiple_of(PAGE);
        // SAFETY: a new mapping at an address that the kernel chooses overlaps no other; the kernel
        // refuses a length beyond the map's values.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                mapped,
                protection,
                MapFlags::SHARED,
                map,
                0,
            )
        }?;
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            address,
            words: bytes / size_of::<u64>(),
            mapped,
        })
    }

    /// The values as words.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, at least `words` long, lives as long as `self`,
        // and all other code accesses it atomically or not at all.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping that `new` made, and no view of it outlives `self`.
        let result = unsafe { munmap(self.address.as_ptr().cast(), self.mapped) };
        debug_assert!(result.is_ok());
    }
}
