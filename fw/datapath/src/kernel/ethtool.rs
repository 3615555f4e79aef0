//! Settings and capabilities of NICs, by ioctl.
#![expect(unsafe_code, reason = "raw system call: ioctl(2)")]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::kernel::bpf::check;

/// Capabilities of a NIC. Read by ioctl, because sysfs may belong to another network namespace. A
/// value is absent if the driver does not report it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NicCapabilities {
    pub(crate) mtu: Option<u32>,
    pub(crate) driver: Option<String>,
    pub(crate) lro: Option<bool>,
    /// Whether VLAN RX offload strips tags.
    pub(crate) strips_vlan_tags: Option<bool>,
}

const ETHTOOL_GSET: u32 = 0x0000_0001;
const ETHTOOL_GDRVINFO: u32 = 0x0000_0003;
const ETHTOOL_GCHANNELS: u32 = 0x0000_003c;
const ETHTOOL_GFLAGS: u32 = 0x0000_0025;
const ETHTOOL_SFLAGS: u32 = 0x0000_0026;
const ETH_FLAG_RXVLAN: u32 = 1 << 8;
const ETH_FLAG_LRO: u32 = 1 << 15;
const DRVINFO_LEN: usize = 196;

/// Reads the capabilities of a NIC.
///
/// # Errors
/// If the interface does not exist.
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
        strips_vlan_tags: flags.map(|flags| flags & ETH_FLAG_RXVLAN != 0),
    })
}

/// Link speed in Mbit/s; `None` if the driver does not report it.
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
        // "Unknown" of drivers that fill only 16 bits.
        0xffff => None,
        speed => Some(speed.into()),
    }
}

/// Numbers of queues that an interface uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    /// Receive queues.
    pub receiving: u32,
    /// Transmit queues.
    pub sending: u32,
}

/// Queues of an interface; `None` if its driver does not report them. Such an interface has one.
pub fn queues(name: &str) -> Option<Queues> {
    // `struct ethtool_channels`: the command, four limits, four numbers in use.
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

/// Reads the offload flags (`struct ethtool_value`).
fn offload_flags(socket: &OwnedFd, name: &str) -> io::Result<u32> {
    let mut value = [0_u8; 8];
    value[..4].copy_from_slice(&ETHTOOL_GFLAGS.to_ne_bytes());
    ethtool(socket, name, &mut value)?;
    let [_, _, _, _, a, b, c, d] = value;
    Ok(u32::from_ne_bytes([a, b, c, d]))
}

/// Switches VLAN RX offload, as `ethtool -K NAME rxvlan on|off` does.
///
/// # Errors
/// If the driver refuses, or accepts the request without effect.
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
    // A driver may accept the request without effect.
    let after = offload_flags(&socket, name)?;
    if after & ETH_FLAG_RXVLAN == wanted & ETH_FLAG_RXVLAN {
        Ok(())
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Sets or clears `IFF_PROMISC`, as `ip link set NAME promisc on` does.
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

/// Opens a socket for ioctls on interfaces; its family does not matter.
fn any_socket() -> rustix::io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, socket};
    socket(AddressFamily::INET, SocketType::DGRAM, None)
}

fn ifreq(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain old data; all zeros is a valid value.
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
    // SAFETY: these commands take an ifreq. The data pointer of SIOCETHTOOL refers to a live buffer
    // of the size that the sub-command in its first word fills.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), command, std::ptr::from_mut(request)) }.into())
}
