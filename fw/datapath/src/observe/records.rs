//! Records of packets, decoded.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bailey_bpf::abi;
use bailey_bpf::reason::Reason;
use bailey_policy::Protocol;

use crate::error::DatapathError;
use crate::flows::table::address;
use crate::kernel::clock::{calendar_offset, coarse_nanoseconds};
use crate::maps::interfaces;
use crate::maps::pins::PinDir;
use crate::maps::recorder::{CLASSES, RawRecord, RecordCount, RecordCursor, RecordRings};

/// A packet that the recorder has noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketRecord {
    /// Time of the packet, to a tick of the kernel's coarse clock (1 to 10 ms).
    pub time: SystemTime,
    /// CPU that processed the packet.
    pub cpu: usize,
    /// `enum record_class`.
    pub class: usize,
    /// Number of the record in the ring of its CPU and class.
    pub number: u64,
    /// Slot of the interface.
    pub slot: usize,
    /// Name of the interface; `None` if Bailey was not attached to it.
    pub interface: Option<String>,
    /// `HOOK_XDP` (ingress) or `HOOK_TC` (egress).
    pub hook: u32,
    /// Number of the reason.
    pub reason: u32,
    /// Addresses and ports, unless the frame has none.
    pub connection: Option<RecordedConnection>,
    /// Flags of the TCP header; 0 for other protocols.
    pub tcp_flags: u8,
    /// Segments of a GSO or GRO frame, otherwise 1; at most 65535.
    pub segments: u64,
    /// Bytes of the frame without FCS; at most 2^24 - 1.
    pub bytes: u64,
    /// Id of the rule at the source that decided, and whether it denies.
    pub egress: Option<(u32, bool)>,
    /// The same at the destination.
    pub ingress: Option<(u32, bool)>,
}

impl PacketRecord {
    /// Whether packets with this reason pass.
    pub fn passes(&self) -> bool {
        Reason::of(self.reason).is_some_and(|reason| reason.passes)
    }

    /// Whether this is the first packet of a connection: passed as new, or denied by policy. A TCP segment
    /// without SYN that policy denies is of a flow whose permission was revoked.
    pub fn is_opening(&self) -> bool {
        const SYN: u8 = 2;
        let is_tcp = self.connection.is_some_and(|c| c.protocol == Protocol::TCP);
        match self.reason {
            abi::REASON_PASS_NEW => true,
            abi::REASON_DROP_POLICY => !is_tcp || self.tcp_flags & SYN != 0,
            _ => false,
        }
    }
}

/// The ends of a recorded packet, in its direction. Of an ICMP error: the ends of the connection about
/// which it reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedConnection {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Port of the source; the identifier of an ICMP echo request. 0 without ports.
    pub source_port: u16,
    /// Port of the destination.
    pub destination_port: u16,
    /// VLAN zone, if VLANs have separate flows: outer * 4096 + inner for two tags.
    pub zone: u32,
}

/// The recorder, opened for reading.
#[derive(Debug)]
pub struct RecordReader {
    rings: RecordRings,
    /// Interface names, by slot.
    names: Vec<String>,
}

/// One in 2^n packets of each class leaves a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sampling {
    /// n, by `enum record_class`.
    pub shifts: [u32; CLASSES],
    /// Consecutive readings in which a class needed less.
    quiet: [u32; CLASSES],
}

impl Sampling {
    /// Greatest n: one in 65536.
    const SHIFT_MAX: u32 = 16;
    /// Quiet readings after which n shrinks by one. Traffic comes in bursts, so n grows at once.
    const QUIET_READINGS: u32 = 10;

    /// The new n of a class whose fullest ring got `new` records since the last reading, if n changes. It
    /// grows by as much as the ring got more than half of its records.
    fn follow(&mut self, class: usize, new: u64, capacity: u64) -> Option<u32> {
        let (shift, quiet) = (&mut self.shifts[class], &mut self.quiet[class]);
        let before = *shift;
        let half = capacity / 2;
        if new > half {
            *quiet = 0;
            *shift = (before + new.div_ceil(half).ilog2().max(1)).min(Self::SHIFT_MAX);
        } else if new < half * 3 / 8 && before > 0 {
            *quiet += 1;
            if *quiet >= Self::QUIET_READINGS {
                *quiet = 0;
                *shift -= 1;
            }
        } else {
            *quiet = 0;
        }
        (*shift != before).then_some(*shift)
    }
}

/// Records in the order of their times.
#[derive(Debug, Default)]
pub struct RecordBatch {
    /// The records.
    pub records: Vec<PacketRecord>,
    /// Records that were overwritten before they were read.
    pub lost: u64,
    /// The same, by `enum record_class`.
    pub lost_by_class: [u64; CLASSES],
}

impl RecordReader {
    /// Opens the pinned recorder.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's map.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        Ok(Self {
            rings: RecordRings::open(pins)?,
            names: interfaces::read_slot_names(pins)?,
        })
    }

    /// Whether the recorder is on.
    pub fn is_on(&self) -> bool {
        self.rings.is_on()
    }

    /// Packets and records, by `enum record_class`.
    pub fn counts(&self) -> [RecordCount; CLASSES] {
        self.rings.counts()
    }

    /// The position before the oldest records, or behind the newest.
    pub fn cursor(&self, at_end: bool) -> RecordCursor {
        self.rings.cursor(at_end)
    }

    /// Reads the names of interfaces again.
    ///
    /// # Errors
    /// If the pinned map cannot be read.
    pub fn refresh_names(&mut self, pins: &PinDir) -> Result<(), DatapathError> {
        self.names = interfaces::read_slot_names(pins)?;
        Ok(())
    }

    /// Sets how many packets leave a record, so that each ring lasts for the time between two readings. Call
    /// before [`Self::read`]. `sooner`: how many times sooner the next reading comes than this one came. Returns
    /// whether a ring has got an eighth of its records or more: the next reading should come soon.
    ///
    /// # Errors
    /// If this process may not write the map.
    pub fn adapt_sampling(
        &self,
        cursor: &RecordCursor,
        sampling: &mut Sampling,
        sooner: u64,
    ) -> Result<bool, DatapathError> {
        let new = self.rings.most_new(cursor);
        let is_busy = new.iter().any(|new| *new >= self.rings.capacity() / 8);
        for (class, new) in new.into_iter().enumerate() {
            if let Some(shift) = sampling.follow(class, new / sooner, self.rings.capacity()) {
                self.rings.set_sampling(class, shift)?;
            }
        }
        Ok(is_busy)
    }

    /// Lets every packet leave a record.
    ///
    /// # Errors
    /// If this process may not write the map.
    pub fn reset_sampling(&self) -> Result<(), DatapathError> {
        (0..CLASSES).try_for_each(|class| self.rings.set_sampling(class, 0))
    }

    /// Reads the records from a position on, and moves the position behind them.
    pub fn read(&self, cursor: &mut RecordCursor) -> RecordBatch {
        let mut raw = Vec::new();
        let lost_by_class = self.rings.read(cursor, &mut raw);
        let clocks = Clocks::now();
        let mut aged: Vec<(u64, RawRecord)> = raw
            .into_iter()
            .map(|raw| (clocks.age(raw.record.time >> abi::RECORD_TIME_SHIFT), raw))
            .collect();
        aged.sort_by_key(|(age, raw)| (u64::MAX - age, raw.ring, raw.number));
        let records = aged
            .iter()
            .map(|(age, raw)| decode(raw, &self.names, clocks.time(*age)));
        RecordBatch {
            records: records.collect(),
            lost: lost_by_class.iter().sum(),
            lost_by_class,
        }
    }
}

/// A record of the map, with the names of interfaces by slot.
pub(crate) fn decode(raw: &RawRecord, names: &[String], time: SystemTime) -> PacketRecord {
    let RawRecord {
        record,
        ring,
        number,
    } = raw;
    let place = u32::from(record.place);
    let slot = place as usize & (abi::INTERFACE_SLOTS as usize - 1);
    let name = names.get(slot).filter(|name| !name.is_empty());
    let cell = |cell: u32| {
        let rule = cell & abi::CELL_RULE_MASK;
        (rule != abi::RULE_NONE).then_some((rule, cell & abi::CELL_DENY != 0))
    };
    PacketRecord {
        time,
        cpu: ring / CLASSES,
        class: ring % CLASSES,
        number: *number,
        slot,
        interface: name.cloned(),
        hook: place >> abi::RECORD_HOOK_SHIFT & 3,
        reason: (record.time >> abi::RECORD_REASON_SHIFT) as u32 & (abi::REASON_MAX - 1),
        connection: connection(record),
        tcp_flags: record.tcp_flags,
        segments: record.segments.into(),
        bytes: record.time & u64::from(abi::RECORD_BYTES_MAX),
        egress: cell(record.egress),
        ingress: cell(record.ingress),
    }
}

fn connection(record: &abi::record) -> Option<RecordedConnection> {
    if record.source_be == [0; 2] && record.destination_be == [0; 2] {
        return None;
    }
    let mut ports = [
        (record.tuple >> abi::TUPLE_PORT_LO_SHIFT) as u16,
        (record.tuple >> abi::TUPLE_PORT_HI_SHIFT) as u16,
    ];
    if record.place >> abi::RECORD_SWAPPED_SHIFT != 0 {
        ports.reverse();
    }
    Some(RecordedConnection {
        source: address(record.source_be),
        destination: address(record.destination_be),
        protocol: Protocol((record.tuple >> abi::TUPLE_PROTOCOL_SHIFT) as u8),
        source_port: ports[0],
        destination_port: ports[1],
        zone: (record.tuple >> abi::TUPLE_ZONE_SHIFT) as u32,
    })
}

/// The programs' clock and the calendar, at one moment.
struct Clocks {
    /// In the unit of records.
    now: u64,
    /// Calendar less programs' clock: constant until a process sets the calendar.
    offset: Duration,
}

impl Clocks {
    fn now() -> Self {
        Self {
            now: coarse_nanoseconds() >> abi::TICK_FRACTION_SHIFT,
            offset: calendar_offset(),
        }
    }

    /// Age of a record's time. A record may be slightly ahead of this CPU's clock: its age is 0 then.
    fn age(&self, time: u64) -> u64 {
        let age = self.now.wrapping_sub(time) & abi::RECORD_TIME_MASK;
        if age > abi::RECORD_TIME_MASK / 2 {
            0
        } else {
            age
        }
    }

    fn time(&self, age: u64) -> SystemTime {
        let time = (self.now - age.min(self.now)) << abi::TICK_FRACTION_SHIFT;
        SystemTime::UNIX_EPOCH + self.offset + Duration::from_nanos(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_grows_at_once_and_shrinks_slowly() {
        let mut sampling = Sampling::default();
        assert_eq!(sampling.follow(0, 2048, 4096), None);
        assert_eq!(sampling.follow(0, 2049, 4096), Some(1));
        assert_eq!(sampling.follow(0, 64 * 2048, 4096), Some(7));
        assert_eq!(sampling.follow(0, 800, 4096), None);
        for _ in 0..9 {
            assert_eq!(sampling.follow(0, 100, 4096), None);
        }
        assert_eq!(sampling.follow(0, 100, 4096), Some(6));
        for _ in 0..20 {
            sampling.follow(1, u64::MAX, 4096);
        }
        assert_eq!(sampling.shifts, [6, 16, 0, 0]);
    }
}
