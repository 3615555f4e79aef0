use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::maps::flow_keys::nh_pair;
use crate::maps::pinned::map_pinned;
use crate::maps::pins::PinDir;

/// The secret of a flow table: where its flows are. `flow_hash` in flow.h and `source_find` in
/// source.h are the same over the same bytes.
#[derive(Debug, Clone, Copy)]
pub struct FlowHash {
    keys: abi::flow_keys,
    bucket_bits: u32,
}

/// Where a flow may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its two buckets.
    pub buckets: [u32; 2],
    /// Its fingerprint, never 0.
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

    /// The hash of the table that is pinned there.
    ///
    /// # Errors
    /// If nothing is pinned.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let (keys, _) = map_pinned(pins, "flow_keys", size_of::<abi::flow_keys>())?;
        let words: Vec<u64> = keys
            .words()
            .iter()
            .map(|word| word.load(Ordering::Relaxed))
            .collect();
        let (_, buckets) = map_pinned(pins, "flow_tags", size_of::<u64>())?;
        Ok(Self::new(
            bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words)),
            (buckets as u32).ilog2(),
        ))
    }

    /// Where a flow with this key may be.
    pub fn place(&self, key: &abi::flow_key) -> Place {
        let words: [u32; abi::FLOW_NH_WORDS as usize] = bytemuck::cast(*key);
        let nh = &self.keys.nh;
        let hash = (0..words.len()).step_by(2).fold(0_u64, |sum, i| {
            sum.wrapping_add(nh_pair(words[i], nh[i], words[i + 1], nh[i + 1]))
        });
        let (first, second) = self.spread(hash);
        let shift = 64 - self.bucket_bits;
        let a = (first >> shift) as u32;
        let b = (second >> shift) as u32;
        let tag = (second >> 8) as u8;
        Place {
            buckets: [a, if a == b { b ^ 1 } else { b }],
            tag: tag.max(1),
        }
    }

    /// The two cells that count the flows of the source that opened this one.
    pub fn source_cells(&self, key: &abi::flow_key, opened_by_lower: bool) -> [usize; 2] {
        let address = if opened_by_lower {
            key.addr_lo_be
        } else {
            key.addr_hi_be
        };
        let ipv4 = address[0] == 0 && address[1] as u32 == abi::V4_MAPPED_WORD;
        let prefix = address[usize::from(ipv4)];
        let nh = &self.keys.nh;
        let hash = nh_pair(prefix as u32, nh[0], (prefix >> 32) as u32, nh[1]);
        let (first, second) = self.spread(hash);
        [first, second].map(|hash| (hash >> (64 - abi::SOURCE_BITS)) as usize)
    }

    fn spread(&self, hash: u64) -> (u64, u64) {
        let first = (hash ^ hash >> 32).wrapping_mul(self.keys.mul[0]);
        let second = (first ^ first >> 32).wrapping_mul(self.keys.mul[1]);
        (first, second)
    }
}
