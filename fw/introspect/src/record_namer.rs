//! Records with the names of one generation.

use std::sync::Arc;

use bailey_bpf::abi;
use bailey_control::api_records::{PacketRecord as NamedRecord, RecordFilter, RecordedRule};
use bailey_datapath::observe::records::PacketRecord;
use bailey_policy::Snapshot;
use bailey_state::rule_ids::RuleNames;

use crate::counters::verdict_and_reason;
use crate::endpoint_names::endpoint_name;
use crate::live_state::{LiveState, NamesVersion};
use crate::record_filter::{CLASS_NAMES, CheckedFilter, TCP_FLAGS};
use crate::rules::name_to_api;

/// Names of rules and endpoints, and a filter that uses them.
#[derive(Debug)]
pub struct RecordNamer {
    names: RuleNames,
    inventory: Option<Arc<Snapshot>>,
    filter: CheckedFilter,
    version: NamesVersion,
}

impl LiveState {
    /// The names of the active generation; `inventory` has those of endpoints.
    ///
    /// # Errors
    /// If the filter names an unknown object.
    pub fn record_namer(
        &self,
        filter: RecordFilter,
        inventory: Option<Arc<Snapshot>>,
    ) -> Result<RecordNamer, String> {
        // Before the names: a change in between makes them newer than their version.
        let version = self.names_version().unwrap_or_default();
        let names = self.names();
        Ok(RecordNamer {
            filter: CheckedFilter::new(filter, &names)?,
            version,
            inventory,
            names,
        })
    }
}

impl RecordNamer {
    /// The version of the names.
    pub fn version(&self) -> NamesVersion {
        self.version
    }

    /// A bit per number of each reason that a matching record can have.
    pub(crate) fn reasons(&self) -> u64 {
        self.filter.reasons()
    }

    /// Whether a record matches the filter.
    pub fn is_match(&self, record: &PacketRecord) -> bool {
        self.filter.is_match(record, self.inventory.as_deref())
    }

    /// A record with names.
    pub fn name(&self, record: &PacketRecord) -> NamedRecord {
        record_to_api(record, &self.names, self.inventory.as_deref())
    }
}

/// A record as an API value.
fn record_to_api(
    record: &PacketRecord,
    names: &RuleNames,
    inventory: Option<&Snapshot>,
) -> NamedRecord {
    let endpoint = |address| inventory.and_then(|known| endpoint_name(known, address));
    let (verdict, reason) = verdict_and_reason(record.reason);
    let connection = record.connection.as_ref();
    let rule = |cell: Option<(u32, bool)>| {
        cell.map(|(id, denies)| RecordedRule {
            denies,
            name: name_to_api(names, id),
        })
    };
    NamedRecord {
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
