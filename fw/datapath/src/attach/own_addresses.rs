//! The machine's own addresses: written to the maps that `own.h` reads, and listed.

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
use crate::kernel::netlink::{self, Address, InterfaceState};
use crate::maps::cidr::CidrWords;
use crate::maps::shared::SharedMaps;

const FILTER_WORDS: usize = size_of::<abi::own_filter>() / 8;

/// Kinds (`OWN_*`) by address, as the map `own_addresses` holds them.
type OwnAddresses = BTreeMap<[u64; 2], u32>;

/// Reads the addresses of this network namespace and writes those that changed. Link-local
/// addresses are limited to the links of attached interfaces. A new address enters the filter
/// before the table, and an old one leaves the table before the filter, so that the filter never
/// lacks an address of the table.
///
/// # Errors
/// If the kernel does not answer, or a map cannot be written.
pub(crate) fn refresh(
    maps: &mut SharedMaps,
    attached: &BTreeSet<u32>,
) -> Result<(), DatapathError> {
    let wanted = collect(attached).map_err(|source| DatapathError::Map {
        name: "own_addresses".into(),
        operation: "read the machine's addresses for",
        source,
    })?;
    let known: OwnAddresses = maps.own_addresses.iter().flatten().collect();
    store_filter(maps, known.keys().chain(wanted.keys()));
    for (&address, &kind) in &wanted {
        if known.get(&address) != Some(&kind) {
            maps.own_addresses
                .insert(address, kind, 0)
                .map_err(unusable("own_addresses"))?;
        }
    }
    for address in known.keys().filter(|known| !wanted.contains_key(*known)) {
        let _ = maps.own_addresses.remove(address);
    }
    store_filter(maps, wanted.keys());
    Ok(())
}

/// The addresses that the programs must treat as the machine's own.
fn collect(attached: &BTreeSet<u32>) -> io::Result<OwnAddresses> {
    let addresses = netlink::addresses()?;
    let reachable = stacked::reachable_from(&netlink::stacking()?, attached);
    let mut own = OwnAddresses::new();
    for address in &addresses {
        add_address(&mut own, address, &reachable);
    }
    // Bridges, bonds and other devices on attached interfaces can have MAC addresses of their own.
    for state in netlink::interfaces()? {
        if reachable.contains(&state.index) {
            add_station(&mut own, &state);
        }
    }
    Ok(own.into_iter().take(abi::OWN_ADDRESSES as usize).collect())
}

fn add_address(own: &mut OwnAddresses, address: &Address, reachable: &BTreeSet<u32>) {
    let ip = address.net.addr();
    let is_reachable = reachable.contains(&address.interface);
    // Loopback addresses are martians on the wire. An IPv6 link-local address belongs to its link
    // only, while the kernel answers for IPv4 link-local addresses on every link.
    let is_foreign = ip.is_ipv6() && is_link_local(ip) && !is_reachable;
    if ip.is_loopback() || is_foreign {
        return;
    }
    let words = |ip: IpAddr| CidrWords::from(IpNet::from(ip)).addr_be;
    let mut add = |ip: IpAddr, kind: u32| *own.entry(words(ip)).or_default() |= kind;
    add(ip, abi::OWN_HOST);
    match address.net {
        // Subnet broadcast addresses (RFC 919), as `fib_add_ifaddr` computes them. By RFC 3021 a
        // /31 has none.
        IpNet::V4(_) => {
            for broadcast in address.subnet.into_iter().chain(address.broadcast) {
                add(broadcast.into(), abi::OWN_BROADCAST);
            }
        }
        // The kernel would route packets for a subnet that is behind another interface.
        IpNet::V6(net) if net.prefix_len() <= 64 && !is_link_local(ip) && is_reachable => {
            let subnet = net.addr().to_bits() >> 64 << 64;
            add(Ipv6Addr::from_bits(subnet).into(), abi::OWN_SUBNET);
        }
        IpNet::V6(_) => {}
    }
}

fn add_station(own: &mut OwnAddresses, state: &InterfaceState) {
    if let Some([a, b, c, d, e, f]) = state.mac {
        let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        *own.entry([u64::MAX, mac]).or_default() |= abi::OWN_STATION;
    }
}

/// The addresses of this network namespace, and its IPv4 subnet broadcast addresses.
///
/// # Errors
/// If the kernel does not answer.
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

fn store_filter<'a>(maps: &SharedMaps, addresses: impl Iterator<Item = &'a [u64; 2]>) {
    let mut word = [0; FILTER_WORDS];
    for [first, second] in addresses {
        let product = (first ^ second).wrapping_mul(abi::OWN_FILTER_MUL as u64);
        let bit = (product >> (64 - abi::OWN_FILTER_BITS)) as usize;
        word[bit / 64] |= 1 << (bit % 64);
    }
    let filter = abi::own_filter { word };
    maps.own_filter.write(0, &filter, Ordering::Release);
}
