//! Full-length addresses to classes: a hash table with two candidate buckets per address. The BPF
//! lookup reads at most two buckets, and finds the slot by an 8-bit tag.

use std::net::IpAddr;

use bailey_bpf::abi;
use bytemuck::Zeroable;

/// The host table: every full-length address that has its own class.
#[derive(Debug)]
pub(crate) struct HostTable {
    /// One bit per slot of the direct prefix table: may the host table have an address of the slot?
    pub(crate) filter: Vec<u64>,
    pub(crate) bucket_bits: u32,
    pub(crate) keys: [u32; abi::HOST_NH_WORDS as usize],
    pub(crate) tags: Vec<u64>,
    pub(crate) buckets: Vec<abi::host_bucket>,
}

/// The two candidate buckets of an address, and its tag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostSlot {
    pub(crate) buckets: [u32; 2],
    pub(crate) tag: u8,
}

const SLOTS_PER_BUCKET: usize = abi::HOST_SLOTS as usize;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Entries per bucket for which a table is sized. With two candidate buckets of eight slots, a
/// table that is three quarters full fails about once in 10^5 insertions; the builder then tries
/// the next hash keys.
const TARGET_FILL: usize = 6;

/// An address in the byte layout of flow keys and of the host table: network byte order, IPv4
/// mapped into IPv6.
pub(crate) fn address_words(address: IpAddr) -> [u64; 2] {
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    bytemuck::cast(octets)
}

/// The word of `host_filter` that has the bit of an address, and the mask of the bit. Must match
/// `may_be_host` in `classify.h`.
pub(crate) fn filter_bit(address: IpAddr) -> (usize, u64) {
    let (family, slot) = match address {
        IpAddr::V4(address) => (0, address.to_bits() >> (32 - abi::LPM_DIRECT_BITS)),
        IpAddr::V6(address) => {
            let slot = address.to_bits() >> (128 - abi::LPM_DIRECT_BITS);
            (1, slot as u32)
        }
    };
    let word = family * abi::HOST_FILTER_WORDS + slot / u64::BITS;
    (word as usize, 1 << (slot % u64::BITS))
}

/// The filter in front of the host table. A bit of 0 keeps every address of the slot out of the
/// table.
fn build_filter(entries: &[(IpAddr, u32)]) -> Vec<u64> {
    let mut filter = vec![0_u64; 2 * abi::HOST_FILTER_WORDS as usize];
    for &(address, _) in entries {
        let (word, mask) = filter_bit(address);
        filter[word] |= mask;
    }
    filter
}

/// Must compute the same hash as `host_class` in `classify.h`.
pub(crate) fn hash_address(address_be: [u64; 2], keys: &[u32; 4], bucket_bits: u32) -> HostSlot {
    let word = |value: u64, key: u32| u64::from((value as u32).wrapping_add(key));
    let sum = word(address_be[0], keys[0])
        .wrapping_mul(word(address_be[0] >> 32, keys[1]))
        .wrapping_add(
            word(address_be[1], keys[2]).wrapping_mul(word(address_be[1] >> 32, keys[3])),
        );
    let first = (sum ^ sum >> 32).wrapping_mul(MULTIPLIER);
    let second = (first ^ first >> 32).wrapping_mul(MULTIPLIER);
    let mut buckets = [
        (first >> (64 - bucket_bits)) as u32,
        (second >> (64 - bucket_bits)) as u32,
    ];
    if buckets[0] == buckets[1] {
        buckets[1] ^= 1;
    }
    HostSlot {
        buckets,
        tag: ((second >> 8) as u8).max(1),
    }
}

impl HostTable {
    /// Builds the table; deterministic for a given sequence of entries. The hash keys need not be
    /// secret: every lookup reads at most two buckets.
    pub(crate) fn build(entries: &[(IpAddr, u32)]) -> Self {
        let mut bucket_bits = entries
            .len()
            .div_ceil(TARGET_FILL)
            .max(2)
            .next_power_of_two()
            .ilog2();
        let mut state = 0_u64;
        loop {
            for _ in 0..8 {
                let keys = [(); 4].map(|()| split_mix(&mut state));
                if let Some((tags, buckets)) = try_fill(entries, &keys, bucket_bits) {
                    return Self {
                        filter: build_filter(entries),
                        bucket_bits,
                        keys,
                        tags,
                        buckets,
                    };
                }
            }
            bucket_bits += 1;
        }
    }
}

/// Fills a table; `None` if both candidate buckets of an entry are full.
fn try_fill(
    entries: &[(IpAddr, u32)],
    keys: &[u32; 4],
    bucket_bits: u32,
) -> Option<(Vec<u64>, Vec<abi::host_bucket>)> {
    let mut tags = vec![0_u64; 1 << bucket_bits];
    let mut buckets = vec![abi::host_bucket::zeroed(); 1 << bucket_bits];
    let mut fill = vec![0_usize; 1 << bucket_bits];
    for &(address, class_id) in entries {
        let address = address_words(address);
        let hash = hash_address(address, keys, bucket_bits);
        let [first, second] = hash.buckets.map(|bucket| bucket as usize);
        let bucket = if fill[second] < fill[first] {
            second
        } else {
            first
        };
        let slot = fill[bucket];
        if slot == SLOTS_PER_BUCKET {
            return None;
        }
        fill[bucket] += 1;
        tags[bucket] |= u64::from(hash.tag) << (8 * slot);
        buckets[bucket].entry[slot] = abi::host_entry {
            addr_be: address,
            class_id,
            pad: 0,
        };
    }
    Some((tags, buckets))
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), upper half. Gives fixed keys without a pattern.
fn split_mix(state: &mut u64) -> u32 {
    *state = state.wrapping_add(MULTIPLIER);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ mixed >> 31) >> 32) as u32
}
