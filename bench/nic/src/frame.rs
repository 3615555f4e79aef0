use std::net::{Ipv4Addr, Ipv6Addr};

use crate::mix::{CHECK_SEQUENCE, ETHERNET, Family, Mix, Part, STAMP, UDP};

const TAG: u16 = 0xba11;
/// A port for what answers, as RFC 2544, C.2.3 says.
pub const ECHO: u16 = 7;

/// Who frames say they are from, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressing {
    /// Ethernet's source and destination.
    pub macs: [[u8; 6]; 2],
    /// The first 16 bits are kept, the others tell flows apart.
    pub source: Ipv4Addr,
    /// Whom all frames are for.
    pub destination: Ipv4Addr,
    /// Its UDP port.
    pub port: u16,
}

/// For benchmarks: RFC 2544, C.2.2.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// The same, on the other side.
pub const DESTINATION: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
/// For benchmarks: RFC 5180, section 8.
const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0);
/// Whom frames of IPv6 are for.
pub const DESTINATION_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 2, 0, 1, 0, 0, 0, 1);

/// A frame of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Which trial it belongs to; 0 is none.
    pub trial: u16,
    /// Its number among those of its queue.
    pub number: u32,
    /// The queue that sent it.
    pub queue: u8,
    /// When it was due, in nanoseconds of the tester's clock.
    pub due: u64,
}

/// Writes the frames of one queue.
#[derive(Debug, Clone)]
pub struct Stream {
    templates: Vec<(Part, Template)>,
    flows: Flows,
    queue: u8,
}

/// Which flow a frame belongs to: each is one queue's, so that their order can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flows {
    /// All of them.
    pub count: u32,
    /// Among as many queues.
    pub queues: u32,
}

/// The bits that tell flows apart: 16 of an address, 15 of a port.
const FLOW_BITS: u32 = 31;
/// The most flows: the others are fresh ones.
pub const MOST_FLOWS: u32 = 1 << 24;

impl Flows {
    /// The flow of a frame that is not the first of one.
    pub fn of(self, queue: u8, number: u32) -> u32 {
        let each = (self.count / self.queues).max(1);
        // Odd: a bijection. Neighbours are far from each other.
        let scattered = number.wrapping_mul(0x9e37_79b1) ^ (number >> 16);
        (scattered % each) * self.queues + u32::from(queue)
    }

    /// How many there are of one queue.
    pub fn of_queue(self) -> u32 {
        (self.count / self.queues).max(1)
    }
}

/// A frame but for what changes, and the checksum of what does not.
#[derive(Debug, Clone)]
struct Template {
    bytes: Vec<u8>,
    family: Family,
    ip_sum: u32,
    udp_sum: u32,
}

impl Stream {
    /// The frames that this queue sends of a mix.
    pub fn new(mix: &Mix, addressing: &Addressing, flows: Flows, queue: u8) -> Self {
        let template = |part: &Part| (*part, Template::new(part, addressing));
        Self {
            templates: mix.parts.iter().map(template).collect(),
            flows,
            queue,
        }
    }

    /// Writes a frame, and returns its length without the check sequence.
    pub fn write(&self, trial: u16, number: u32, due: u64, room: &mut [u8]) -> usize {
        let (part, template) = &self.templates[number as usize % self.templates.len()];
        let flow = if part.fresh {
            // Beyond all others, and none twice in a trial.
            let nth = number.wrapping_mul(self.flows.queues);
            MOST_FLOWS + nth.wrapping_add(u32::from(self.queue)) % FRESH
        } else {
            self.flows.of(self.queue, number)
        };
        let stamp = Stamp {
            trial,
            number,
            queue: self.queue,
            due,
        };
        template.write(flow, &stamp, room)
    }

    /// Writes the first frame of a flow for a device that is to know it, or the answer to it.
    pub fn introduce(&self, flow: u32, kind: usize, answer: bool, room: &mut [u8]) -> usize {
        let (_, template) = &self.templates[kind];
        let stamp = Stamp {
            trial: 0,
            number: flow,
            queue: self.queue,
            due: 0,
        };
        let length = template.write(flow, &stamp, room);
        if answer {
            turn_round(&mut room[..length], template.family);
        }
        length
    }

    /// One kind of each family, for [`Stream::introduce`].
    pub fn kinds(&self) -> Vec<usize> {
        [Family::V4, Family::V6]
            .iter()
            .filter_map(|family| {
                self.templates
                    .iter()
                    .position(|(part, _)| part.family == *family)
            })
            .collect()
    }
}

const FRESH: u32 = (1 << FLOW_BITS) - MOST_FLOWS;

/// Sixteen bits of an address and a port of a flow's source.
fn source_of(flow: u32) -> (u16, u16) {
    // Odd, and modulo a power of two: a bijection. Ports are as if at random (RFC 4814).
    let scattered = flow.wrapping_mul(0x2545_f491) & ((1 << FLOW_BITS) - 1);
    ((scattered >> 15) as u16, 0x8000 | scattered as u16)
}

impl Template {
    fn new(part: &Part, addressing: &Addressing) -> Self {
        let length = (part.size - CHECK_SEQUENCE) as usize;
        let mut bytes = Vec::with_capacity(length);
        let [source, destination] = addressing.macs;
        bytes.extend(destination);
        bytes.extend(source);
        let ip_length = length - ETHERNET;
        let header = part.family.header_length();
        let udp_length = (ip_length - header) as u16;
        match part.family {
            Family::V4 => {
                bytes.extend([0x08, 0x00, 0x45, 0]);
                bytes.extend((ip_length as u16).to_be_bytes());
                // May not be fragmented; 64 hops; UDP.
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
        let udp = bytes.len();
        bytes.extend([0, 0]);
        bytes.extend(addressing.port.to_be_bytes());
        bytes.extend(udp_length.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.resize(udp + UDP + STAMP, 0);
        let payload = (0..length - bytes.len()).map(|at| at as u8);
        bytes.extend(payload.collect::<Vec<u8>>());
        let ip = &bytes[ETHERNET..udp];
        let addresses = &ip[ip.len() - 2 * address_length(part.family)..];
        Self {
            family: part.family,
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
        let udp = ETHERNET + header;
        let (address, port) = source_of(flow);
        // The last two bytes of the source address.
        let at = udp - address_length(self.family) - 2;
        frame[at..at + 2].copy_from_slice(&address.to_be_bytes());
        frame[udp..udp + 2].copy_from_slice(&port.to_be_bytes());
        let bytes = stamp.to_bytes();
        frame[udp + UDP..udp + UDP + STAMP].copy_from_slice(&bytes);
        if self.family == Family::V4 {
            let checksum = !fold(self.ip_sum + u32::from(address));
            frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&checksum.to_be_bytes());
        }
        let changed = u32::from(address) + u32::from(port) + sum(&bytes);
        let checksum = match !fold(self.udp_sum + changed) {
            // Zero would say that there is none.
            0 => 0xffff,
            other => other,
        };
        frame[udp + 6..udp + 8].copy_from_slice(&checksum.to_be_bytes());
        length
    }
}

/// Exchanges source and destination; no checksum changes by it.
fn turn_round(frame: &mut [u8], family: Family) {
    let (to, from) = frame.split_at_mut(6);
    to.swap_with_slice(&mut from[..6]);
    let length = address_length(family);
    let udp = ETHERNET + family.header_length();
    let (source, destination) = frame[udp - 2 * length..udp].split_at_mut(length);
    source.swap_with_slice(destination);
    let (source, destination) = frame[udp..udp + 4].split_at_mut(2);
    source.swap_with_slice(destination);
}

/// What a frame that arrives is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A frame of a tester, whole.
    Whole(Stamp, Family),
    /// One that has been changed on its way.
    Corrupted,
    /// Somebody else's.
    Foreign,
}

/// Reads a frame. The source and destination of Ethernet, and hops, may be others than sent: a router's.
pub fn read(frame: &[u8], port: u16) -> Arrival {
    let family = match frame.get(12..15) {
        Some([0x08, 0x00, 0x45]) => Family::V4,
        Some([0x86, 0xdd, _]) => Family::V6,
        _ => return Arrival::Foreign,
    };
    let protocol = match family {
        Family::V4 => frame.get(ETHERNET + 9),
        Family::V6 => frame.get(ETHERNET + 6),
    };
    let udp = ETHERNET + family.header_length();
    if protocol != Some(&17) || frame.get(udp + 2..udp + 4) != Some(&port.to_be_bytes()[..]) {
        return Arrival::Foreign;
    }
    let length = word(frame, udp + 4) as usize;
    // Frames may be padded behind it.
    let Some(datagram) = frame.get(udp..udp + length) else {
        return Arrival::Corrupted;
    };
    let addresses = &frame[udp - 2 * address_length(family)..udp];
    let checked = sum(addresses) + length as u32 + 17 + sum(datagram);
    if fold(checked) != 0xffff {
        return Arrival::Corrupted;
    }
    let stamp = datagram.get(UDP..UDP + STAMP).and_then(Stamp::of_bytes);
    stamp.map_or(Arrival::Foreign, |stamp| Arrival::Whole(stamp, family))
}

impl Stamp {
    fn to_bytes(self) -> [u8; STAMP] {
        let mut bytes = [0; STAMP];
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

/// The sum of RFC 1071 before folding; of fewer than 128 KiB.
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
