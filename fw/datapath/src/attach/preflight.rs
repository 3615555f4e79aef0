//! Checks of an interface and of the kernel before attaching, and the attaching of XDP.

use std::io;
use std::os::fd::BorrowedFd;

use aya::util::KernelVersion;
use bailey_config::{Interface, XdpMode};

use crate::attach::refusal::{self, AttachStep};
use crate::error::DatapathError;
use crate::kernel::ethtool::{self, NicCapabilities};
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::kernel::xdp_mode::xdp_flags;

/// A configured interface that exists and has passed the checks.
pub(crate) struct Candidate<'a> {
    pub(crate) interface: &'a Interface,
    pub(crate) state: InterfaceState,
    pub(crate) capabilities: NicCapabilities,
}

/// Checks an interface without changing it. `ours` is the id of Bailey's XDP program on it; with
/// `replace`, another XDP program is accepted.
///
/// # Errors
/// If the interface does not exist, has LRO enabled, or carries another XDP program.
pub(crate) fn preflight(
    interface: &Interface,
    ours: Option<u32>,
    replace: bool,
) -> Result<Candidate<'_>, DatapathError> {
    let fail = |message: String| DatapathError::Interface {
        interface: interface.name.clone(),
        message,
    };
    let state = netlink::interface(Which::Name(&interface.name))
        .map_err(|error| fail(error.to_string()))?
        .ok_or_else(|| DatapathError::NoInterface {
            interface: interface.name.clone(),
        })?;
    let capabilities =
        ethtool::probe_nic(&interface.name).map_err(|error| fail(error.to_string()))?;
    if interface.mode == XdpMode::Native && capabilities.lro == Some(true) {
        return Err(fail(format!(
            "large receive offload (LRO) is on, and XDP cannot read merged packets; turn it off: \
             ethtool -K {} lro off",
            interface.name
        )));
    }
    if let Some(xdp) = state.xdp
        && Some(xdp.program) != ours
        && !replace
    {
        return Err(refusal::occupied(interface));
    }
    Ok(Candidate {
        interface,
        state,
        capabilities,
    })
}

/// Checks that the kernel is supported.
///
/// # Errors
/// If the kernel is PREEMPT_RT, or older than Linux 6.1.
pub(crate) fn check_kernel() -> Result<(), DatapathError> {
    let version = rustix::system::uname()
        .version()
        .to_string_lossy()
        .into_owned();
    if version.contains("PREEMPT_RT") {
        return Err(DatapathError::Unsupported(
            "this kernel is PREEMPT_RT: packets could overwrite each other's per-CPU scratch; \
             use a kernel without it"
                .into(),
        ));
    }
    let oldest = KernelVersion::new(6, 1, 0);
    if KernelVersion::current().is_ok_and(|running| running < oldest) {
        return Err(DatapathError::Unsupported(
            "this kernel is older than Linux 6.1, the oldest that Bailey is tested on".into(),
        ));
    }
    Ok(())
}

/// Attaches the XDP program; with `replace`, detaches another program first.
///
/// # Errors
/// If the interface refuses the program, or carries another one and `replace` is not set.
pub(crate) fn attach_xdp(
    program: BorrowedFd<'_>,
    candidate: &Candidate<'_>,
    replace: bool,
) -> Result<Link, DatapathError> {
    let Candidate {
        interface,
        state,
        capabilities,
    } = candidate;
    let refused = |step: AttachStep, error: &io::Error| {
        refusal::explain(interface, capabilities, step, error)
    };
    let create = || Link::xdp(program, state.index, xdp_flags(interface.mode));
    let link = match create() {
        Err(error) if replace && is_occupied(&error) => {
            detach_foreign(state).map_err(|error| refused(AttachStep::RemoveForeign, &error))?;
            create()
        }
        result => result,
    };
    link.map_err(|error| {
        if is_occupied(&error) {
            refusal::occupied(interface)
        } else {
            refused(AttachStep::Xdp(interface.mode), &error)
        }
    })
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

/// Detaches the XDP program of another owner.
fn detach_foreign(state: &InterfaceState) -> io::Result<()> {
    let Some(xdp) = state.xdp else {
        return Ok(());
    };
    if let Some(link) = Link::xdp_of(xdp.program, state.index)? {
        return link.detach();
    }
    netlink::remove_xdp(state.index, xdp_flags(xdp.mode))
}
