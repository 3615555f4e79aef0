//! Kinds of ICMP and ICMPv6 messages.

/// The kind of an ICMP or ICMPv6 message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    EchoRequest,
    EchoReply,
    /// An error, which quotes the packet that caused it.
    Error,
    /// Router and neighbour discovery, and redirects.
    Neighbour,
    /// Multicast listener discovery (MLD).
    Listener,
    Other,
}

impl Message {
    /// The kind that belongs to the type of a message.
    pub(super) fn of(kind: u8, ipv6: bool) -> Self {
        match (ipv6, kind) {
            (false, 8) | (true, 128) => Self::EchoRequest,
            (false, 0) | (true, 129) => Self::EchoReply,
            (false, 3 | 4 | 5 | 11 | 12) | (true, 0..=127) => Self::Error,
            (true, 133..=137) => Self::Neighbour,
            (true, 130..=132 | 143) => Self::Listener,
            _ => Self::Other,
        }
    }

    /// The source and destination port. The identifier, in bytes 4 and 5, is the port of the
    /// requesting side.
    pub(super) fn ports(self, header: &[u8]) -> (u16, u16) {
        let identifier = u16::from_be_bytes([header[4], header[5]]);
        match self {
            Self::EchoRequest => (identifier, 0),
            Self::EchoReply => (0, identifier),
            _ => (0, 0),
        }
    }
}
