//! Sizes of maps that follow from settings.

use bailey_bpf::abi;
use bailey_config::{Settings, recorder_bytes_per_cpu};

/// log2 of the number of buckets: eight slots each, two slots per flow, a power of two.
pub(crate) fn bucket_bits(settings: &Settings) -> u32 {
    let slots = settings.flows.max(8).saturating_mul(2).next_power_of_two();
    (slots / abi::FLOW_SLOTS).ilog2().max(1)
}

/// Whether the entries of flows are one value that programs address directly. Otherwise programs look
/// up their bucket.
pub(crate) fn are_flows_direct(settings: &Settings) -> bool {
    let bucket = size_of::<abi::flow_bucket>() as u64;
    bucket << bucket_bits(settings) <= u64::from(abi::DIRECT_VALUE_MAX)
}

/// Slots of the flow table.
pub fn flow_slots(settings: &Settings) -> u64 {
    u64::from(abi::FLOW_SLOTS) << bucket_bits(settings)
}

/// Records of one ring of the recorder: as many as configured, or as fit into a direct value. 0: no
/// recorder.
pub(crate) fn ring_records(settings: &Settings, cpus: u32) -> u32 {
    let mut records = settings.records;
    while records > 0 && recorder_bytes(records, cpus) > u64::from(abi::DIRECT_VALUE_MAX) {
        records /= 2;
    }
    records
}

/// Bytes of the recorder's map. Without a recorder, the bytes that objects declare.
pub(crate) fn recorder_bytes(records: u32, cpus: u32) -> u64 {
    if records == 0 {
        return 2 * size_of::<abi::record>() as u64;
    }
    u64::from(cpus) * recorder_bytes_per_cpu(records)
}

/// Rule counters per CPU: whole pages, so that no two CPUs share a page.
pub(crate) fn rule_stride(settings: &Settings) -> u32 {
    const PER_PAGE: u32 = 4096 / size_of::<abi::rule_counter>() as u32;
    settings
        .rules
        .max(abi::RULE_FIRST)
        .next_multiple_of(PER_PAGE)
}
