//! Token buckets of rate limits, read. The programs take tokens; see `policy/rate_limit.h`.

use std::mem::offset_of;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use bailey_bpf::{TokenBucket, abi};

use crate::error::DatapathError;
use crate::flows::hash::FlowHash;
use crate::kernel::clock::coarse_nanoseconds;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// The buckets of all rules.
#[derive(Debug)]
pub struct LimitBuckets {
    rules: MappedArray<abi::limit_state>,
    sources: MappedArray<u64>,
    hash: FlowHash,
}

impl LimitBuckets {
    /// Opens the pinned buckets.
    ///
    /// # Errors
    /// If nothing is pinned.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        Ok(Self {
            rules: MappedArray::open(pins, "limit_states")?,
            sources: MappedArray::open(pins, "limit_sources")?,
            hash: FlowHash::open(pins)?,
        })
    }

    /// New connections that the limit of a rule on all sources admits now.
    pub fn left(&self, rule: u32, limit: TokenBucket) -> u64 {
        let offset = offset_of!(abi::limit_state, bucket);
        let word = self.rules.get_field(rule as usize, offset);
        let word = word.map_or(0, |word| word.load(Ordering::Relaxed));
        limit.left(word, coarse_nanoseconds())
    }

    /// New connections that the limit of a rule on this source admits now: the greater number of the two
    /// cells of the source.
    pub fn left_of_source(&self, rule: u32, source: IpAddr, limit: TokenBucket) -> u64 {
        let octets = match source {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let cells = self.hash.cells_of_pair(bytemuck::cast(octets), rule);
        let now = coarse_nanoseconds();
        let left = cells.map(|cell| {
            let word = self.sources.get_field(cell, 0);
            limit.left(word.map_or(0, |word| word.load(Ordering::Relaxed)), now)
        });
        left[0].max(left[1])
    }
}
