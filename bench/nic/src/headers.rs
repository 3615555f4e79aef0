//! Sizes of Ethernet frames and of the headers in the tester's frames.

/// Preamble, start of frame and interframe gap, in bytes (IEEE 802.3).
pub const INTERFRAME_BYTES: u32 = 20;
/// The frame check sequence, which the NIC appends. Frame sizes of RFC 2544 include it.
pub const FCS_BYTES: u32 = 4;
/// The longest untagged Ethernet frame, in bytes.
pub const MAX_FRAME_BYTES: u32 = 1518;

/// Bytes that the tester writes after the UDP header: tag, trial, sequence number, sending queue
/// and due time. They fit into a frame of 64 bytes.
pub const STAMP_BYTES: usize = 18;
/// The Ethernet header, in bytes.
pub(crate) const ETHERNET_BYTES: usize = 14;
/// The UDP header, in bytes.
pub(crate) const UDP_BYTES: usize = 8;

/// An IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The shortest frame with room for the stamp, in bytes with FCS.
    pub fn shortest(self) -> u32 {
        (ETHERNET_BYTES + self.header_length() + UDP_BYTES + STAMP_BYTES) as u32 + FCS_BYTES
    }

    /// The IP header, in bytes.
    pub(crate) fn header_length(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }
}
