//! IPv4, IPv6 and their fragments.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Generator;
use super::layer4::Content;

/// The fragment fields of a packet: an offset, and whether more fragments follow.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// In units of 8 bytes.
    offset: u16,
    more: bool,
}

const WHOLE: Cut = Cut {
    offset: 0,
    more: false,
};

impl Generator {
    pub(super) fn ipv4(&mut self, out: &mut Vec<u8>, source: Option<Ipv4Addr>, depth: u8) {
        let content = self.content(false);
        let is_igmp = matches!(content, Content::Igmp);
        let source = source.unwrap_or_else(|| self.ipv4_address());
        let mut destination = self.ipv4_address();
        while destination == source && !self.random.one_in(16) {
            destination = self.ipv4_address();
        }
        if is_igmp && !self.random.one_in(3) {
            destination = Ipv4Addr::new(224, 0, 0, 1);
        }
        let cut = if self.random.one_in(6) {
            self.cut()
        } else {
            WHOLE
        };
        let fields = cut.offset
            | u16::from(cut.more) << 13
            | self.random.pick(&[0x0000, 0x4000, 0x0000, 0x8000]);

        // The header.
        let start = out.len();
        out.extend([0x45, 0, 0, 0]);
        let identification = self.identification();
        out.extend(identification.to_be_bytes());
        out.extend(fields.to_be_bytes());
        out.extend([self.hops(&content), content.protocol(), 0, 0]);
        out.extend(source.octets());
        out.extend(destination.octets());
        if self.random.one_in(6) {
            self.options(out);
        }
        let header = out.len() - start;
        out[start] = 0x40 | (header / 4) as u8;
        match self.random.below(128) {
            0 => out[start] = self.random.byte(),
            1 => out[start] = 0x40 | self.random.byte() & 0x0f,
            _ => {}
        }

        // Layer 4, and the length.
        self.body(out, &content, cut, depth, destination.into());
        let total = self.length(out.len() - start);
        out[start + 2..start + 4].copy_from_slice(&total.to_be_bytes());
    }

    pub(super) fn ipv6(&mut self, out: &mut Vec<u8>, source: Option<Ipv6Addr>, depth: u8) {
        let content = self.content(true);
        let source = match source {
            Some(source) => source,
            None if content.is_listener() && !self.random.one_in(4) => self.listener_address(),
            None => self.ipv6_address(),
        };
        let mut destination = self.ipv6_address();
        while destination == source && !self.random.one_in(16) {
            destination = self.ipv6_address();
        }

        // The header.
        let start = out.len();
        out.extend([0x60, 0, 0, 0, 0, 0, 0, self.hops(&content)]);
        out.extend(source.octets());
        out.extend(destination.octets());
        if self.random.one_in(128) {
            out[start] = self.random.byte();
        }

        // The extension headers.
        let headers = self.headers();
        // The offset of the field that names the next header.
        let mut next = start + 6;
        let mut cut = WHOLE;
        for header in headers {
            if header == 44 {
                cut = if self.random.one_in(4) {
                    WHOLE
                } else {
                    self.cut()
                };
            }
            out[next] = header;
            next = out.len();
            self.header(out, header, cut);
            if cut.offset > 0 {
                break;
            }
        }

        // Layer 4, and the length.
        out[next] = content.protocol();
        self.body(out, &content, cut, depth, destination.into());
        let length = self.length(out.len() - start - 40);
        out[start + 4..start + 6].copy_from_slice(&length.to_be_bytes());
    }

    /// Appends layer 4, or the part of it in a fragment.
    fn body(
        &mut self,
        out: &mut Vec<u8>,
        content: &Content,
        cut: Cut,
        depth: u8,
        destination: std::net::IpAddr,
    ) {
        let start = out.len();
        if cut.offset > 0 {
            let units = self.random.below(6);
            self.noise(out, units * 8);
        } else {
            self.layer4(out, content, depth, destination);
            if cut.more {
                let length = match self.random.below(4) {
                    // Too short for most headers.
                    0 => self.random.below(5) * 8,
                    _ => (out.len() - start).next_multiple_of(8),
                };
                out.resize(start + length, 0);
            }
        }
        if (cut.offset > 0 || cut.more) && self.random.one_in(8) {
            // A length that is no multiple of 8, or 0.
            let length = self.random.below(out.len() - start + 1);
            out.truncate(start + length);
        }
    }

    /// The fields of a fragment.
    fn cut(&mut self) -> Cut {
        let offset = match self.random.below(8) {
            0..4 => 0,
            4 => self.random.short() >> 3,
            5 => 8191 - self.random.below(12) as u16,
            _ => self.random.below(12) as u16,
        };
        Cut {
            offset,
            more: offset == 0 || self.random.one_in(2),
        }
    }

    /// One of a few, so that fragments share a packet.
    fn identification(&mut self) -> u16 {
        self.random.below(4) as u16
    }

    fn hops(&mut self, content: &Content) -> u8 {
        if self.random.one_in(6) {
            return self.random.pick(&[0, 1, 64, 254, 255]);
        }
        content.hops()
    }

    /// Appends IPv4 options.
    fn options(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        for _ in 0..self.random.below(4) {
            match self.random.below(10) {
                0 => out.push(0),
                1..4 => out.push(1),
                4 => out.extend([self.random.pick(&[131, 137]), 7, 4, 10, 0, 0, 1]),
                5 => out.extend([self.random.byte(), self.random.byte()]),
                // Record route, router alert.
                6 => out.extend([7, 7, 4, 0, 0, 0, 0]),
                _ => out.extend([148, 4, 0, 0]),
            }
        }
        let length = (out.len() - start).next_multiple_of(4).min(40);
        let padding = self.random.pick(&[0, 0, 1]);
        out.resize(start + length, padding);
    }

    /// The types of extension headers.
    fn headers(&mut self) -> Vec<u8> {
        let count = match self.random.below(32) {
            0..18 => 0,
            18..24 => 1,
            24..28 => 2,
            28..30 => 3,
            30 => 4 + self.random.below(4),
            _ => 7 + self.random.below(4),
        };
        let is_long = count >= 4;
        (0..count)
            .map(|at| match self.random.below(16) {
                0..3 if at == 0 => 0,
                0 if !is_long => 0,
                1..6 if !is_long => 44,
                6..9 if !is_long => 43,
                1 if is_long && self.random.one_in(2) => 44,
                9..12 => 51,
                _ => 60,
            })
            .collect()
    }

    /// Appends an extension header.
    fn header(&mut self, out: &mut Vec<u8>, kind: u8, cut: Cut) {
        let start = out.len();
        // Long headers are frequent enough for chains around byte 512 of the frame.
        let units = match self.random.below(24) {
            0 => self.random.below(64),
            1 => 40 + self.random.below(20),
            2..8 => self.random.below(4),
            _ => 0,
        };
        match kind {
            44 => {
                let field = cut.offset << 3 | u16::from(cut.more);
                let reserved = if self.random.one_in(8) { 0b110 } else { 0 };
                out.extend([0, self.random.byte()]);
                out.extend((field | reserved).to_be_bytes());
                let identification = self.identification();
                out.extend(u32::from(identification).to_be_bytes());
                return;
            }
            51 => {
                let length = self.random.pick(&[0u8, 1, 2, 4, 4, 4]) + units as u8 * 2;
                out.extend([0, length, 0, 0]);
                self.noise(out, usize::from(length) * 4 + 4);
            }
            43 => {
                let segments_left = if self.random.one_in(3) {
                    self.random.byte() & 3
                } else {
                    0
                };
                out.extend([
                    0,
                    units as u8,
                    self.random.pick(&[0, 2, 3, 4, 4]),
                    segments_left,
                ]);
                out.resize(start + 8 + units * 8, 0);
            }
            _ => {
                out.extend([0, units as u8, 1, 4]);
                out.resize(start + 8 + units * 8, 0);
            }
        }
        if self.random.one_in(48) {
            out[start + 1] = self.random.byte();
        }
    }
}
