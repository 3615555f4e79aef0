use std::collections::BTreeSet;

use aya::Btf;
use aya::programs::BtfTracePoint;
use aya::programs::links::FdLink;

use crate::attach::nic_settings;
use crate::error::DatapathError;
use crate::error::unusable;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::maps::pins::TRACE;
use crate::program::entry::Shared;

/// Two sides must take the same frames.
pub(crate) fn check(sides: &[InterfaceState]) -> Result<(), DatapathError> {
    match sides {
        [a, b] if a.mtu != b.mtu => Err(DatapathError::Interface {
            interface: a.name.clone(),
            message: format!(
                "its MTU is {}, that of {} is {}: frames that one takes the other would lose; give \
                 both the same",
                a.mtu, b.name, b.mtu
            ),
        }),
        _ => Ok(()),
    }
}

/// Makes the two interfaces each other's other side. With one of them missing there is no other
/// side, and what passes policy is dropped and counted.
pub(crate) fn connect(shared: &mut Shared, indices: &[u32]) -> Result<(), DatapathError> {
    let sides: Vec<InterfaceState> = indices
        .iter()
        .filter_map(|&index| netlink::interface(Which::Index(index)).ok().flatten())
        .collect();
    for side in &sides {
        nic_settings::make_promiscuous(shared, side)?;
    }
    let known: Vec<u32> = shared.bridge_ports.keys().flatten().collect();
    for index in known {
        if !indices.contains(&index) || indices.len() < 2 {
            let _ = shared.bridge_ports.remove(index);
        }
    }
    let &[a, b] = indices else {
        return Ok(());
    };
    check(&sides)?;
    for (from, to) in [(a, b), (b, a)] {
        shared
            .bridge_ports
            .insert(from, to, None, 0)
            .map_err(unusable("bridge_ports"))?;
    }
    Ok(())
}

/// Router: makes each of these interfaces one that XDP sends to, and no other.
pub(crate) fn open_ports(
    shared: &mut Shared,
    indices: &BTreeSet<u32>,
) -> Result<(), DatapathError> {
    let known: Vec<u32> = shared.bridge_ports.keys().flatten().collect();
    for index in known.iter().filter(|index| !indices.contains(index)) {
        let _ = shared.bridge_ports.remove(*index);
    }
    for &index in indices.iter().filter(|index| !known.contains(index)) {
        shared
            .bridge_ports
            .insert(index, index, None, 0)
            .map_err(unusable("bridge_ports"))?;
    }
    Ok(())
}

/// The tracepoints that tell what a redirect did not deliver.
const TRACEPOINTS: [(&str, &str); 2] = [
    ("bridge_xmit", "xdp_devmap_xmit"),
    ("bridge_error", "xdp_redirect_err"),
];

/// Counts frames that were redirected and not sent. They left the program as passed; without this
/// nobody would know.
pub(crate) fn count_redirect_failures(shared: &mut Shared) -> Result<(), DatapathError> {
    let pins = TRACEPOINTS.map(|(program, _)| shared.pins.pin(&format!("{TRACE}{program}")));
    if shared.is_attached_build() && pins.iter().all(|pin| pin.exists()) {
        return Ok(());
    }
    let btf = Btf::from_sys_fs().map_err(unusable("BTF of the kernel"))?;
    for ((name, tracepoint), pin) in TRACEPOINTS.into_iter().zip(pins) {
        let failed = DatapathError::program(name);
        let attach = |shared: &mut Shared| {
            let program = shared.entry.program_mut(name);
            let program: &mut BtfTracePoint = program
                .ok_or_else(|| aya::programs::ProgramError::IOError(not_found()))?
                .try_into()?;
            if program.fd().is_err() {
                program.load(tracepoint, &btf)?;
            }
            let id = program.attach()?;
            program.take_link(id)
        };
        let link = attach(shared).map_err(failed)?;
        let link = FdLink::from(link);
        let _ = std::fs::remove_file(&pin);
        link.pin(&pin).map_err(unusable(name))?;
    }
    Ok(())
}

fn not_found() -> std::io::Error {
    std::io::ErrorKind::NotFound.into()
}
