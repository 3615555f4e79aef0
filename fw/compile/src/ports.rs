//! Port classes: ports that every rule treats alike share one class.

use std::collections::BTreeSet;

use bailey_bpf::abi;
use bailey_policy::{PortMatch, PortRange, PortSpec, Protocol};
use bytemuck::Zeroable;

use crate::intern::Interner;
use crate::limits::CompileError;
use crate::subjects::NamedPorts;

/// A set of port classes, one bit per class.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PortSet(Vec<u64>);

impl PortSet {
    pub(crate) fn contains(&self, class: usize) -> bool {
        self.0[class / 64] >> (class % 64) & 1 == 1
    }
}

/// The partition of all (protocol, port) pairs. Two ports share a class if the same ranges contain
/// both. Class 0 contains the ports outside every range, and protocols without ports.
#[derive(Debug)]
pub(crate) struct PortClasses {
    ranges: Vec<(Protocol, PortRange)>,
    /// By range, the classes that the range contains.
    classes_of: Vec<PortSet>,
    count: usize,
    pub(crate) chunks: Vec<abi::port_chunk>,
}

const PROTOCOLS: [Protocol; abi::PORT_PROTOCOLS as usize] =
    [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

impl PortClasses {
    pub(crate) fn new(ranges: BTreeSet<(Protocol, PortRange)>) -> Result<Self, CompileError> {
        let ranges: Vec<_> = ranges.into_iter().collect();
        let mut classes: Interner<Vec<u32>> = Interner::new();
        classes.intern(Vec::new());
        let mut chunks = Vec::with_capacity(PROTOCOLS.len());
        for protocol in PROTOCOLS {
            chunks.push(partition_ports(protocol, &ranges, &mut classes)?);
        }
        let count = classes.len();
        let mut classes_of = vec![PortSet(vec![0; count.div_ceil(64)]); ranges.len()];
        for (class, held_by) in classes.values().iter().enumerate() {
            for &range in held_by {
                classes_of[range as usize].0[class / 64] |= 1 << (class % 64);
            }
        }
        Ok(Self {
            ranges,
            classes_of,
            count,
            chunks,
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The classes of a union of ranges. Each range must have been passed to [`Self::new`].
    pub(crate) fn union(&self, ranges: impl Iterator<Item = (Protocol, PortRange)>) -> PortSet {
        let mut set = vec![0; self.count.div_ceil(64)];
        for range in ranges {
            let at = self
                .ranges
                .binary_search(&range)
                .expect("all ranges were collected first");
            for (word, more) in set.iter_mut().zip(&self.classes_of[at].0) {
                *word |= more;
            }
        }
        PortSet(set)
    }
}

/// Assigns a class to every port of one protocol, sweeping from port 0 upwards.
fn partition_ports(
    protocol: Protocol,
    ranges: &[(Protocol, PortRange)],
    classes: &mut Interner<Vec<u32>>,
) -> Result<abi::port_chunk, CompileError> {
    let mut chunk = abi::port_chunk::zeroed();
    // (port, range id): where each range begins, and the port after its end.
    let mut begins: Vec<(u32, u32)> = Vec::new();
    let mut ends: Vec<(u32, u32)> = Vec::new();
    for (id, (of, range)) in ranges.iter().enumerate() {
        if *of == protocol {
            begins.push((u32::from(range.first), id as u32));
            ends.push((u32::from(range.last) + 1, id as u32));
        }
    }
    // Between two cuts, all ports are in the same ranges.
    let mut cuts: Vec<u32> = begins.iter().chain(&ends).map(|&(port, _)| port).collect();
    cuts.sort_unstable();
    cuts.dedup();
    begins.sort_unstable();
    ends.sort_unstable();
    let (mut begins, mut ends) = (begins.into_iter().peekable(), ends.into_iter().peekable());
    let mut open: BTreeSet<u32> = BTreeSet::new();
    for pair in cuts.windows(2) {
        while let Some((_, id)) = ends.next_if(|&(port, _)| port <= pair[0]) {
            open.remove(&id);
        }
        while let Some((_, id)) = begins.next_if(|&(port, _)| port <= pair[0]) {
            open.insert(id);
        }
        let class = classes.intern(open.iter().copied().collect());
        let class = u16::try_from(class).map_err(|_| CompileError::Format {
            what: "port classes",
            needed: classes.len(),
            limit: usize::from(u16::MAX) + 1,
        })?;
        chunk.v[pair[0] as usize..pair[1] as usize].fill(class);
    }
    Ok(chunk)
}

/// The port ranges of a list of port matches, with port names resolved by `named`.
pub(crate) fn resolve_ports<'a>(
    ports: &'a [PortMatch],
    named: &'a NamedPorts,
) -> impl Iterator<Item = (Protocol, PortRange)> {
    ports.iter().flat_map(move |port| {
        let range = match &port.port {
            PortSpec::Any => Some(PortRange {
                first: 0,
                last: u16::MAX,
            }),
            PortSpec::Range(range) => Some(*range),
            PortSpec::Named(_) => None,
        };
        let name = match &port.port {
            PortSpec::Named(name) => Some(name),
            PortSpec::Any | PortSpec::Range(_) => None,
        };
        let numbers = named
            .0
            .iter()
            .filter(move |at| Some(&at.name) == name && at.protocol == port.protocol)
            .map(|at| PortRange::single(at.number));
        range
            .into_iter()
            .chain(numbers)
            .map(move |range| (port.protocol, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_share_class_only_within_same_ranges() {
        let range = |first, last| PortRange { first, last };
        let ranges = [
            (Protocol::TCP, range(80, 80)),
            (Protocol::TCP, range(0, 65535)),
            (Protocol::TCP, range(70, 90)),
            (Protocol::UDP, range(53, 53)),
            (Protocol::TCP, range(65535, 65535)),
        ];
        let classes = PortClasses::new(ranges.into()).unwrap();
        for (which, protocol) in PROTOCOLS.into_iter().enumerate() {
            for port in [0, 52, 53, 69, 70, 79, 80, 81, 90, 91, 65534, 65535] {
                let class = usize::from(classes.chunks[which].v[usize::from(port)]);
                for (of, range) in ranges {
                    let holds = of == protocol && range.contains(port);
                    let set = classes.union([(of, range)].into_iter());
                    assert_eq!(set.contains(class), holds, "{protocol} {port} {range:?}");
                }
            }
        }
        assert!(
            classes.chunks[abi::PORT_SCTP as usize]
                .v
                .iter()
                .all(|&class| class == 0)
        );
    }
}
