//! Records of packets as answers: reads the pinned rings, filters, and names rules and reasons.

use std::sync::Arc;
use std::time::SystemTime;

use bailey_bpf::abi;
use bailey_control::api_records::{PacketRecord, RecordFilter, RecordedRule};
use bailey_datapath::DatapathError;
use bailey_datapath::maps::recorder::{RecordCount, RecordCursor};
use bailey_datapath::observe::records::{self, RecordReader};
use bailey_policy::Snapshot;
use bailey_state::rule_ids::RuleNames;

use crate::counters::verdict_and_reason;
use crate::endpoint_names::endpoint_name;
use crate::live_state::LiveState;
use crate::record_filter::{CLASS_NAMES, CheckedFilter, TCP_FLAGS};
use crate::rules::name_to_api;

/// The recorder, a filter, and the names of rules.
#[derive(Debug)]
pub(crate) struct RecordSource {
    reader: RecordReader,
    cursor: RecordCursor,
    filter: CheckedFilter,
    names: RuleNames,
    inventory: Option<Arc<Snapshot>>,
}

/// The records of one reading that match the filter, in the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// The records with their exact times.
    pub records: Vec<(SystemTime, PacketRecord)>,
    /// Records of any kind that were overwritten before they were read.
    pub lost: u64,
    /// Time of the oldest record that was read, whether it matches or not.
    pub oldest: Option<SystemTime>,
}

impl LiveState {
    /// Opens the recorder. `from_now`: only records of later packets. `inventory` has the names of
    /// endpoints. The inner error: the filter names an unknown object, or the recorder is off.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub(crate) fn records(
        &self,
        filter: RecordFilter,
        from_now: bool,
        inventory: Option<Arc<Snapshot>>,
    ) -> Result<Result<RecordSource, String>, DatapathError> {
        let reader = RecordReader::open(&self.pins)?;
        if !reader.is_on() {
            return Ok(Err(
                "the recorder is off: recorder.records is 0 in the configuration of the running Bailey"
                    .to_owned(),
            ));
        }
        let names = self.names();
        Ok(
            CheckedFilter::new(filter, &names).map(|filter| RecordSource {
                cursor: reader.cursor(from_now),
                reader,
                filter,
                names,
                inventory,
            }),
        )
    }
}

impl RecordSource {
    /// Reads the records since the last call.
    pub(crate) fn read(&mut self) -> Records {
        let batch = self.reader.read(&mut self.cursor);
        let inventory = self.inventory.as_deref();
        let oldest = batch.records.first().map(|record| record.time);
        let matching = batch
            .records
            .iter()
            .filter(|record| self.filter.is_match(record, inventory));
        Records {
            records: matching
                .map(|r| (r.time, record_to_api(r, &self.names, inventory)))
                .collect(),
            lost: batch.lost,
            oldest,
        }
    }

    /// Packets and records of all classes since the recorder began.
    pub(crate) fn count(&self) -> RecordCount {
        let counts = self.reader.counts();
        RecordCount {
            packets: counts.iter().map(|count| count.packets).sum(),
            written: counts.iter().map(|count| count.written).sum(),
        }
    }
}

/// A record as an API value.
pub(crate) fn record_to_api(
    record: &records::PacketRecord,
    names: &RuleNames,
    inventory: Option<&Snapshot>,
) -> PacketRecord {
    let endpoint = |address| inventory.and_then(|known| endpoint_name(known, address));
    let (verdict, reason) = verdict_and_reason(record.reason);
    let connection = record.connection.as_ref();
    let rule = |cell: Option<(u32, bool)>| {
        cell.map(|(id, denies)| RecordedRule {
            denies,
            name: name_to_api(names, id),
        })
    };
    PacketRecord {
        time: bailey_clock::rfc3339_milliseconds(record.time),
        interface: record.interface.clone(),
        traffic_direction: match record.hook {
            abi::HOOK_XDP => "ingress",
            _ => "egress",
        }
        .to_owned(),
        verdict,
        reason,
        class: CLASS_NAMES[record.class].to_owned(),
        protocol: connection.map(|c| c.protocol.to_string()),
        source: connection.map(|c| c.source.to_string()),
        source_endpoint: connection.and_then(|c| endpoint(c.source)),
        source_port: connection.map(|c| c.source_port),
        destination: connection.map(|c| c.destination.to_string()),
        destination_endpoint: connection.and_then(|c| endpoint(c.destination)),
        destination_port: connection.map(|c| c.destination_port),
        zone: connection.map_or(0, |c| c.zone),
        tcp_flags: format_flags(record.tcp_flags),
        segments: record.segments,
        bytes: record.bytes,
        egress_rule: rule(record.egress),
        ingress_rule: rule(record.ingress),
        cpu: record.cpu,
        number: record.number,
    }
}

fn format_flags(flags: u8) -> String {
    let set = TCP_FLAGS
        .iter()
        .zip(0..)
        .filter(|(_, bit)| flags >> bit & 1 == 1);
    let set: Vec<&str> = set.map(|(name, _)| *name).collect();
    set.join(",")
}
