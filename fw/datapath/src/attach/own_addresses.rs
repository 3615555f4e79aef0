//! The machine's own addresses in the maps that the programs ask (`own.h`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::Ordering;

use bailey_bpf::abi;
use bailey_policy::link_scope::is_link_local;
use ipnet::IpNet;

use crate::attach::stacked;
use crate::error::DatapathError;
use crate::error::unusable;
use crate::kernel::mmap::Mapping;
use crate::kernel::netlink::{self, Address};
use crate::maps::cidr::CidrWords;
use crate::program::entry::Shared;

const WORDS: usize = size_of::<abi::own_filter>() / 8;

/// Reads the addresses of this network namespace and writes those that have changed; of link-local ones
/// those of links that are judged. A new address is
/// in the filter before it is in the table, and an old one in neither.
///
/// # Errors
/// If the kernel does not tell, or a map cannot be written.
pub(crate) fn refresh(shared: &mut Shared, judged: &BTreeSet<u32>) -> Result<(), DatapathError> {
    let unknown = |source| DatapathError::Map {
        name: "own_addresses".into(),
        operation: "read the machine's addresses for",
        source,
    };
    let addresses = netlink::addresses().map_err(unknown)?;
    let near = stacked::near(&netlink::stacking().map_err(unknown)?, judged);
    let words = |address: IpAddr| CidrWords::from(IpNet::from(address)).addr_be;
    let mut wanted: BTreeMap<[u64; 2], u32> = BTreeMap::new();
    let mut add = |address: IpAddr, kind: u32| *wanted.entry(words(address)).or_default() |= kind;
    for Address {
        net,
        interface,
        subnet,
        broadcast,
    } in addresses
    {
        let address = net.addr();
        // On the wire the one is a martian; the other is one of another link. Those of IPv4 are answered
        // for on every link.
        let elsewhere = address.is_ipv6() && is_link_local(address) && !near.contains(&interface);
        if address.is_loopback() || elsewhere {
            continue;
        }
        add(address, abi::OWN_HOST);
        match net {
            // The address by which all of a subnet are meant (RFC 919), as `fib_add_ifaddr` has it; RFC 3021
            // has none for two hosts.
            IpNet::V4(_) => {
                for all in subnet.into_iter().chain(broadcast) {
                    add(all.into(), abi::OWN_BROADCAST);
                }
            }
            // What comes in for a subnet behind another interface would be routed there.
            IpNet::V6(net)
                if net.prefix_len() <= 64
                    && !is_link_local(address)
                    && near.contains(&interface) =>
            {
                let subnet = net.addr().to_bits() >> 64 << 64;
                add(Ipv6Addr::from_bits(subnet).into(), abi::OWN_SUBNET);
            }
            _ => {}
        }
    }
    // Bridges, bonds and others that stand on judged interfaces may have hardware addresses of their own.
    let stations = netlink::interfaces().map_err(unknown)?;
    let stations = stations.iter().filter(|state| near.contains(&state.index));
    for [a, b, c, d, e, f] in stations.filter_map(|state| state.mac) {
        let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        *wanted.entry([u64::MAX, mac]).or_default() |= abi::OWN_STATION;
    }
    let wanted: BTreeMap<_, _> = wanted
        .into_iter()
        .take(abi::OWN_ADDRESSES as usize)
        .collect();
    let known: BTreeMap<[u64; 2], u32> = shared.own_addresses.iter().flatten().collect();
    store(
        &shared.own_filter,
        &filter_of(known.keys().chain(wanted.keys())),
    );
    for (&address, &kind) in &wanted {
        if known.get(&address) != Some(&kind) {
            shared
                .own_addresses
                .insert(address, kind, 0)
                .map_err(unusable("own_addresses"))?;
        }
    }
    for address in known.keys().filter(|known| !wanted.contains_key(*known)) {
        let _ = shared.own_addresses.remove(address);
    }
    store(&shared.own_filter, &filter_of(wanted.keys()));
    Ok(())
}

/// The addresses of this network namespace, and those of all in the subnets that it is in (IPv4).
///
/// # Errors
/// If the kernel does not tell.
pub fn machine_addresses() -> io::Result<(Vec<IpAddr>, Vec<Ipv4Addr>)> {
    let all = netlink::addresses()?;
    let own = all.iter().map(|address| address.net.addr());
    let own = own.filter(|address| !address.is_loopback()).collect();
    let broadcasts = all
        .iter()
        .filter(|address| !address.net.addr().is_loopback())
        .flat_map(|address| address.subnet.into_iter().chain(address.broadcast))
        .collect();
    Ok((own, broadcasts))
}

fn filter_of<'a>(addresses: impl Iterator<Item = &'a [u64; 2]>) -> [u64; WORDS] {
    let mut filter = [0; WORDS];
    for [first, second] in addresses {
        let product = (first ^ second).wrapping_mul(abi::OWN_FILTER_MUL as u64);
        let bit = (product >> (64 - abi::OWN_FILTER_BITS)) as usize;
        filter[bit / 64] |= 1 << (bit % 64);
    }
    filter
}

fn store(words: &Mapping, filter: &[u64; WORDS]) {
    for (to, &word) in words.words().iter().zip(filter) {
        to.store(word, Ordering::Release);
    }
}
