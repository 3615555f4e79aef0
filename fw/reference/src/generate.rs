//! Frames to compare parsers with: stacks of all protocols in docs/packets.md, mostly valid, and
//! mutations of them.

/// Addresses and ports from pools that are so small that packets share flows.
mod address;
/// IPv4, IPv6 and their fragments.
mod ip;
/// The protocols over IP.
mod layer4;
/// Mutations of a frame.
mod mutate;
/// Pseudo-random numbers.
mod random;

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Frames, TunnelKind};

use random::Random;

/// The lengths of generated frames, in bytes.
const SHORTEST: usize = 14;
const LONGEST: usize = 1500;
/// The largest nesting of frames in tunnels and of packets in ICMP errors.
const DEEPEST: u8 = 2;

/// Generates frames, the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct Generator {
    random: Random,
    frames: Frames,
    pools: Pools,
}

/// Pools of addresses. The generator adds special addresses that no host has.
#[derive(Debug, Clone)]
pub struct Pools {
    /// Destinations of frames to a station.
    pub stations: Vec<[u8; 6]>,
    /// The source of all frames.
    pub from: [u8; 6],
    /// Sources and destinations over IPv4.
    pub ipv4: Vec<Ipv4Addr>,
    /// Sources and destinations over IPv6.
    pub ipv6: Vec<Ipv6Addr>,
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            stations: vec![[0x02, 0, 0, 0, 0, 1]],
            from: [0x02, 0, 0, 0, 0, 2],
            ipv4: address::IPV4.to_vec(),
            ipv6: address::IPV6.to_vec(),
        }
    }
}

impl Generator {
    /// A generator for these settings: its frames use their tunnels and EtherTypes.
    #[must_use]
    pub fn new(seed: u64, frames: Frames) -> Self {
        Self::with_pools(seed, frames, Pools::default())
    }

    /// As [`Self::new`], between the hosts of these pools, none of which may be empty.
    #[must_use]
    pub fn with_pools(seed: u64, frames: Frames, pools: Pools) -> Self {
        Self {
            random: Random::new(seed),
            frames,
            pools,
        }
    }

    /// The next frame, of 14 to 1500 bytes.
    pub fn frame(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.ethernet(&mut out, 0);
        if self.random.one_in(6) {
            let longer = out.len() + self.random.below(24);
            out.resize(longer.max(60), 0);
        }
        if self.random.one_in(2) {
            mutate::mutate(&mut out, &mut self.random);
        }
        let length = out.len().clamp(SHORTEST, LONGEST);
        out.resize(length, 0);
        out
    }

    /// Appends an Ethernet frame.
    fn ethernet(&mut self, out: &mut Vec<u8>, depth: u8) {
        let destination = match self.random.below(12) {
            0 => [0x01, 0x80, 0xc2, 0, 0, self.random.byte() & 0x1f],
            1 | 2 => [0xff; 6],
            3 => [0x33, 0x33, 0, 0, 0, 1],
            4 => [0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd],
            _ => self.random.pick(&self.pools.stations),
        };
        out.extend(destination);
        out.extend(self.pools.from);

        // VLAN tags.
        let tags = self.random.pick(&[0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3]);
        for _ in 0..tags {
            let kind: u16 = self.random.pick(&[0x8100, 0x8100, 0x88a8, 0x9100]);
            let mut tag = self.random.pick(&[0u16, 1, 5, 4095]);
            if self.random.one_in(4) {
                tag = self.random.short();
            }
            out.extend(kind.to_be_bytes());
            out.extend(tag.to_be_bytes());
        }

        // The EtherType and its content.
        match self.random.below(32) {
            0..14 => {
                out.extend([0x08, 0x00]);
                self.ipv4(out, None, depth);
            }
            14..28 => {
                out.extend([0x86, 0xdd]);
                self.ipv6(out, None, depth);
            }
            28 => {
                out.extend([0x08, 0x06]);
                self.noise(out, 28);
            }
            29 => self.llc(out),
            _ => {
                let mut ethertype = self.random.pick(&[0x88cc, 0x8847, 0x8864, 0x8809, 0x0600]);
                if self.random.one_in(8) {
                    ethertype = self.random.short();
                } else if !self.frames.ethertypes.is_empty() && self.random.one_in(3) {
                    ethertype = self.random.pick(&self.frames.ethertypes);
                }
                out.extend(ethertype.to_be_bytes());
                self.noise_below(out, 40);
            }
        }
    }

    /// Appends an LLC frame, from its length field on.
    fn llc(&mut self, out: &mut Vec<u8>) {
        let length = self.random.below(50);
        let stated = self.length(length);
        out.extend(stated.to_be_bytes());
        let start = out.len();
        out.extend(
            self.random
                .pick(&[[0x42, 0x42], [0xaa, 0xaa], [0xaa, 0x03], [0xe0, 0xe0]]),
        );
        self.noise(out, length);
        out.truncate(start + length);
    }

    /// Appends the payload of a tunnel's datagram.
    fn tunnel(&mut self, out: &mut Vec<u8>, kind: &TunnelKind, depth: u8) {
        let flaw = self.random.one_in(16);
        match kind {
            TunnelKind::Vxlan => {
                let mut header = [0x08, 0, 0, 0, 0, 0, 42, 0];
                if flaw {
                    header[0] = self.random.byte();
                }
                out.extend(header);
                self.ethernet(out, depth + 1);
            }
            TunnelKind::Geneve => {
                let options = match self.random.below(12) {
                    0 => self.random.byte() & 0x3f,
                    1..4 => self.random.byte() & 3,
                    _ => 0,
                };
                let mut header = [options, 0, 0x65, 0x58, 0, 0, 42, 0];
                let carried = self.random.below(8);
                match carried {
                    0 => [header[2], header[3]] = [0x08, 0x00],
                    1 => [header[2], header[3]] = [0x86, 0xdd],
                    _ => {}
                }
                if flaw {
                    let at = self.random.below(4);
                    header[at] = self.random.byte();
                }
                out.extend(header);
                self.noise(out, usize::from(options) * 4);
                match carried {
                    0 => self.ipv4(out, None, depth + 1),
                    1 => self.ipv6(out, None, depth + 1),
                    _ => self.ethernet(out, depth + 1),
                }
            }
        }
    }

    /// A length field, which mostly is correct.
    fn length(&mut self, correct: usize) -> u16 {
        let correct = u16::try_from(correct).unwrap_or(u16::MAX);
        match self.random.below(64) {
            0 => correct.wrapping_add(1),
            1 => correct.wrapping_sub(1),
            2 => correct.wrapping_add(self.random.short() & 0x0f),
            3 => correct.wrapping_sub(self.random.short() & 0x0f),
            4 => self.random.short(),
            5 => 0,
            _ => correct,
        }
    }

    /// Appends random bytes.
    fn noise(&mut self, out: &mut Vec<u8>, count: usize) {
        for _ in 0..count.div_ceil(8) {
            out.extend(self.random.next().to_be_bytes());
        }
        out.truncate(out.len() - count.div_ceil(8) * 8 + count);
    }

    /// Appends fewer than `bound` random bytes.
    fn noise_below(&mut self, out: &mut Vec<u8>, bound: usize) {
        let count = self.random.below(bound);
        self.noise(out, count);
    }
}
