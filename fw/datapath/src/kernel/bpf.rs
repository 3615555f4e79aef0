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

/// The kernel runs the calling thread before all ordinary ones, of whatever process (`SCHED_FIFO`,
/// sched(7)). For a thread that mostly waits.
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
pub(crate) struct NicCapabilities {
    pub(crate) mtu: Option<u32>,
    pub(crate) driver: Option<String>,
    pub(crate) lro: Option<bool>,
    /// Does it take VLAN tags off what it receives?
    pub(crate) strips_tags: Option<bool>,
}

const ETHTOOL_GSET: u32 = 0x0000_0001;
const ETHTOOL_GDRVINFO: u32 = 0x0000_0003;
const ETHTOOL_GCHANNELS: u32 = 0x0000_003c;
const ETHTOOL_GFLAGS: u32 = 0x0000_0025;
const ETHTOOL_SFLAGS: u32 = 0x0000_0026;
const ETH_FLAG_RXVLAN: u32 = 1 << 8;
const ETH_FLAG_LRO: u32 = 1 << 15;
const DRVINFO_LEN: usize = 196;

/// Asks for the facts; an interface that does not exist is an error, a fact that is not known
/// is absent.
pub(crate) fn probe_nic(name: &str) -> io::Result<NicCapabilities> {
    let socket = any_socket()?;
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
    Ok(NicCapabilities {
        mtu,
        driver,
        lro: flags.map(|flags| flags & ETH_FLAG_LRO != 0),
        strips_tags: flags.map(|flags| flags & ETH_FLAG_RXVLAN != 0),
    })
}

/// What an interface's line carries, in megabits a second; nothing if it does not tell.
pub fn link_speed(name: &str) -> Option<u64> {
    // `struct ethtool_cmd`, which the core of ethtool fills in for every driver.
    const LENGTH: usize = 44;
    const LOW: usize = 12;
    const HIGH: usize = 28;
    const UNKNOWN: u32 = u32::MAX;
    let socket = any_socket().ok()?;
    let mut settings = [0_u8; LENGTH];
    settings[..4].copy_from_slice(&ETHTOOL_GSET.to_ne_bytes());
    ethtool(&socket, name, &mut settings).ok()?;
    let half = |at: usize| u32::from(u16::from_ne_bytes([settings[at], settings[at + 1]]));
    match half(LOW) | half(HIGH) << 16 {
        0 | UNKNOWN => None,
        // What drivers that know 16 bits only say.
        0xffff => None,
        speed => Some(speed.into()),
    }
}

/// The queues that an interface has in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    /// To receive.
    pub receiving: u32,
    /// To send.
    pub sending: u32,
}

/// The queues of an interface; nothing if its driver does not tell, and then it is one.
pub fn queues(name: &str) -> Option<Queues> {
    // `struct ethtool_channels`: the command, four limits, then what is in use.
    const WORDS: usize = 9;
    const IN_USE: usize = 5;
    let socket = any_socket().ok()?;
    let mut channels = [0_u8; WORDS * size_of::<u32>()];
    channels[..4].copy_from_slice(&ETHTOOL_GCHANNELS.to_ne_bytes());
    ethtool(&socket, name, &mut channels).ok()?;
    let (words, _) = channels.as_chunks::<4>();
    let word = |at: usize| u32::from_ne_bytes(words[IN_USE + at]);
    let [receiving, sending, _others, combined] = [0, 1, 2, 3].map(word);
    Some(Queues {
        receiving: receiving + combined,
        sending: sending + combined,
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
pub(crate) fn set_vlan_stripping(name: &str, on: bool) -> io::Result<()> {
    let socket = any_socket()?;
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
    let socket = any_socket()?;
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

/// Interfaces are asked about through a socket of whatever kind.
fn any_socket() -> rustix::io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, socket};
    socket(AddressFamily::INET, SocketType::DGRAM, None)
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
