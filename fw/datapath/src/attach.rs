use std::sync::atomic::Ordering;

use aya::programs::links::{FdLink, Link};
use aya::programs::tc::{TcAttachOptions, TcAttachType};
use aya::programs::xdp::XdpMode as AyaMode;
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, Xdp};
use aya::util::KernelVersion;
use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::shared::{Shared, classifier, xdp};
use crate::sys::{self, InterfaceFacts};

/// How XDP runs on an interface; what is asked for is what happens, or attaching fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, before the kernel allocates a packet.
    #[default]
    Native,
    /// After the kernel allocated the packet: any interface, slower.
    Generic,
}

/// An interface to attach to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name in this network namespace.
    pub name: String,
    /// Its XDP mode.
    pub mode: XdpMode,
}

/// Programs on interfaces; closing the links detaches them.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    links: Vec<FdLink>,
}

impl Attachments {
    pub(crate) fn attach(
        &mut self,
        shared: &mut Shared,
        interfaces: &[Interface],
    ) -> Result<(), DatapathError> {
        check_kernel()?;
        let mut facts = Vec::new();
        for interface in interfaces {
            facts.push(facts_of(interface)?);
        }
        let mut links = Vec::new();
        // Egress first: a flow that the node opens must be known before its reply meets XDP.
        for (interface, facts) in interfaces.iter().zip(&facts) {
            let program = classifier(&mut shared.entry, "entry_tc")?;
            links.push(attach_tc(program, interface, facts)?);
        }
        for (interface, facts) in interfaces.iter().zip(&facts) {
            let program = xdp(&mut shared.entry, "entry_xdp")?;
            links.push(attach_xdp(program, interface, facts)?);
            let word = &shared.judged.words()[(facts.index / 64) as usize];
            word.fetch_or(1 << (facts.index % 64), Ordering::Relaxed);
        }
        self.links.extend(links);
        Ok(())
    }

    /// In the reverse order: XDP goes before the egress hook that feeds its flows.
    pub(crate) fn detach(&mut self) {
        while let Some(link) = self.links.pop() {
            let _ = link.detach();
        }
    }
}

fn check_kernel() -> Result<(), DatapathError> {
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
    let tcx = KernelVersion::current().is_ok_and(|running| running >= KernelVersion::new(6, 6, 0));
    if !tcx {
        return Err(DatapathError::Unsupported(
            "this kernel has no tcx (Linux 6.6), which the egress hook needs".into(),
        ));
    }
    Ok(())
}

fn facts_of(interface: &Interface) -> Result<InterfaceFacts, DatapathError> {
    let fail = |message: String| DatapathError::Interface {
        interface: interface.name.clone(),
        message,
    };
    let facts = sys::interface_facts(&interface.name)
        .map_err(|error| fail(format!("{error}; `ip link` lists those that exist")))?;
    if facts.index >= abi::IFINDEX_MAX {
        return Err(fail(format!(
            "its index {} is not below {}; reboot or re-create it",
            facts.index,
            abi::IFINDEX_MAX
        )));
    }
    if interface.mode == XdpMode::Native && facts.lro == Some(true) {
        return Err(fail(format!(
            "large receive offload is on, and XDP cannot see joined packets; turn it off: \
             ethtool -K {} lro off",
            interface.name
        )));
    }
    Ok(facts)
}

fn attach_tc(
    program: &mut SchedClassifier,
    interface: &Interface,
    facts: &InterfaceFacts,
) -> Result<FdLink, DatapathError> {
    let attached = program
        .attach_with_options(
            &interface.name,
            TcAttachType::Egress,
            // First: a program before it could let packets go that it never sees.
            TcAttachOptions::TcxOrder(LinkOrder::first()),
        )
        .and_then(|id| program.take_link(id))
        .map_err(|error| refusal(interface, facts, "tcx egress", &error))?;
    FdLink::try_from(attached).map_err(|error| DatapathError::Interface {
        interface: interface.name.clone(),
        message: format!("tcx egress: {error}"),
    })
}

fn attach_xdp(
    program: &mut Xdp,
    interface: &Interface,
    facts: &InterfaceFacts,
) -> Result<FdLink, DatapathError> {
    let (mode, name) = match interface.mode {
        XdpMode::Native => (AyaMode::Driver, "native XDP"),
        XdpMode::Generic => (AyaMode::Skb, "generic XDP"),
    };
    let attached = program
        .attach_to_if_index(facts.index, mode)
        .and_then(|id| program.take_link(id))
        .map_err(|error| refusal(interface, facts, name, &error))?;
    FdLink::try_from(attached).map_err(|error| DatapathError::Interface {
        interface: interface.name.clone(),
        message: format!("{name}: {error}"),
    })
}

/// Turns an errno into the cause that it has with common drivers, and what to change.
fn refusal(
    interface: &Interface,
    facts: &InterfaceFacts,
    hook: &str,
    error: &ProgramError,
) -> DatapathError {
    let errno = errno_of(error);
    let name = &interface.name;
    let driver = facts.driver.as_deref().unwrap_or("unknown");
    let mtu = facts
        .mtu
        .map_or_else(|| "unknown".to_owned(), |mtu| mtu.to_string());
    let cause = match errno {
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
        Some(libc::EBUSY | libc::EEXIST) => format!(
            "another XDP program is attached; `bpftool net show dev {name}` names it, `ip link \
             set {name} xdp off` removes one that no link holds"
        ),
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

fn errno_of(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        at = error.source();
    }
    None
}
