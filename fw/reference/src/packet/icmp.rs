/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    EchoRequest,
    EchoReply,
    /// It quotes the packet that it is about.
    Error,
    /// Router and neighbour discovery, and redirects.
    Neighbour,
    /// MLD.
    Listener,
    Other,
}

impl Message {
    /// What the type of an ICMP or ICMPv6 message says.
    pub(crate) fn of(kind: u8, ipv6: bool) -> Self {
        match (ipv6, kind) {
            (false, 8) | (true, 128) => Self::EchoRequest,
            (false, 0) | (true, 129) => Self::EchoReply,
            (false, 3 | 4 | 5 | 11 | 12) | (true, 0..=127) => Self::Error,
            (true, 133..=137) => Self::Neighbour,
            (true, 130..=132 | 143) => Self::Listener,
            _ => Self::Other,
        }
    }

    /// The source and destination port: the side that asks has the identifier, of bytes 4 and 5.
    pub(crate) fn ports(self, header: &[u8]) -> (u16, u16) {
        let identifier = u16::from_be_bytes([header[4], header[5]]);
        match self {
            Self::EchoRequest => (identifier, 0),
            Self::EchoReply => (0, identifier),
            _ => (0, 0),
        }
    }
}
