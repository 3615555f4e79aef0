//! The failsafe table in the form that the programs read.

use bailey_bpf::abi;
use bailey_config::Failsafe;

use crate::maps::cidr::CidrWords;

/// Bytes of the map `failsafe`: the entries, and a bitmap of their ports.
pub(crate) fn image(entries: &[Failsafe]) -> Vec<u8> {
    let mut table: abi::failsafe = bytemuck::Zeroable::zeroed();
    for (slot, failsafe) in table.entry.iter_mut().zip(entries) {
        *slot = entry(failsafe);
        table.ports[usize::from(failsafe.port / 64)] |= 1 << (failsafe.port % 64);
    }
    bytemuck::bytes_of(&table).to_vec()
}

fn entry(failsafe: &Failsafe) -> abi::failsafe_entry {
    let words = CidrWords::from(failsafe.cidr);
    abi::failsafe_entry {
        addr_be: words.addr_be,
        mask_be: words.mask_be,
        port: failsafe.port,
        protocol: failsafe.protocol.0,
        kind: words.kind as u8,
        pad: [0; 4],
    }
}
