//! System calls that no library wraps safely.
#![expect(
    unsafe_code,
    reason = "raw system calls: bpf(2), membarrier(2), ioctl(2)"
)]

use std::ffi::c_void;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// `BPF_MAP_FREEZE` of `enum bpf_cmd`, linux/bpf.h.
const BPF_MAP_FREEZE: libc::c_long = 22;

/// bpf(2) with an attribute whose unset rest counts as zero.
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

/// Makes a map read-only for system calls, for good.
///
/// # Errors
/// EBUSY while a writable mapping of the map exists.
pub(crate) fn map_freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attribute: [u32; 2] = [map.as_raw_fd() as u32, 0];
    bpf(BPF_MAP_FREEZE, &mut attribute).map(drop)
}

/// Returns after every program that was running when it was called has ended
/// (`MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu`).
///
/// # Errors
/// EINVAL on kernels with `nohz_full` CPUs.
pub(crate) fn grace_period() -> io::Result<()> {
    // SAFETY: membarrier takes no pointers.
    check(unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) })
}

/// The boot clock, which `bpf_ktime_get_boot_ns` reads too.
pub(crate) fn boot_nanoseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    (now.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec as u64)
}

/// What the kernel says of a network interface without sysfs, which may show those of another
/// network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InterfaceFacts {
    pub(crate) mtu: Option<u32>,
    pub(crate) driver: Option<String>,
    pub(crate) lro: Option<bool>,
    /// Does it take VLAN tags off what it receives?
    pub(crate) strips_tags: Option<bool>,
}

const ETHTOOL_GDRVINFO: u32 = 0x0000_0003;
const ETHTOOL_GFLAGS: u32 = 0x0000_0025;
const ETHTOOL_SFLAGS: u32 = 0x0000_0026;
const ETH_FLAG_RXVLAN: u32 = 1 << 8;
const ETH_FLAG_LRO: u32 = 1 << 15;
const DRVINFO_LEN: usize = 196;

/// Asks for the facts; an interface that does not exist is an error, a fact that is not known
/// is absent.
pub(crate) fn interface_facts(name: &str) -> io::Result<InterfaceFacts> {
    use rustix::net::{AddressFamily, SocketType, socket};
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut request = ifreq(name)?;
    let mtu = ioctl(&socket, libc::SIOCGIFMTU, &mut request)
        .ok()
        .map(|()| {
            // SAFETY: SIOCGIFMTU filled in this member of the union.
            unsafe { request.ifr_ifru.ifru_mtu as u32 }
        });
    let mut drvinfo = [0_u8; DRVINFO_LEN];
    drvinfo[..4].copy_from_slice(&ETHTOOL_GDRVINFO.to_ne_bytes());
    let driver = ethtool(&socket, name, &mut drvinfo).ok().map(|()| {
        let name = drvinfo[4..36].split(|&b| b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    });
    let flags = offload_flags(&socket, name).ok();
    Ok(InterfaceFacts {
        mtu,
        driver,
        lro: flags.map(|flags| flags & ETH_FLAG_LRO != 0),
        strips_tags: flags.map(|flags| flags & ETH_FLAG_RXVLAN != 0),
    })
}

/// `struct ethtool_value`
fn offload_flags(socket: &OwnedFd, name: &str) -> io::Result<u32> {
    let mut value = [0_u8; 8];
    value[..4].copy_from_slice(&ETHTOOL_GFLAGS.to_ne_bytes());
    ethtool(socket, name, &mut value)?;
    let [_, _, _, _, a, b, c, d] = value;
    Ok(u32::from_ne_bytes([a, b, c, d]))
}

/// As `ethtool -K NAME rxvlan on|off` does.
pub(crate) fn set_tag_stripping(name: &str, on: bool) -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, socket};
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let before = offload_flags(&socket, name)?;
    let wanted = if on {
        before | ETH_FLAG_RXVLAN
    } else {
        before & !ETH_FLAG_RXVLAN
    };
    let mut value = [0_u8; 8];
    value[..4].copy_from_slice(&ETHTOOL_SFLAGS.to_ne_bytes());
    value[4..].copy_from_slice(&wanted.to_ne_bytes());
    ethtool(&socket, name, &mut value)?;
    // A driver may take the wish and do as before.
    let after = offload_flags(&socket, name)?;
    if after & ETH_FLAG_RXVLAN == wanted & ETH_FLAG_RXVLAN {
        Ok(())
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Sets or clears `IFF_PROMISC` as `ip link set NAME promisc on` does.
pub(crate) fn set_promiscuous(name: &str, on: bool) -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, socket};
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut request = ifreq(name)?;
    ioctl(&socket, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS filled in this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let promiscuous = libc::IFF_PROMISC as libc::c_short;
    request.ifr_ifru.ifru_flags = if on {
        flags | promiscuous
    } else {
        flags & !promiscuous
    };
    ioctl(&socket, libc::SIOCSIFFLAGS, &mut request)
}

fn ifreq(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain old data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn ethtool(socket: &OwnedFd, name: &str, data: &mut [u8]) -> io::Result<()> {
    let mut request = ifreq(name)?;
    request.ifr_ifru.ifru_data = data.as_mut_ptr().cast();
    ioctl(socket, libc::SIOCETHTOOL, &mut request)
}

fn ioctl(socket: &OwnedFd, command: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: these commands take an ifreq; where one points on (SIOCETHTOOL), it points to a
    // buffer of the size that the sub-command in its first word fills.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), command, std::ptr::from_mut(request)) }.into())
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
