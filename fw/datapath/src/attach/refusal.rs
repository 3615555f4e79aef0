//! Errors of interfaces that refuse a program, with the usual cause and the remedy.

use std::fmt;
use std::io;

use aya::programs::loaded_programs;
use bailey_config::{Interface, XdpMode};

use crate::error::DatapathError;
use crate::kernel::egress::EgressKind;
use crate::kernel::ethtool::NicCapabilities;
use crate::kernel::netlink::{self, Which};

/// The step of attaching that an interface refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttachStep {
    /// Attaching the XDP program.
    Xdp(XdpMode),
    /// Attaching the egress program.
    Egress(EgressKind),
    /// Detaching another XDP program.
    RemoveForeign,
}

impl fmt::Display for AttachStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xdp(XdpMode::Native) => "native XDP",
            Self::Xdp(XdpMode::Generic) => "generic XDP",
            Self::Egress(EgressKind::Tcx) => "tcx egress",
            Self::Egress(EgressKind::Clsact) => "clsact egress",
            Self::RemoveForeign => "removing the other program",
        })
    }
}

/// Explains an errno by its usual cause in common drivers.
pub(crate) fn explain(
    interface: &Interface,
    capabilities: &NicCapabilities,
    step: AttachStep,
    error: &io::Error,
) -> DatapathError {
    let errno = error.raw_os_error();
    let name = &interface.name;
    let driver = capabilities.driver.as_deref().unwrap_or("unknown");
    let mtu = capabilities
        .mtu
        .map_or_else(|| "unknown".to_owned(), |mtu| mtu.to_string());
    let cause = match step {
        // Egress hooks need nothing of the driver.
        AttachStep::Egress(_) => error.to_string(),
        AttachStep::Xdp(_) | AttachStep::RemoveForeign => driver_cause(name, &mtu, error),
    };
    let number = errno.map_or_else(String::new, |errno| format!(", errno {errno}"));
    DatapathError::Interface {
        interface: name.clone(),
        message: format!("{step} refused (driver {driver}, MTU {mtu}{number}): {cause}"),
    }
}

fn driver_cause(name: &str, mtu: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => {
            "the driver has no native XDP; set xdp_mode = \"generic\" for this interface, or use \
             another NIC"
                .to_owned()
        }
        Some(libc::ERANGE | libc::EINVAL) => format!(
            "the MTU (here {mtu}, or the peer's) is too large for XDP in one buffer, or an offload \
             conflicts with XDP; try `ip link set {name} mtu 1500` and `ethtool -K {name} lro off \
             gro-hw off`"
        ),
        Some(libc::ENOSPC | libc::ENOMEM) => {
            format!("the driver has too few queues for XDP; lower them with `ethtool -L {name}`")
        }
        Some(libc::EPERM) => {
            "not permitted; CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON are needed".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The error for an interface that carries another XDP program.
pub(crate) fn occupied(interface: &Interface) -> DatapathError {
    let state = netlink::interface(Which::Name(&interface.name));
    let id = state
        .ok()
        .flatten()
        .and_then(|state| state.xdp)
        .map(|xdp| xdp.program);
    let program = id.map_or_else(
        || "an unknown XDP program".to_owned(),
        |id| format!("the XDP program {:?} (id {id})", program_name(id)),
    );
    DatapathError::Occupied {
        interface: interface.name.clone(),
        message: format!("{program} is attached; `bailey run --replace` replaces it"),
    }
}

/// Name of a loaded program; empty if there is no program with this id.
pub fn program_name(id: u32) -> String {
    loaded_programs()
        .flatten()
        .find(|info| info.id() == id)
        .and_then(|info| info.name_as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}
