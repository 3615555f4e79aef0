//! bpf(2), membarrier(2) and sched_setscheduler(2), which no library wraps safely.
#![expect(unsafe_code, reason = "raw system calls")]

use std::ffi::{CString, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Commands of `enum bpf_cmd`, linux/bpf.h.
const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_MAP_FREEZE: libc::c_long = 22;
/// Flag of an array that user space can map into memory, linux/bpf.h.
pub(crate) const BPF_F_MMAPABLE: u32 = 1 << 10;

/// Start of `union bpf_attr` for commands that take a path.
#[repr(C)]
#[derive(Default)]
pub(super) struct PathAttr {
    pub(super) path: u64,
    pub(super) fd: u32,
    pub(super) flags: u32,
}

/// bpf(2). The kernel reads the part of `union bpf_attr` after `attribute` as zeros.
pub(crate) fn bpf<T>(command: libc::c_long, attribute: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the pointer and the size describe `attribute`, which outlives the call; pointers in
    // it are to live buffers of the stated sizes, see the callers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attribute).cast::<c_void>(),
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The start of `union bpf_attr` for `BPF_MAP_CREATE`.
#[repr(C)]
#[derive(Default)]
struct CreateAttr {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    name: [u8; 16],
}

/// Creates an array that user space can map into memory. The kernel keeps the first 15 bytes of the
/// name.
///
/// # Errors
/// EPERM without CAP_BPF, EINVAL for a name with characters other than letters, digits, `_` and `.`.
pub(crate) fn create_array(name: &str, value_size: u32, entries: u32) -> io::Result<OwnedFd> {
    const ARRAY: u32 = 2;
    let mut attribute = CreateAttr {
        map_type: ARRAY,
        key_size: 4,
        value_size,
        max_entries: entries,
        map_flags: BPF_F_MMAPABLE,
        ..CreateAttr::default()
    };
    for (to, byte) in attribute.name[..15].iter_mut().zip(name.bytes()) {
        *to = byte;
    }
    bpf(BPF_MAP_CREATE, &mut attribute).map(owned)
}

/// A descriptor that the kernel has just returned.
pub(super) fn owned(fd: libc::c_long) -> OwnedFd {
    // SAFETY: the kernel has just returned this descriptor, and no other code owns it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Gives the calling thread real-time priority (`SCHED_FIFO`, sched(7)): it runs before all
/// ordinary threads of the machine. For threads that mostly wait.
///
/// # Errors
/// EPERM without CAP_SYS_NICE where RLIMIT_RTPRIO is 0.
pub fn set_realtime_priority() -> io::Result<()> {
    const THIS_THREAD: libc::pid_t = 0;
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter is a live value of the type that the call reads.
    check(unsafe { libc::sched_setscheduler(THIS_THREAD, policy, &raw const parameter) }.into())
}

/// Makes a map permanently read-only for system calls.
///
/// # Errors
/// EBUSY while a writable mapping of the map exists.
pub(crate) fn map_freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attribute: [u32; 2] = [map.as_raw_fd() as u32, 0];
    bpf(BPF_MAP_FREEZE, &mut attribute).map(drop)
}

/// Waits until every BPF program that was running at the time of the call has ended
/// (`MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu`).
///
/// # Errors
/// EINVAL on kernels with `nohz_full` CPUs.
pub(crate) fn grace_period() -> io::Result<()> {
    // SAFETY: membarrier takes no pointers.
    check(unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) })
}

/// Pins a map, program or link.
pub(crate) fn pin_descriptor(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut attribute = PathAttr {
        path: path.as_ptr() as u64,
        fd: fd.as_raw_fd() as u32,
        ..PathAttr::default()
    };
    bpf(BPF_OBJ_PIN, &mut attribute).map(drop)
}

pub(super) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

pub(super) fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
