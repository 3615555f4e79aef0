//! VLAN and bond devices stacked on filtered interfaces. If all interfaces below a device are
//! filtered, its packets were filtered there, and the egress program does not evaluate them again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bailey_bpf::abi;
use bailey_config::{Interface, Topology};

use crate::kernel::netlink::{self, Stacking, Which};
use crate::maps::interfaces::{InterfaceMap, high_bits};

/// Updates the flags of stacked devices in the interface map. Without an answer of the kernel the
/// flags stay; a packet that is then evaluated twice matches its own flow.
pub(crate) fn sync_flags(interfaces: &InterfaceMap, filtered: &BTreeSet<u32>) {
    let Ok(links) = netlink::stacking() else {
        return;
    };
    let stacked = stacked_devices(&links, filtered);
    let flags = u64::from(abi::INTERFACE_UPPER | abi::INTERFACE_EVALUATED);
    for index in interfaces.stacked_indices() {
        if !stacked.contains(&index) {
            interfaces.store(index, 0);
        }
    }
    // An attached interface whose ifindex has the same low bits keeps the word.
    for index in stacked
        .into_iter()
        .filter(|&index| !interfaces.has_slot(index))
    {
        interfaces.store(index, flags | high_bits(index));
    }
}

/// The devices below which all interfaces are filtered.
fn stacked_devices(links: &[Stacking], filtered: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for link in links {
        if let Some(lower) = link.lower {
            below.entry(link.index).or_default().push(lower);
        }
        // Bonds only: a bridge can get an unfiltered member at any time, also while no daemon runs.
        let master = link.master.filter(|master| {
            let found = links.iter().find(|link| link.index == *master);
            found.is_some_and(|link| link.is_bond)
        });
        if let Some(master) = master {
            below.entry(master).or_default().push(link.index);
        }
    }
    let mut found = BTreeSet::new();
    loop {
        let known = |index: &u32| filtered.contains(index) || found.contains(index);
        let more: Vec<u32> = below
            .iter()
            .filter(|(index, lowers)| !known(index) && lowers.iter().all(known))
            .map(|(&index, _)| index)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The given interfaces and all devices stacked on any of them.
pub(crate) fn reachable_from(links: &[Stacking], indices: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut reachable = indices.clone();
    loop {
        let before = reachable.len();
        for link in links {
            let below = link.lower.or(link.shares);
            if below.is_some_and(|below| reachable.contains(&below)) {
                reachable.insert(link.index);
            }
            if let Some(master) = link.master.filter(|_| reachable.contains(&link.index)) {
                reachable.insert(master);
            }
        }
        if reachable.len() == before {
            return reachable;
        }
    }
}

/// Ifindex and name of the given interfaces and of all devices stacked on them (bonds, VLANs,
/// bridges, macvlans). The kernel network stack receives packets on these.
///
/// # Errors
/// If the kernel does not answer.
pub fn with_stacked(indices: &BTreeSet<u32>) -> io::Result<BTreeMap<u32, String>> {
    let links = netlink::stacking()?;
    let reachable = reachable_from(&links, indices);
    let links = links.into_iter();
    let links = links.filter(|link| reachable.contains(&link.index));
    Ok(links.map(|link| (link.index, link.name)).collect())
}

/// Resolves configured interfaces to their current names, and adds the other members of their
/// bonds, because packets can arrive on any member. (A bridge has exactly two ports, also if they
/// are bond members.)
pub(crate) fn resolve_wanted(wanted: &[Interface], topology: Topology) -> Vec<Interface> {
    let mut all = with_primary_names(wanted);
    if topology != Topology::Bridge
        && let Ok(links) = netlink::stacking()
    {
        let members = other_bond_members(&links, &all);
        all.extend(members);
    }
    all
}

/// The same interfaces by their primary names: the configuration can contain alternative names
/// (`ip link property add`). An interface that does not exist keeps its configured name.
fn with_primary_names(wanted: &[Interface]) -> Vec<Interface> {
    let mut own = wanted.to_vec();
    for interface in &mut own {
        if let Ok(Some(state)) = netlink::interface(Which::Name(&interface.name)) {
            interface.name = state.name;
        }
    }
    own
}

/// Members of the bonds of `wanted` that are not in `wanted`.
fn other_bond_members(links: &[Stacking], wanted: &[Interface]) -> Vec<Interface> {
    let bond_of = |link: &Stacking| {
        let master = link.master?;
        let is_bond = |other: &&Stacking| other.index == master && other.is_bond;
        links.iter().find(is_bond).map(|bond| bond.index)
    };
    let mut found: Vec<Interface> = Vec::new();
    for interface in wanted {
        let link = links.iter().find(|link| link.name == interface.name);
        let Some(bond) = link.and_then(bond_of) else {
            continue;
        };
        let members = links.iter().filter(|link| bond_of(link) == Some(bond));
        for member in members {
            let known = |other: &Interface| other.name == member.name;
            if !wanted.iter().any(known) && !found.iter().any(known) {
                found.push(Interface {
                    name: member.name.clone(),
                    ..interface.clone()
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, lower: Option<u32>, master: Option<u32>) -> Stacking {
        Stacking {
            index,
            name: format!("eth{index}"),
            lower,
            shares: None,
            master,
            is_bond: index == 4,
        }
    }

    #[test]
    fn all_members_of_a_bond_are_attached() {
        // 2 and 3 in bond 4; 5 in bridge 6.
        let links = [
            link(2, None, Some(4)),
            link(3, None, Some(4)),
            link(4, None, None),
            link(5, None, Some(6)),
            link(6, None, None),
            link(7, None, Some(6)),
        ];
        let wanted = |name: &str| Interface {
            name: name.to_owned(),
            mode: bailey_config::XdpMode::Native,
            external: true,
        };
        let names = |wanted: &[Interface]| {
            let found = other_bond_members(&links, wanted);
            assert!(found.iter().all(|interface| interface.external));
            found.into_iter().map(|i| i.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[wanted("eth2")]), ["eth3"]);
        assert!(names(&[wanted("eth2"), wanted("eth3")]).is_empty());
        assert!(names(&[wanted("eth4"), wanted("eth5")]).is_empty());
        assert_eq!(reachable_from(&links, &[2].into()), BTreeSet::from([2, 4]));
    }

    #[test]
    fn stacked_device_needs_all_lower_interfaces_filtered() {
        // eth0 2, eth1 3 in bond 4; VLAN 5 on the bond; bridge 6 of VLAN 5 and a veth 7; bridge 8
        // of VLAN 9 on eth1.
        let links = [
            link(2, None, Some(4)),
            link(3, None, Some(4)),
            link(4, None, None),
            link(5, Some(4), Some(6)),
            link(6, None, None),
            link(7, None, Some(6)),
            link(8, None, None),
            link(9, Some(3), Some(8)),
        ];
        let of = |filtered: &[u32]| stacked_devices(&links, &filtered.iter().copied().collect());
        assert_eq!(of(&[2, 3]), BTreeSet::from([4, 5, 9]));
        assert_eq!(of(&[4]), BTreeSet::from([5]));
        assert_eq!(of(&[2]), BTreeSet::new(), "one member is not filtered");
        assert_eq!(of(&[]), BTreeSet::new());
        // A bridge can carry unfiltered packets.
        assert_eq!(of(&[2, 3, 7]), BTreeSet::from([4, 5, 9]));
    }
}
