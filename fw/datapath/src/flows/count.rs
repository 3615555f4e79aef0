//! Packet and byte counts.

/// Packets and their bytes at layer 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficCount {
    /// Packets; a GSO or GRO frame counts as its segments.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}
