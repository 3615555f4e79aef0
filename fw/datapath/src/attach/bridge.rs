//! Ports that XDP redirects to: peer ports of a bridge, ports of a router, and counting of frames
//! that a redirect lost.

use std::collections::BTreeSet;

use aya::Btf;
use aya::programs::BtfTracePoint;
use aya::programs::links::FdLink;
use bailey_config::Topology;

use crate::attach::event::{InterfaceChange, InterfaceEvent};
use crate::attach::nic_settings;
use crate::error::DatapathError;
use crate::error::unusable;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::maps::pins::TRACE;
use crate::maps::shared::SharedMaps;
use crate::program::entry::EntryObject;

/// Checks that both ports accept frames of the same size.
pub(crate) fn check_ports(ports: &[InterfaceState]) -> Result<(), DatapathError> {
    match ports {
        [a, b] if a.mtu != b.mtu => Err(DatapathError::Interface {
            interface: a.name.clone(),
            message: format!(
                "its MTU is {}, that of {} is {}: larger frames would be lost; set both to the same \
                 MTU",
                a.mtu, b.name, b.mtu
            ),
        }),
        _ => Ok(()),
    }
}

/// Makes two interfaces the peer ports of each other. With fewer than two, there is no peer port,
/// and packets that policy passes are dropped and counted.
pub(crate) fn connect(maps: &mut SharedMaps, indices: &[u32]) -> Result<(), DatapathError> {
    let ports: Vec<InterfaceState> = indices
        .iter()
        .filter_map(|&index| netlink::interface(Which::Index(index)).ok().flatten())
        .collect();
    for port in &ports {
        nic_settings::make_promiscuous(&maps.interfaces, port)?;
    }
    let known: Vec<u32> = maps.bridge_ports.keys().flatten().collect();
    for index in known {
        if !indices.contains(&index) || indices.len() < 2 {
            let _ = maps.bridge_ports.remove(index);
        }
    }
    let &[a, b] = indices else {
        return Ok(());
    };
    check_ports(&ports)?;
    for (from, to) in [(a, b), (b, a)] {
        maps.bridge_ports
            .insert(from, to, None, 0)
            .map_err(unusable("bridge_ports"))?;
    }
    Ok(())
}

/// Router: lets XDP redirect to these interfaces, and to no other.
pub(crate) fn open_ports(
    maps: &mut SharedMaps,
    indices: &BTreeSet<u32>,
) -> Result<(), DatapathError> {
    let known: Vec<u32> = maps.bridge_ports.keys().flatten().collect();
    for index in known.iter().filter(|index| !indices.contains(index)) {
        let _ = maps.bridge_ports.remove(*index);
    }
    for &index in indices.iter().filter(|index| !known.contains(index)) {
        maps.bridge_ports
            .insert(index, index, None, 0)
            .map_err(unusable("bridge_ports"))?;
    }
    Ok(())
}

/// Programs, and the tracepoints of failed redirects that they count at.
const TRACEPOINTS: [(&str, &str); 2] = [
    ("bridge_xmit", "xdp_devmap_xmit"),
    ("bridge_error", "xdp_redirect_err"),
];

/// Starts counting of lost frames, except on a host. A failure is an event, because packets are
/// filtered regardless.
pub(crate) fn ensure_loss_counting(
    entry: &mut EntryObject,
    maps: &SharedMaps,
) -> Option<InterfaceEvent> {
    if entry.settings.topology == Topology::Host {
        return None;
    }
    let error = count_redirect_failures(entry, maps).err()?;
    Some(InterfaceEvent::new(
        "bridge",
        InterfaceChange::LossUncounted(error),
    ))
}

/// Attaches the programs that count frames which were redirected and not sent. The XDP program has
/// counted those as passed, so no other counter shows the loss.
fn count_redirect_failures(
    entry: &mut EntryObject,
    maps: &SharedMaps,
) -> Result<(), DatapathError> {
    let pins = TRACEPOINTS.map(|(program, _)| maps.pins.file(&format!("{TRACE}{program}")));
    if maps.is_attached_build() && pins.iter().all(|pin| pin.exists()) {
        return Ok(());
    }
    let btf = Btf::from_sys_fs().map_err(unusable("BTF of the kernel"))?;
    for ((name, tracepoint), pin) in TRACEPOINTS.into_iter().zip(pins) {
        let failed = DatapathError::program(name);
        let attach = |entry: &mut EntryObject| {
            let program = entry.ebpf.program_mut(name);
            let program: &mut BtfTracePoint = program
                .ok_or_else(|| aya::programs::ProgramError::IOError(not_found()))?
                .try_into()?;
            if program.fd().is_err() {
                program.load(tracepoint, &btf)?;
            }
            let id = program.attach()?;
            program.take_link(id)
        };
        let link = attach(entry).map_err(failed)?;
        let link = FdLink::from(link);
        let _ = std::fs::remove_file(&pin);
        link.pin(&pin).map_err(unusable(name))?;
    }
    Ok(())
}

fn not_found() -> std::io::Error {
    std::io::ErrorKind::NotFound.into()
}
