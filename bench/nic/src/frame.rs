//! Frames of the tester: layout, flows, stamps, and the check of arriving frames.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::headers::{ETHERNET_BYTES, FCS_BYTES, Family, STAMP_BYTES, UDP_BYTES};
use crate::mix::{FrameKind, Mix};

const TAG: u16 = 0xba11;
/// UDP port of the echo service, the destination port of RFC 2544, C.2.3.
pub const ECHO_PORT: u16 = 7;

/// Source and destination of all frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressing {
    /// Source and destination MAC.
    pub macs: [[u8; 6]; 2],
    /// Source address: the first 16 bits are fixed, the others identify the flow.
    pub source: Ipv4Addr,
    /// Destination address of all IPv4 frames.
    pub destination: Ipv4Addr,
    /// Destination UDP port.
    pub port: u16,
}

/// Source network for benchmarks (RFC 2544, C.2.2).
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Destination address for benchmarks (RFC 2544, C.2.2).
pub const DESTINATION: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
/// IPv6 source network for benchmarks (RFC 5180, section 8).
const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0);
/// Destination address of all IPv6 frames.
pub const DESTINATION_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 2, 0, 1, 0, 0, 0, 1);

/// Identity of a frame, written into its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The trial; 0 for a frame that establishes a flow.
    pub trial: u16,
    /// Sequence number within the sending queue.
    pub number: u32,
    /// The sending queue.
    pub queue: u8,
    /// Due time, in nanoseconds of the tester's clock.
    pub due: u64,
}

/// Writes the frames of one sending queue.
#[derive(Debug, Clone)]
pub struct Stream {
    templates: Vec<(FrameKind, Template)>,
    flows: Flows,
    queue: u8,
}

/// Assigns frames to flows. Each flow belongs to one sending queue, so that reordering is
/// detectable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flows {
    /// Number of flows of all queues.
    pub count: u32,
    /// Number of sending queues.
    pub queues: u32,
}

/// Bits that identify a flow: 16 of the source address, 15 of the source port.
const FLOW_BITS: u32 = 31;
/// Maximum of established flows; greater flow numbers are for new flows.
pub const MAX_FLOWS: u32 = 1 << 24;

impl Flows {
    /// The flow of a frame that belongs to an established flow.
    pub fn flow_of(self, queue: u8, number: u32) -> u32 {
        let each = (self.count / self.queues).max(1);
        // An odd multiplier is a bijection; it separates neighbouring numbers.
        let scattered = number.wrapping_mul(0x9e37_79b1) ^ (number >> 16);
        (scattered % each) * self.queues + u32::from(queue)
    }

    /// Number of flows of one queue.
    pub fn per_queue(self) -> u32 {
        (self.count / self.queues).max(1)
    }
}

/// The constant bytes of a frame, and their checksums.
#[derive(Debug, Clone)]
struct Template {
    bytes: Vec<u8>,
    family: Family,
    ip_sum: u32,
    udp_sum: u32,
}

impl Stream {
    /// The stream of a mix for one sending queue.
    pub fn new(mix: &Mix, addressing: &Addressing, flows: Flows, queue: u8) -> Self {
        let template = |kind: &FrameKind| (*kind, Template::new(kind, addressing));
        Self {
            templates: mix.frames.iter().map(template).collect(),
            flows,
            queue,
        }
    }

    /// Writes a frame, and returns its length without FCS.
    pub fn write(&self, trial: u16, number: u32, due: u64, room: &mut [u8]) -> usize {
        let (kind, template) = &self.templates[number as usize % self.templates.len()];
        let flow = if kind.new_flow {
            // Above all established flows, and unique within a trial.
            let nth = number.wrapping_mul(self.flows.queues);
            MAX_FLOWS + nth.wrapping_add(u32::from(self.queue)) % NEW_FLOWS
        } else {
            self.flows.flow_of(self.queue, number)
        };
        let stamp = Stamp {
            trial,
            number,
            queue: self.queue,
            due,
        };
        template.write(flow, &stamp, room)
    }

    /// Writes the frame that establishes a flow, or the reply to it.
    pub fn write_setup(&self, flow: u32, kind: usize, is_reply: bool, room: &mut [u8]) -> usize {
        let (_, template) = &self.templates[kind];
        let stamp = Stamp {
            trial: 0,
            number: flow,
            queue: self.queue,
            due: 0,
        };
        let length = template.write(flow, &stamp, room);
        if is_reply {
            swap_endpoints(&mut room[..length], template.family);
        }
        length
    }

    /// One frame kind per family, for [`Stream::write_setup`].
    pub fn kinds(&self) -> Vec<usize> {
        [Family::V4, Family::V6]
            .iter()
            .filter_map(|family| {
                self.templates
                    .iter()
                    .position(|(kind, _)| kind.family == *family)
            })
            .collect()
    }
}

/// Number of distinct new flows.
const NEW_FLOWS: u32 = (1 << FLOW_BITS) - MAX_FLOWS;

/// The low 16 bits of the source address, and the source port, of a flow.
fn source_of(flow: u32) -> (u16, u16) {
    // An odd multiplier modulo a power of two is a bijection. Ports look random (RFC 4814).
    let scattered = flow.wrapping_mul(0x2545_f491) & ((1 << FLOW_BITS) - 1);
    ((scattered >> 15) as u16, 0x8000 | scattered as u16)
}

impl Template {
    fn new(kind: &FrameKind, addressing: &Addressing) -> Self {
        // Ethernet and IP.
        let length = (kind.size - FCS_BYTES) as usize;
        let mut bytes = Vec::with_capacity(length);
        let [source, destination] = addressing.macs;
        bytes.extend(destination);
        bytes.extend(source);
        let ip_length = length - ETHERNET_BYTES;
        let header = kind.family.header_length();
        let udp_length = (ip_length - header) as u16;
        match kind.family {
            Family::V4 => {
                bytes.extend([0x08, 0x00, 0x45, 0]);
                bytes.extend((ip_length as u16).to_be_bytes());
                // Don't fragment, TTL 64, UDP.
                bytes.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
                let [a, b, _, _] = addressing.source.octets();
                bytes.extend([a, b, 0, 0]);
                bytes.extend(addressing.destination.octets());
            }
            Family::V6 => {
                bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                bytes.extend(udp_length.to_be_bytes());
                bytes.extend([17, 64]);
                bytes.extend(SOURCE_V6.octets());
                bytes.extend(DESTINATION_V6.octets());
            }
        }
        // UDP, room for the stamp, and a payload of counting bytes.
        let udp = bytes.len();
        bytes.extend([0, 0]);
        bytes.extend(addressing.port.to_be_bytes());
        bytes.extend(udp_length.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.resize(udp + UDP_BYTES + STAMP_BYTES, 0);
        let payload = (0..length - bytes.len()).map(|at| at as u8);
        bytes.extend(payload.collect::<Vec<u8>>());
        // Checksums of all constant bytes.
        let ip = &bytes[ETHERNET_BYTES..udp];
        let addresses = &ip[ip.len() - 2 * address_length(kind.family)..];
        Self {
            family: kind.family,
            ip_sum: sum(ip),
            udp_sum: sum(addresses) + u32::from(udp_length) + 17 + sum(&bytes[udp..]),
            bytes,
        }
    }

    fn write(&self, flow: u32, stamp: &Stamp, room: &mut [u8]) -> usize {
        let length = self.bytes.len();
        let frame = &mut room[..length];
        frame.copy_from_slice(&self.bytes);
        let header = self.family.header_length();
        let udp = ETHERNET_BYTES + header;
        // The flow's source address and port, then the stamp.
        let (address, port) = source_of(flow);
        // The last two bytes of the source address.
        let at = udp - address_length(self.family) - 2;
        frame[at..at + 2].copy_from_slice(&address.to_be_bytes());
        frame[udp..udp + 2].copy_from_slice(&port.to_be_bytes());
        let bytes = stamp.to_bytes();
        frame[udp + UDP_BYTES..udp + UDP_BYTES + STAMP_BYTES].copy_from_slice(&bytes);
        // Add the changed bytes to the checksums.
        if self.family == Family::V4 {
            let checksum = !fold(self.ip_sum + u32::from(address));
            frame[ETHERNET_BYTES + 10..ETHERNET_BYTES + 12]
                .copy_from_slice(&checksum.to_be_bytes());
        }
        let changed = u32::from(address) + u32::from(port) + sum(&bytes);
        let checksum = match !fold(self.udp_sum + changed) {
            // A checksum field of zero means "no checksum".
            0 => 0xffff,
            other => other,
        };
        frame[udp + 6..udp + 8].copy_from_slice(&checksum.to_be_bytes());
        length
    }
}

/// Swaps source and destination. All checksums stay valid.
fn swap_endpoints(frame: &mut [u8], family: Family) {
    let (to, from) = frame.split_at_mut(6);
    to.swap_with_slice(&mut from[..6]);
    let length = address_length(family);
    let udp = ETHERNET_BYTES + family.header_length();
    let (source, destination) = frame[udp - 2 * length..udp].split_at_mut(length);
    source.swap_with_slice(destination);
    let (source, destination) = frame[udp..udp + 4].split_at_mut(2);
    source.swap_with_slice(destination);
}

/// Classification of an arriving frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A frame of a tester with valid checksums.
    Intact(Stamp, Family),
    /// A frame of a tester that was changed on the path.
    Corrupted,
    /// A frame of another sender.
    Foreign,
}

/// Classifies an arriving frame. MAC addresses and TTL are not checked, because a router changes
/// them.
pub fn read(frame: &[u8], port: u16) -> Arrival {
    let family = match frame.get(12..15) {
        Some([0x08, 0x00, 0x45]) => Family::V4,
        Some([0x86, 0xdd, _]) => Family::V6,
        _ => return Arrival::Foreign,
    };
    let protocol = match family {
        Family::V4 => frame.get(ETHERNET_BYTES + 9),
        Family::V6 => frame.get(ETHERNET_BYTES + 6),
    };
    let udp = ETHERNET_BYTES + family.header_length();
    if protocol != Some(&17) || frame.get(udp + 2..udp + 4) != Some(&port.to_be_bytes()[..]) {
        return Arrival::Foreign;
    }
    let length = word(frame, udp + 4) as usize;
    // Padding may follow the datagram.
    let Some(datagram) = frame.get(udp..udp + length) else {
        return Arrival::Corrupted;
    };
    let addresses = &frame[udp - 2 * address_length(family)..udp];
    let checked = sum(addresses) + length as u32 + 17 + sum(datagram);
    if fold(checked) != 0xffff {
        return Arrival::Corrupted;
    }
    let stamp = datagram
        .get(UDP_BYTES..UDP_BYTES + STAMP_BYTES)
        .and_then(Stamp::of_bytes);
    stamp.map_or(Arrival::Foreign, |stamp| Arrival::Intact(stamp, family))
}

impl Stamp {
    fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..2].copy_from_slice(&TAG.to_be_bytes());
        bytes[2..4].copy_from_slice(&self.trial.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8] = self.queue;
        bytes[10..].copy_from_slice(&self.due.to_be_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, due) = bytes.split_at_checked(10)?;
        if word(head, 0) != TAG {
            return None;
        }
        Some(Self {
            trial: word(head, 2),
            number: u32::from_be_bytes(*head[4..].first_chunk()?),
            queue: head[8],
            due: u64::from_be_bytes(*due.first_chunk()?),
        })
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    let pair = bytes.get(at..at + 2).and_then(<[u8]>::first_chunk);
    pair.map_or(0, |pair| u16::from_be_bytes(*pair))
}

fn address_length(family: Family) -> usize {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

/// The checksum of RFC 1071 before folding, for less than 128 KiB.
fn sum(bytes: &[u8]) -> u32 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let pairs = pairs
        .iter()
        .map(|pair| u32::from(u16::from_be_bytes(*pair)));
    pairs.sum::<u32>() + rest.first().map_or(0, |&byte| u32::from(byte) << 8)
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}
