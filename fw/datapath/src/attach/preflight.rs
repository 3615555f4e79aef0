//! An interface before anything is attached to it: is it there, and does it take a program?

use std::io;
use std::os::fd::BorrowedFd;

use aya::util::KernelVersion;
use bailey_config::{Interface, XdpMode};

use crate::attach::event::Interface;
use crate::attach::refusal;
use crate::error::DatapathError;
use crate::kernel::bpf::{self, NicCapabilities};
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::kernel::xdp_mode::XdpMode;

/// An interface that is wanted, as it was found.
pub(crate) struct Candidate<'a> {
    pub(crate) interface: &'a Interface,
    pub(crate) state: InterfaceState,
    pub(crate) facts: NicCapabilities,
}

/// Looks an interface up; one that can be told to refuse is refused before anything is attached.
/// `ours` is the XDP program that is attached there already.
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
    let facts = bpf::probe_nic(&interface.name).map_err(|error| fail(error.to_string()))?;
    if interface.mode == XdpMode::Native && facts.lro == Some(true) {
        return Err(fail(format!(
            "large receive offload is on, and XDP cannot see joined packets; turn it off: \
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
        facts,
    })
}

/// What no interface can make up for.
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

/// Attaches the XDP program; with `replace`, in the place of another's.
pub(crate) fn create_xdp(
    program: BorrowedFd<'_>,
    found: &Candidate<'_>,
    replace: bool,
) -> Result<Link, DatapathError> {
    let Candidate {
        interface,
        state,
        facts,
    } = found;
    let create = || Link::xdp(program, state.index, xdp_flags(interface.mode));
    let link = match create() {
        Err(error) if replace && is_occupied(&error) => {
            remove_foreign(state).map_err(|error| {
                refusal::of(interface, facts, "removing the other program", &error)
            })?;
            create()
        }
        result => result,
    };
    link.map_err(|error| {
        if is_occupied(&error) {
            refusal::occupied(interface)
        } else {
            refusal::of(interface, facts, xdp_name(interface.mode), &error)
        }
    })
}

/// What a refusal calls the hook.
pub(crate) fn xdp_name(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Native => "native XDP",
        XdpMode::Generic => "generic XDP",
    }
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

/// Takes somebody else's XDP program off.
fn remove_foreign(state: &InterfaceState) -> io::Result<()> {
    let Some(xdp) = state.xdp else {
        return Ok(());
    };
    if let Some(link) = Link::xdp_of(xdp.program, state.index)? {
        return link.detach();
    }
    netlink::remove_xdp(state.index, xdp_flags(xdp.mode))
}
