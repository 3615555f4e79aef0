//! The hash of flows and sources. Computes the same as `flow_hash` (flow_key.h) and `source_cells`
//! (count_min.h) over the same bytes.

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::entry::is_ipv4;
use crate::maps::flow_keys::nh_pair;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// Bits of the index of a slot in its bucket.
const SLOT_BITS: u32 = abi::FLOW_SLOTS.ilog2();

/// The secret hash of a flow table: determines the buckets of each flow.
#[derive(Debug, Clone, Copy)]
pub struct FlowHash {
    keys: abi::flow_keys,
    bucket_bits: u32,
}

/// The buckets in which a flow can be stored, and its tag there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowLocation {
    /// The two candidate buckets.
    pub buckets: [u32; 2],
    /// The slot of the first bucket that the flow prefers.
    pub home_slot: u32,
    /// Tag, a fingerprint; never 0.
    pub tag: u8,
}

impl FlowHash {
    /// The hash with these keys over a table of `1 << bucket_bits` buckets.
    pub fn new(keys: abi::flow_keys, bucket_bits: u32) -> Self {
        Self { keys, bucket_bits }
    }

    /// The same secret over a table of another size.
    pub fn with_bucket_bits(self, bucket_bits: u32) -> Self {
        Self {
            bucket_bits,
            ..self
        }
    }

    /// Reads the hash of the pinned table.
    ///
    /// # Errors
    /// If nothing is pinned.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let keys = MappedArray::<abi::flow_keys>::open(pins, "flow_keys")?;
        let tags = MappedArray::<u64>::open_table(pins, "flow_tags")?;
        Ok(Self::new(keys.read(0), (tags.len() as u32).ilog2()))
    }

    /// Locates the flow with this key.
    pub fn locate(&self, key: &abi::flow_key) -> FlowLocation {
        // IPv4: the bytes that differ between addresses, as one more pair.
        let pairs: &[(u32, u32)] = match is_ipv4(key.addr_lo_be) {
            true => &[
                halves(key.tuple),
                (upper(key.addr_lo_be[1]), upper(key.addr_hi_be[1])),
            ],
            false => &[
                halves(key.tuple),
                halves(key.addr_lo_be[0]),
                halves(key.addr_lo_be[1]),
                halves(key.addr_hi_be[0]),
                halves(key.addr_hi_be[1]),
            ],
        };
        let (nh, _) = self.keys.nh.as_chunks::<2>();
        let hash = pairs.iter().zip(nh).fold(0_u64, |sum, (&(a, b), keys)| {
            sum.wrapping_add(nh_pair(a, keys[0], b, keys[1]))
        });
        let (first, second) = self.mix(hash);
        let shift = 64 - self.bucket_bits;
        let a = (first >> shift) as u32;
        let b = (second >> shift) as u32;
        let tag = (second >> 8) as u8;
        FlowLocation {
            buckets: [a, if a == b { b ^ 1 } else { b }],
            home_slot: (first >> (shift - SLOT_BITS)) as u32 % abi::FLOW_SLOTS,
            tag: tag.max(1),
        }
    }

    /// The two cells that count live flows of the source that created this flow.
    pub fn source_cells(&self, key: &abi::flow_key, created_by_lower: bool) -> [usize; 2] {
        let address = if created_by_lower {
            key.addr_lo_be
        } else {
            key.addr_hi_be
        };
        self.cells_of_pair(address, 0)
    }

    /// The two cells of a source, or of the pair of a source and a number.
    pub(crate) fn cells_of_pair(&self, address_be: [u64; 2], more: u32) -> [usize; 2] {
        let prefix = address_be[usize::from(is_ipv4(address_be))];
        let nh = &self.keys.nh;
        let hash = nh_pair(prefix as u32, nh[0], (prefix >> 32) as u32, nh[1]);
        let factor = u64::from(nh[2]) | u64::from(nh[3]) << 32;
        let hash = hash.wrapping_add(u64::from(more).wrapping_mul(factor));
        let (first, second) = self.mix(hash);
        [first, second].map(|hash| (hash >> (64 - abi::SOURCE_BITS)) as usize)
    }

    fn mix(&self, hash: u64) -> (u64, u64) {
        let first = (hash ^ hash >> 32).wrapping_mul(self.keys.mul[0]);
        let second = (first ^ first >> 32).wrapping_mul(self.keys.mul[1]);
        (first, second)
    }
}

fn halves(word: u64) -> (u32, u32) {
    (word as u32, upper(word))
}

fn upper(word: u64) -> u32 {
    (word >> 32) as u32
}
