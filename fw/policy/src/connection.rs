//! The input of policy evaluation: a protocol, and the first packet of a connection.

use std::fmt;
use std::net::IpAddr;

/// An IP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);

    /// Whether NetworkPolicy can match ports of this protocol: TCP, UDP and SCTP.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("ICMP"),
            Self::TCP => f.write_str("TCP"),
            Self::UDP => f.write_str("UDP"),
            Self::ICMPV6 => f.write_str("ICMPv6"),
            Self::SCTP => f.write_str("SCTP"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

/// A new connection, from the initiator's side. For protocols without ports (ICMP echo among
/// them) it describes the first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Address of the initiator.
    pub source: IpAddr,
    /// Address of the responder, of the same family as `source`.
    pub destination: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Destination port; 0 for protocols without ports.
    pub port: u16,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} -> {} {}",
            self.source, self.destination, self.protocol
        )?;
        if self.protocol.has_ports() {
            write!(f, "/{}", self.port)?;
        }
        Ok(())
    }
}
