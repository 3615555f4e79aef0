//! Frames that the programs copy for one process; see `struct capture` of abi.h.
//!
//! The perf rings belong to this process: if it is killed, the kernel frees them, and the programs go back to their
//! fast path two seconds later.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aya::maps::perf::{PerfEvent, PerfEventArrayBuffer};
use aya::maps::{Map, MapData, PerfEventArray};
use aya::util::online_cpus;
use bailey_bpf::abi;
use ipnet::IpNet;
use rustix::param::page_size;

use crate::error::{DatapathError, unusable};
use crate::kernel::clock::{calendar_offset, monotonic_nanoseconds};
use crate::maps::cidr::CidrWords;
use crate::maps::control_word::ControlMap;
use crate::maps::interfaces;
use crate::maps::mapped::MappedArray;
use crate::maps::pinned::open_pinned;
use crate::maps::pins::PinDir;
use crate::maps::recorder::{CLASSES, RawRecord};
use crate::maps::table::{CAPTURE, CAPTURE_RINGS};
use crate::observe::records::{PacketRecord, decode};

/// Greatest number of bytes of a frame that can be captured.
pub const SNAPLEN_MAX: u32 = abi::CAPTURE_SNAPLEN_MAX;

/// Bytes of all rings together, and of one.
const RINGS_BYTES: usize = 64 << 20;
const RING_BYTES_MAX: usize = 4 << 20;
/// Least size of a ring: it holds a few of the longest frames.
const RING_BYTES_MIN: usize = 256 << 10;
/// Time after which the programs take this process for crashed, unless it reads.
const LEASE: Duration = Duration::from_secs(2);

/// The choice of frames that the programs copy.
#[derive(Debug, Clone)]
pub struct CaptureChoice {
    /// A bit per number of a reason.
    pub reasons: u64,
    /// Source or destination; `None`: any frame, also one that is not IP.
    pub prefix: Option<IpNet>,
    /// Bytes of a frame that are copied, at most [`SNAPLEN_MAX`].
    pub snaplen: u32,
    /// Time after which the programs stop.
    pub duration: Duration,
}

/// A copied frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedFrame {
    /// The packet and its verdict. The time is exact to the nanosecond, and the reason may be one that the
    /// recorder omits.
    pub packet: PacketRecord,
    /// The first bytes of the frame, with the VLAN tag that it gets when it is sent.
    pub bytes: Vec<u8>,
    /// Bytes of the whole frame.
    pub frame_bytes: u64,
}

/// A capture that is on until it is dropped.
pub struct Capture {
    rings: Vec<(usize, PerfEventArrayBuffer<MapData>)>,
    settings: MappedArray<abi::capture>,
    control: ControlMap,
    /// Interface names, by slot.
    names: Vec<String>,
    /// Calendar less the programs' clock.
    offset: Duration,
    count: u64,
    /// On the monotonic clock, in nanoseconds.
    deadline: u64,
    is_armed: bool,
}

impl Capture {
    /// Lets the programs copy frames. The caller holds a lock, so that only one process captures.
    ///
    /// # Errors
    /// If nothing is pinned, or the kernel refuses the rings.
    pub fn start(pins: &PinDir, choice: &CaptureChoice) -> Result<Self, DatapathError> {
        let map = Map::PerfEventArray(open_pinned(pins, CAPTURE_RINGS, size_of::<u32>())?);
        let mut array = PerfEventArray::try_from(map).map_err(unusable(CAPTURE_RINGS))?;
        let cpus = online_cpus().map_err(|(_, source)| DatapathError::System {
            operation: "read the online CPUs",
            source,
        })?;
        let bytes = (RINGS_BYTES / cpus.len().max(1)).clamp(RING_BYTES_MIN, RING_BYTES_MAX);
        let pages = 1 << (bytes / page_size()).max(1).ilog2();
        let mut rings = Vec::with_capacity(cpus.len());
        for cpu in cpus {
            let ring = array.open(cpu, Some(pages)).map_err(|error| {
                DatapathError::Unsupported(format!("no ring for the frames of CPU {cpu}: {error}"))
            })?;
            rings.push((cpu as usize, ring));
        }
        let mut capture = Self {
            deadline: monotonic_nanoseconds().saturating_add(choice.duration.as_nanos() as u64),
            is_armed: false,
            rings,
            settings: MappedArray::open_writable(pins, CAPTURE)?,
            control: ControlMap::open_writable(pins, "control")?,
            names: interfaces::read_slot_names(pins)?,
            offset: calendar_offset(),
            count: 0,
        };
        let prefix = choice.prefix.map(CidrWords::from);
        let settings = abi::capture {
            until: 0,
            reasons: choice.reasons,
            missed: 0,
            snaplen: choice.snaplen.min(SNAPLEN_MAX).into(),
            addr_be: prefix.as_ref().map_or([0; 2], |prefix| prefix.addr_be),
            mask_be: prefix.as_ref().map_or([0; 2], |prefix| prefix.mask_be),
        };
        capture.disarm();
        capture.settings.write(0, &settings, Ordering::Release);
        capture.is_armed = true;
        capture.renew();
        Ok(capture)
    }

    /// Tells the programs that this process lives: they stop when it has not done so for [`LEASE`], and when the
    /// time of the capture is over.
    fn renew(&self) {
        let now = monotonic_nanoseconds();
        if !self.is_armed || now >= self.deadline {
            return;
        }
        let until = self.deadline.min(now + LEASE.as_nanos() as u64);
        let field = self.settings.field(0, offset_of!(abi::capture, until));
        field.store(until, Ordering::Release);
        let bit = u64::from(abi::BLOCKS_CAPTURE);
        self.blocks_word().fetch_or(bit, Ordering::Release);
    }

    /// The frames that were copied since the last call, in the order of their times.
    ///
    /// Call at least once a second: the programs stop for a process that does not read.
    pub fn read(&mut self) -> Vec<CapturedFrame> {
        self.renew();
        let mut frames = Vec::new();
        let mut sample = Vec::new();
        for (cpu, ring) in &mut self.rings {
            ring.for_each(|event| {
                // The programs count the frames that found no room.
                let PerfEvent::Sample { head, tail } = event else {
                    return;
                };
                sample.clear();
                sample.extend_from_slice(head);
                sample.extend_from_slice(tail);
                frames.extend(decode_sample(&sample, *cpu, &self.names, self.offset));
            });
        }
        frames.sort_by_key(|frame| frame.packet.time);
        for (number, frame) in (self.count..).zip(&mut frames) {
            frame.packet.number = number;
        }
        self.count += frames.len() as u64;
        frames
    }

    /// Frames that were chosen but not copied, because the ring of their CPU was full.
    pub fn missed(&self) -> u64 {
        let missed = self.settings.field(0, offset_of!(abi::capture, missed));
        missed.load(Ordering::Relaxed)
    }

    /// Lets the programs stop. Frames that were copied before can still be read.
    pub fn disarm(&mut self) {
        self.is_armed = false;
        let bit = u64::from(abi::BLOCKS_CAPTURE);
        self.blocks_word().fetch_and(!bit, Ordering::Release);
    }

    fn blocks_word(&self) -> &AtomicU64 {
        self.control.field(0, offset_of!(abi::control, blocks))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// A sample of a ring. `None` if it is shorter than it says.
fn decode_sample(
    sample: &[u8],
    cpu: usize,
    names: &[String],
    offset: Duration,
) -> Option<CapturedFrame> {
    let (head, rest) = sample.split_at_checked(size_of::<abi::captured>())?;
    let captured: abi::captured = bytemuck::pod_read_unaligned(head);
    let frame = rest.get(..captured.bytes as usize)?;
    let class = captured.record.number as usize % CLASSES;
    let raw = RawRecord {
        record: captured.record,
        ring: cpu * CLASSES + class,
        number: 0,
    };
    let time = SystemTime::UNIX_EPOCH + offset + Duration::from_nanos(captured.time);
    let packet = decode(&raw, names, time);
    let mut bytes = frame.to_vec();
    let mut frame_bytes = u64::from(captured.length.max(captured.bytes));
    if captured.vlan_protocol_be != 0 && bytes.len() >= MAC_ADDRESSES {
        let [tci, protocol] = [captured.vlan_tci.to_be(), captured.vlan_protocol_be];
        let tag: [u8; 4] = bytemuck::cast([protocol, tci]);
        bytes.splice(MAC_ADDRESSES..MAC_ADDRESSES, tag);
        frame_bytes += tag.len() as u64;
    }
    Some(CapturedFrame {
        packet,
        bytes,
        frame_bytes,
    })
}

/// Bytes of the two MAC addresses, which the VLAN tag follows.
const MAC_ADDRESSES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlan_tags_return_into_the_frame() {
        let captured = abi::captured {
            record: bytemuck::Zeroable::zeroed(),
            time: 5,
            bytes: 14,
            length: 14,
            pad: 0,
            vlan_protocol_be: 0x8100_u16.to_be(),
            vlan_tci: 0x2064,
        };
        let mut sample = bytemuck::bytes_of(&captured).to_vec();
        sample.extend([1; 12]);
        sample.extend([8, 0, 9, 9]);
        let frame = decode_sample(&sample, 0, &[], Duration::ZERO).unwrap();
        let mut expected = vec![1; 12];
        expected.extend([0x81, 0, 0x20, 0x64, 8, 0]);
        assert_eq!((frame.bytes, frame.frame_bytes), (expected, 18));
        assert_eq!(decode_sample(&sample[..90], 0, &[], Duration::ZERO), None);
    }
}
