//! Why an interface does not take a program, and what to change.

use std::io;

use aya::programs::loaded_programs;
use bailey_config::Interface;

use crate::attach::event::Interface;
use crate::error::DatapathError;
use crate::kernel::bpf::NicCapabilities;
use crate::kernel::netlink::{self, Which};

/// Turns an errno into the cause that it has with common drivers.
pub(crate) fn of(
    interface: &Interface,
    facts: &NicCapabilities,
    hook: &str,
    error: &io::Error,
) -> DatapathError {
    let errno = error.raw_os_error();
    let name = &interface.name;
    let driver = facts.driver.as_deref().unwrap_or("unknown");
    let mtu = facts
        .mtu
        .map_or_else(|| "unknown".to_owned(), |mtu| mtu.to_string());
    let cause = match errno {
        // What follows is about drivers; a filter or tcx program needs none.
        _ if hook.contains("egress") => error.to_string(),
        Some(libc::EOPNOTSUPP) => {
            "the driver has no native XDP; set xdp_mode = \"generic\" for this interface, or use \
             another NIC"
                .to_owned()
        }
        Some(libc::ERANGE | libc::EINVAL) => format!(
            "the MTU (here {mtu}, or the peer's) is too large for XDP in one buffer, or an \
             offload stands in the way; try `ip link set {name} mtu 1500` and `ethtool -K {name} \
             lro off gro-hw off`"
        ),
        Some(libc::ENOSPC | libc::ENOMEM) => {
            format!("the driver has too few queues for XDP; lower them with `ethtool -L {name}`")
        }
        Some(libc::EPERM) => {
            "not permitted; CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON are needed".to_owned()
        }
        _ => error.to_string(),
    };
    let number = errno.map_or_else(String::new, |errno| format!(", errno {errno}"));
    DatapathError::Interface {
        interface: name.clone(),
        message: format!("{hook} refused (driver {driver}, MTU {mtu}{number}): {cause}"),
    }
}

/// Somebody else's XDP program is on the interface.
pub(crate) fn occupied(interface: &Interface) -> DatapathError {
    let state = netlink::interface(Which::Name(&interface.name));
    let id = state
        .ok()
        .flatten()
        .and_then(|state| state.xdp)
        .map(|xdp| xdp.program);
    let who = id.map_or_else(
        || "an unknown XDP program".to_owned(),
        |id| format!("the XDP program {:?} (id {id})", program_name(id)),
    );
    DatapathError::Occupied {
        interface: interface.name.clone(),
        message: format!("{who} is attached; `bailey run --replace` takes its place"),
    }
}

/// The name of a loaded program.
pub fn program_name(id: u32) -> String {
    loaded_programs()
        .flatten()
        .find(|info| info.id() == id)
        .and_then(|info| info.name_as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}
