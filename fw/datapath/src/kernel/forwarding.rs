//! Checks that the kernel makes when it forwards a packet, besides the route: IPsec policy and the
//! reverse path filter.

use std::fs;
use std::io;

use netlink_sys::protocols::NETLINK_XFRM;
use netlink_sys::{Socket, SocketAddr};

/// Messages of `linux/xfrm.h`.
const GET_SPD_INFO: u16 = 0x25;
const GET_DEFAULT: u16 = 0x28;
const SPD_INFO: u16 = 1;
const DEFAULT_BLOCK: u8 = 1;
const HEADER: usize = 16;
const REQUEST: u16 = 1;
const ERROR: u16 = 2;

/// Whether this network namespace has IPsec policy, or blocks packets that no policy matches. True
/// if the kernel does not answer: then the kernel network stack forwards, and checks by itself.
pub fn has_ipsec_policy() -> bool {
    let socket = match open() {
        Ok(socket) => socket,
        // A kernel without IPsec has no IPsec policy.
        Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => return false,
        Err(_) => return true,
    };
    let counts = request(&socket, GET_SPD_INFO);
    let policies = counts.map_or(true, |answer| {
        // Flags, then attributes. The first three counts are inbound, outbound and forward
        // policies.
        let info = attribute(answer.get(4..).unwrap_or_default(), SPD_INFO);
        info.and_then(|info| info.get(..12))
            .is_none_or(|counts| counts.iter().any(|&byte| byte != 0))
    });
    // Before Linux 5.14 the default is always to accept.
    policies
        || request(&socket, GET_DEFAULT).is_ok_and(|answer| {
            let defaults = answer.get(..3).unwrap_or_default();
            defaults.contains(&DEFAULT_BLOCK)
        })
}

/// Whether the reverse path filter checks IPv4 packets received on an interface. The stricter of
/// the settings for all interfaces and for this one applies
/// (`Documentation/networking/ip-sysctl.rst`).
pub(crate) fn filters_reverse_path(interface: &str) -> bool {
    ["all", interface].iter().any(|name| {
        let path = format!("/proc/sys/net/ipv4/conf/{name}/rp_filter");
        fs::read_to_string(path).map_or(true, |text| text.trim() != "0")
    })
}

/// Whether the kernel forwards IPv6 packets received on an interface. `bpf_fib_lookup` checks
/// neither the global switch nor whether IPv6 is enabled on the interface.
pub(crate) fn forwards_ipv6(interface: &str) -> bool {
    let set = |path: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{path}"));
        text.is_ok_and(|text| text.trim() != "0")
    };
    set("all/forwarding") && !set(&format!("{interface}/disable_ipv6"))
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_XFRM)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let timeout = Some(std::time::Duration::from_secs(5));
    rustix::net::sockopt::set_socket_timeout(
        &socket,
        rustix::net::sockopt::Timeout::Recv,
        timeout,
    )?;
    Ok(socket)
}

/// Sends a request with one word of payload, and returns the payload of the answer.
fn request(socket: &Socket, kind: u16) -> io::Result<Vec<u8>> {
    let length = HEADER as u32 + 4;
    let mut message = Vec::with_capacity(length as usize);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend([0; 12]);
    socket.send(&message, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let kind = answer
        .get(4..6)
        .map(|two| u16::from_ne_bytes([two[0], two[1]]));
    if kind.is_none_or(|kind| kind == ERROR) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(answer.get(HEADER..).unwrap_or_default().to_vec())
}

fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    while let [a, b, c, d, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([c, d]) == wanted {
            return rest.get(4..length);
        }
        rest = rest.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}
