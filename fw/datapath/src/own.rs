//! The machine's own addresses in the maps that the programs ask (`own.h`).

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;
use ipnet::IpNet;

use crate::cidr::CidrWords;
use crate::error::DatapathError;
use crate::mapping::Mapping;
use crate::netlink;
use crate::shared::{Shared, unusable};

const WORDS: usize = size_of::<abi::own_filter>() / 8;

/// Reads the addresses of this network namespace and writes those that have changed. A new address is
/// in the filter before it is in the table, and an old one in neither.
///
/// # Errors
/// If the kernel does not tell, or a map cannot be written.
pub(crate) fn refresh(shared: &mut Shared) -> Result<(), DatapathError> {
    let addresses = netlink::addresses().map_err(|source| DatapathError::Map {
        name: "own_addresses".into(),
        operation: "read the machine's addresses for",
        source,
    })?;
    let wanted: BTreeSet<[u64; 2]> = addresses
        .into_iter()
        // On the wire they are martians.
        .filter(|address| !address.is_loopback())
        .map(|address| CidrWords::from(IpNet::from(address)).addr_be)
        .take(abi::OWN_ADDRESSES as usize)
        .collect();
    let known: BTreeSet<[u64; 2]> = shared.own_addresses.keys().flatten().collect();
    let both: BTreeSet<[u64; 2]> = known.union(&wanted).copied().collect();
    store(&shared.own_filter, &filter_of(&both));
    for &address in wanted.difference(&known) {
        shared
            .own_addresses
            .insert(address, 1, 0)
            .map_err(unusable("own_addresses"))?;
    }
    for address in known.difference(&wanted) {
        let _ = shared.own_addresses.remove(address);
    }
    store(&shared.own_filter, &filter_of(&wanted));
    Ok(())
}

fn filter_of(addresses: &BTreeSet<[u64; 2]>) -> [u64; WORDS] {
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
