//! All elements of a map of any kind, by system call. For tests: aya reads maps of known types.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::kernel::bpf::bpf;

/// Commands of `enum bpf_cmd`, linux/bpf.h.
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_GET_NEXT_KEY: libc::c_long = 4;

/// `union bpf_attr` of both commands.
#[repr(C)]
struct ElementAttr {
    map: u32,
    padding: u32,
    key: u64,
    /// For the value, or for the next key.
    result: u64,
    flags: u64,
}

/// Reads keys and values. `value_size` is that of all CPUs in a per-CPU map.
///
/// # Errors
/// If the kernel refuses.
pub(crate) fn read(
    map: BorrowedFd<'_>,
    key_size: usize,
    value_size: usize,
) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut elements = BTreeMap::new();
    let mut key: Option<Vec<u8>> = None;
    loop {
        let mut next = vec![0; key_size];
        let before = key.as_ref().map_or(0, |key| key.as_ptr() as u64);
        if !call(BPF_MAP_GET_NEXT_KEY, map, before, &mut next)? {
            return Ok(elements);
        }
        let mut value = vec![0; value_size];
        if call(BPF_MAP_LOOKUP_ELEM, map, next.as_ptr() as u64, &mut value)? {
            elements.insert(next.clone(), value);
        }
        key = Some(next);
    }
}

/// Whether there is such an element; `key` is the address of a live key, or 0.
fn call(command: libc::c_long, map: BorrowedFd<'_>, key: u64, to: &mut [u8]) -> io::Result<bool> {
    let mut attribute = ElementAttr {
        map: map.as_raw_fd() as u32,
        padding: 0,
        key,
        result: to.as_mut_ptr() as u64,
        flags: 0,
    };
    match bpf(command, &mut attribute) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
