//! The protocols over IP.

use std::net::IpAddr;

use super::{DEEPEST, Generator};
use crate::TunnelKind;

/// The protocol over IP. It is chosen first, because hop limit and addresses depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Tcp,
    Udp,
    Sctp,
    Icmp { kind: u8 },
    Icmpv6 { kind: u8 },
    Igmp,
    Other { protocol: u8 },
}

impl Content {
    pub(super) fn protocol(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
            Self::Icmp { .. } => 1,
            Self::Icmpv6 { .. } => 58,
            Self::Igmp => 2,
            Self::Other { protocol } => protocol,
        }
    }

    pub(super) fn is_listener(self) -> bool {
        matches!(
            self,
            Self::Icmpv6 {
                kind: 130..=132 | 143
            }
        )
    }

    /// The hop limit that hosts use for it.
    pub(super) fn hops(self) -> u8 {
        match self {
            Self::Icmpv6 { kind: 133..=137 } => 255,
            Self::Igmp => 1,
            _ if self.is_listener() => 1,
            _ => 64,
        }
    }
}

impl Generator {
    pub(super) fn content(&mut self, ipv6: bool) -> Content {
        match self.random.below(32) {
            0..7 => Content::Tcp,
            7..16 => Content::Udp,
            16..19 => Content::Sctp,
            19..27 if ipv6 => Content::Icmpv6 {
                kind: self.icmpv6_kind(),
            },
            19..27 => Content::Icmp {
                kind: self.icmp_kind(),
            },
            27 | 28 if !ipv6 => Content::Igmp,
            _ => Content::Other {
                protocol: match self.random.below(16) {
                    0 => self.random.byte(),
                    // ICMP of the other family, which is an ordinary protocol.
                    1 if ipv6 => 1,
                    1 => 58,
                    _ => self.random.pick(&[2, 4, 41, 47, 50, 51, 59, 112, 135]),
                },
            },
        }
    }

    fn icmp_kind(&mut self) -> u8 {
        match self.random.below(16) {
            0 => self.random.byte(),
            1..9 => self.random.pick(&[3, 4, 5, 11, 12]),
            _ => self.random.pick(&[0, 8, 8, 13, 14]),
        }
    }

    fn icmpv6_kind(&mut self) -> u8 {
        match self.random.below(16) {
            0 => self.random.byte(),
            1..7 => self.random.pick(&[1, 2, 3, 4, 100]),
            7..10 => self.random.pick(&[133, 134, 135, 136, 137]),
            10..13 => self.random.pick(&[130, 131, 132, 143]),
            _ => self.random.pick(&[128, 129, 138]),
        }
    }

    /// Appends a packet of the protocol with its payload.
    pub(super) fn layer4(
        &mut self,
        out: &mut Vec<u8>,
        content: &Content,
        depth: u8,
        destination: IpAddr,
    ) {
        let start = out.len();
        match *content {
            Content::Tcp => self.tcp(out),
            Content::Udp => self.udp(out, depth),
            Content::Sctp => self.sctp(out),
            Content::Icmp { kind } | Content::Icmpv6 { kind } => {
                self.icmp(out, kind, depth, destination);
            }
            Content::Igmp => {
                out.extend([
                    self.random.pick(&[0x11, 0x12, 0x16, 0x22]),
                    0,
                    0,
                    0,
                    224,
                    0,
                    0,
                    1,
                ]);
            }
            Content::Other { .. } => self.noise_below(out, 40),
        }
        if self.random.one_in(24) {
            let length = self.random.below(out.len() - start + 1);
            out.truncate(start + length);
        }
    }

    fn tcp(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        self.ports(out);
        self.noise(out, 8);
        let options = self.random.pick(&[0, 0, 0, 1, 5]);
        let flags = match self.random.below(8) {
            0 => self.random.byte(),
            _ => {
                let meaning = [
                    0x02, 0x02, 0x12, 0x10, 0x10, 0x04, 0x14, 0x11, 0x22, 0x31, 0x30,
                ];
                self.random.pick(&meaning) | self.random.pick(&[0, 0, 0x08, 0x40, 0x80, 0xc8])
            }
        };
        out.extend([(5 + options) << 4, flags]);
        self.noise(out, 6 + usize::from(options) * 4);
        if self.random.one_in(16) {
            out[start + 12] = self.random.byte();
        }
        self.payload(out);
    }

    fn udp(&mut self, out: &mut Vec<u8>, depth: u8) {
        let start = out.len();
        let kind = match self.random.below(8) {
            0 | 1 => {
                let (source, destination) = self.dhcp_ports();
                out.extend(source.to_be_bytes());
                out.extend(destination.to_be_bytes());
                None
            }
            2..5 => {
                let (kind, port) = self.tunnel_port();
                let source = self.port();
                out.extend(source.to_be_bytes());
                out.extend(port.to_be_bytes());
                Some(kind)
            }
            _ => {
                self.ports(out);
                None
            }
        };
        out.extend([0; 4]);
        match kind {
            Some(kind) if depth < DEEPEST => self.tunnel(out, &kind, depth),
            _ => self.payload(out),
        }
        let length = self.length(out.len() - start);
        out[start + 4..start + 6].copy_from_slice(&length.to_be_bytes());
    }

    /// One of the configured tunnels, or a tunnel on its standard port.
    fn tunnel_port(&mut self) -> (TunnelKind, u16) {
        if !self.frames.tunnels.is_empty() {
            let at = self.random.below(self.frames.tunnels.len());
            let tunnel = &self.frames.tunnels[at];
            return (tunnel.kind.clone(), tunnel.port);
        }
        if self.random.one_in(2) {
            (TunnelKind::Vxlan, 4789)
        } else {
            (TunnelKind::Geneve, 6081)
        }
    }

    fn sctp(&mut self, out: &mut Vec<u8>) {
        self.ports(out);
        let is_init = self.random.one_in(2);
        if is_init && !self.random.one_in(6) {
            out.extend([0; 8]);
        } else {
            self.noise(out, 8);
        }
        let kind = if is_init {
            1
        } else {
            self.random.pick(&[0, 2, 3, 10, 11, 14])
        };
        out.extend([kind, 0, 0, 20]);
        self.noise(out, 16);
        self.payload(out);
    }

    fn icmp(&mut self, out: &mut Vec<u8>, kind: u8, depth: u8, destination: IpAddr) {
        let identifier = self.port();
        out.extend([kind, 0, 0, 0]);
        out.extend(identifier.to_be_bytes());
        out.extend([0, 1]);

        // An error quotes a packet of its receiver.
        let is_error = match destination {
            IpAddr::V4(_) => matches!(kind, 3 | 4 | 5 | 11 | 12),
            IpAddr::V6(_) => kind < 128,
        };
        if !is_error || depth >= DEEPEST {
            return self.payload(out);
        }
        let start = out.len();
        let by_another = self.random.one_in(8);
        match destination {
            IpAddr::V4(address) => self.ipv4(out, (!by_another).then_some(address), depth + 1),
            IpAddr::V6(address) => self.ipv6(out, (!by_another).then_some(address), depth + 1),
        }
        if self.random.one_in(2) {
            // Routers often quote the header and 8 bytes only. Sometimes quote less.
            let length = self.random.below(out.len() - start + 1);
            let least = if destination.is_ipv4() { 28 } else { 48 };
            let length = if self.random.one_in(4) {
                length
            } else {
                length.max(least)
            };
            out.truncate(start + length);
        }
    }

    fn ports(&mut self, out: &mut Vec<u8>) {
        let (source, destination) = (self.port(), self.port());
        out.extend(source.to_be_bytes());
        out.extend(destination.to_be_bytes());
    }

    fn payload(&mut self, out: &mut Vec<u8>) {
        let bound = if self.random.one_in(32) { 1400 } else { 24 };
        self.noise_below(out, bound);
    }
}
