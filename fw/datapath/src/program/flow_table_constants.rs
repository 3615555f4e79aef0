//! Size and kind of the flow table as load-time constants.

use bailey_bpf::abi;
use bailey_config::Settings;

use crate::maps::shape::{are_flows_direct, bucket_bits, flow_slots};
use crate::program::constant::Constant;

/// The constants of `maps.h` that follow from the number of flows.
#[derive(Debug)]
pub(crate) struct FlowTableConstants {
    bucket_bits: u32,
    is_direct: bool,
    slots: u64,
}

impl FlowTableConstants {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            bucket_bits: bucket_bits(settings),
            is_direct: are_flows_direct(settings),
            slots: flow_slots(settings),
        }
    }

    /// Name and value of each constant.
    pub(crate) fn list(&self) -> [Constant; 5] {
        let buckets = 1_u64 << self.bucket_bits;
        [
            Constant::required("FLOW_BUCKET_BITS", self.bucket_bits),
            Constant::optional("FLOWS_DIRECT", u32::from(self.is_direct)),
            Constant::optional("FLOWS_MASK", last_offset::<abi::flow_entry>(self.slots)),
            Constant::optional("FLOW_TAGS_MASK", last_offset::<u64>(buckets)),
            Constant::optional(
                "FLOW_COUNTS6_MASK",
                last_offset::<abi::flow_count>(self.slots * 2),
            ),
        ]
    }
}

/// Byte offset of the last of `count` elements. All counts and sizes are powers of two, so the offset
/// of every element has no other bits than this one.
fn last_offset<T>(count: u64) -> u64 {
    (count - 1) * size_of::<T>() as u64
}
