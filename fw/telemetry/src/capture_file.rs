//! Captured frames as pcapng (draft-ietf-opsawg-pcapng): one interface block per interface, and the verdict
//! as the comment of each packet.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use bailey_control::api_records::{PacketRecord, RecordedRule};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, PcapError};

/// Times are in units of 10^-9 s.
const NANOSECONDS: u8 = 9;

/// A frame for the file.
#[derive(Debug, Clone, Copy)]
pub struct FileFrame<'a> {
    /// Time of the packet.
    pub time: SystemTime,
    /// The packet with the names of its rules.
    pub packet: &'a PacketRecord,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// Bytes of the whole frame.
    pub frame_bytes: u64,
    /// The revision of the policies.
    pub revision: u32,
}

/// Writes frames to a file or a pipe.
pub struct CaptureFile<W: Write> {
    writer: PcapNgWriter<W>,
    /// Names of the interfaces that have a block.
    interfaces: Vec<String>,
    snaplen: u32,
    written: u64,
}

impl<W: Write> CaptureFile<W> {
    /// Writes the header. `snaplen`: most bytes of a frame that are captured.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn new(writer: W, snaplen: u32) -> io::Result<Self> {
        Ok(Self {
            writer: PcapNgWriter::new(writer).map_err(io_error)?,
            interfaces: Vec::new(),
            snaplen,
            written: 0,
        })
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, frame: &FileFrame<'_>) -> io::Result<()> {
        let interface_id = self.interface_id(frame.packet.interface.as_deref())?;
        let since_epoch = frame.time.duration_since(SystemTime::UNIX_EPOCH);
        let comment = comment(frame.packet, frame.revision);
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: since_epoch.unwrap_or(Duration::ZERO),
            original_len: u32::try_from(frame.frame_bytes).unwrap_or(u32::MAX),
            data: Cow::Borrowed(frame.bytes),
            options: vec![EnhancedPacketOption::Comment(Cow::Owned(comment))],
        };
        self.write_block(block)
    }

    /// Bytes written so far, without the header of the file.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Hands all frames to the operating system.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }

    /// The number of an interface; writes its block before its first frame.
    fn interface_id(&mut self, name: Option<&str>) -> io::Result<u32> {
        let name = name.unwrap_or("unknown");
        let known = self.interfaces.iter().position(|known| known == name);
        if let Some(id) = known {
            return Ok(id as u32);
        }
        self.interfaces.push(name.to_owned());
        self.write_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: self.snaplen,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Owned(name.to_owned())),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        })?;
        Ok(self.interfaces.len() as u32 - 1)
    }

    fn write_block<'b>(&mut self, block: impl PcapNgBlock<'b>) -> io::Result<()> {
        let written = self.writer.write_pcapng_block(block);
        self.written += written.map_err(io_error)? as u64;
        Ok(())
    }
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

/// Interface, hook, verdict, reason, rules, revision: `eth0 ingress (XDP), DROP policy, denied by
/// shop/web-public ingress default deny, revision 7`.
fn comment(packet: &PacketRecord, revision: u32) -> String {
    let hook = match packet.traffic_direction.as_str() {
        "ingress" => "ingress (XDP)",
        _ => "egress (tc)",
    };
    let mut text = format!(
        "{} {hook}, {} {}",
        packet.interface.as_deref().unwrap_or("unknown"),
        packet.verdict.to_uppercase(),
        packet.reason
    );
    for (end, rule) in [
        ("source", &packet.egress_rule),
        ("destination", &packet.ingress_rule),
    ] {
        let Some(RecordedRule { denies, name }) = rule else {
            continue;
        };
        let verb = if *denies { "denied" } else { "allowed" };
        text += &format!(", {verb} at the {end} by {}", name.rule);
    }
    text + &format!(", revision {revision}")
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    fn packet(interface: Option<&str>) -> PacketRecord {
        let rule = serde_json::json!({"denies": true, "id": 18, "kind": "rule", "rule": "shop/web-public ingress[0]"});
        let packet = serde_json::json!({
            "time": "", "interface": interface, "traffic_direction": "ingress", "verdict": "drop",
            "reason": "policy", "class": "policy", "zone": 0, "tcp_flags": "", "segments": 1,
            "bytes": 60, "ingress_rule": rule, "cpu": 0, "number": 0,
        });
        serde_json::from_value(packet).unwrap()
    }

    #[test]
    fn frames_read_back_with_interface_time_and_comment() {
        let mut file = CaptureFile::new(Vec::new(), 64).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        for (interface, bytes) in [
            (Some("eth0"), &[1, 2, 3][..]),
            (None, &[4; 8]),
            (Some("eth0"), &[]),
        ] {
            let frame = FileFrame {
                time,
                packet: &packet(interface),
                bytes,
                frame_bytes: 1500,
                revision: 7,
            };
            file.write(&frame).unwrap();
        }
        let bytes = file.writer.into_inner();
        let mut reader = PcapNgReader::new(&bytes[..]).unwrap();
        let (mut interfaces, mut packets) = (0, Vec::new());
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(_) => interfaces += 1,
                Block::EnhancedPacket(packet) => packets.push(packet.into_owned()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((interfaces, packets.len()), (2, 3));
        let ids: Vec<u32> = packets.iter().map(|packet| packet.interface_id).collect();
        assert_eq!(ids, [0, 1, 0]);
        assert_eq!(
            packets[0].timestamp,
            Duration::from_nanos(1_700_000_000_123_456_789)
        );
        assert_eq!(
            (&*packets[0].data, packets[0].original_len),
            (&[1, 2, 3][..], 1500)
        );
        let expected = "eth0 ingress (XDP), DROP policy, denied at the destination by shop/web-public \
                        ingress[0], revision 7";
        assert_eq!(
            packets[0].options,
            [EnhancedPacketOption::Comment(expected.into())]
        );
    }
}
