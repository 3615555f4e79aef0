//! Interfaces on top of those that XDP judges: VLANs and bonds. What came in through one was
//! judged below it, if all that is below it is attached to, and is not judged again at egress.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bailey_bpf::abi;
use bailey_config::{Interface, Topology};

use crate::attach::event::Interface;
use crate::kernel::netlink::{self, Stacking, Which};
use crate::maps::interfaces;
use crate::program::entry::Shared;

/// Marks them in the map of interfaces, and unmarks what is none any more. Without an answer of the
/// kernel nothing changes: a packet that is judged twice meets its flow.
pub(crate) fn sync_flags(shared: &Shared, judged: &BTreeSet<u32>) {
    let Ok(links) = netlink::stacking() else {
        return;
    };
    let uppers = uppers(&links, judged);
    let flags = u64::from(abi::INTERFACE_UPPER | abi::INTERFACE_EVALUATED);
    for index in interfaces::uppers(&shared.table) {
        if !uppers.contains(&index) {
            interfaces::store(&shared.table, index, 0);
        }
    }
    // The place of one that is attached to is not for an upper of like number.
    let slot = u64::from(abi::INTERFACE_SLOT_MASK);
    let free = |index: &u32| interfaces::load(&shared.table, *index) & slot == 0;
    for index in uppers.into_iter().filter(free) {
        let word = flags | interfaces::high_bits(index);
        interfaces::store(&shared.table, index, word);
    }
}

/// Those of which everything below is judged.
fn uppers(links: &[Stacking], judged: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for link in links {
        if let Some(lower) = link.lower {
            below.entry(link.index).or_default().push(lower);
        }
        // A bridge may get a member any time that nobody judges, also with the daemon dead.
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
        let known = |index: &u32| judged.contains(index) || found.contains(index);
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

/// Interfaces of which some packets come through those that are judged: these, and what stands on any
/// of them.
pub(crate) fn near(links: &[Stacking], judged: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut near = judged.clone();
    loop {
        let before = near.len();
        for link in links {
            let below = link.lower.or(link.shares);
            if below.is_some_and(|below| near.contains(&below)) {
                near.insert(link.index);
            }
            if let Some(master) = link.master.filter(|_| near.contains(&link.index)) {
                near.insert(master);
            }
        }
        if near.len() == before {
            return near;
        }
    }
}

/// The interfaces of these numbers and what stands on them (bonds, VLANs, bridges, macvlans): numbers and
/// names. The stack has packets come in through these.
///
/// # Errors
/// If the kernel does not tell.
pub fn with_stacked(indices: &BTreeSet<u32>) -> io::Result<BTreeMap<u32, String>> {
    let links = netlink::stacking()?;
    let near = near(&links, indices);
    let links = links.into_iter().filter(|link| near.contains(&link.index));
    Ok(links.map(|link| (link.index, link.name)).collect())
}

/// The interfaces that are wanted, by the names that they have now; and the other members of their bonds,
/// as a packet that arrives through one member may as well arrive through another. (A bridge has two
/// interfaces, whatever they are members of.)
pub(crate) fn resolve_wanted(wanted: &[Interface], topology: Topology) -> Vec<Interface> {
    let mut all = by_own_names(wanted);
    if topology != Topology::Bridge
        && let Ok(links) = netlink::stacking()
    {
        let siblings = siblings(&links, &all);
        all.extend(siblings);
    }
    all
}

/// The same interfaces by their own names: the configuration may know one by an alternative name
/// (`ip link property add`). What is not there keeps the name that it was given.
fn by_own_names(wanted: &[Interface]) -> Vec<Interface> {
    let mut own = wanted.to_vec();
    for interface in &mut own {
        if let Ok(Some(state)) = netlink::interface(Which::Name(&interface.name)) {
            interface.name = state.name;
        }
    }
    own
}

fn siblings(links: &[Stacking], wanted: &[Interface]) -> Vec<Interface> {
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
    fn members_of_a_bond_go_together() {
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
            mode: crate::kernel::xdp_mode::XdpMode::Native,
            external: true,
        };
        let names = |wanted: &[Interface]| {
            let found = siblings(&links, wanted);
            assert!(found.iter().all(|interface| interface.external));
            found.into_iter().map(|i| i.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[wanted("eth2")]), ["eth3"]);
        assert!(names(&[wanted("eth2"), wanted("eth3")]).is_empty());
        assert!(names(&[wanted("eth4"), wanted("eth5")]).is_empty());
        assert_eq!(near(&links, &[2].into()), BTreeSet::from([2, 4]));
    }

    #[test]
    fn an_upper_is_judged_if_all_below_it_is() {
        // eth0 2, eth1 3 in bond 4; VLAN 5 on the bond; bridge 6 of VLAN 5 and a veth 7; bridge 8 of
        // VLAN 9 on eth1.
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
        let of = |judged: &[u32]| uppers(&links, &judged.iter().copied().collect());
        assert_eq!(of(&[2, 3]), BTreeSet::from([4, 5, 9]));
        assert_eq!(of(&[4]), BTreeSet::from([5]));
        assert_eq!(of(&[2]), BTreeSet::new(), "half a bond is none");
        assert_eq!(of(&[]), BTreeSet::new());
        // A bridge may carry what nobody has judged.
        assert_eq!(of(&[2, 3, 7]), BTreeSet::from([4, 5, 9]));
    }
}
