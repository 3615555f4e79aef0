//! Records with the names of one generation.

use std::sync::Arc;

use bailey_control::api_records::{PacketRecord as NamedRecord, RecordFilter};
use bailey_datapath::observe::records::PacketRecord;
use bailey_policy::Snapshot;
use bailey_state::rule_ids::RuleNames;

use crate::live_state::{LiveState, NamesVersion};
use crate::record_filter::CheckedFilter;
use crate::records::record_to_api;

/// Names of rules and endpoints, and a filter that uses them.
#[derive(Debug)]
pub struct RecordNamer {
    names: RuleNames,
    inventory: Option<Arc<Snapshot>>,
    filter: CheckedFilter,
    version: NamesVersion,
}

impl LiveState {
    /// The names of the active generation.
    ///
    /// # Errors
    /// If the filter names an unknown object.
    pub fn record_namer(&self, filter: &RecordFilter) -> Result<RecordNamer, String> {
        // Before the names: a change in between makes them newer than their version.
        let version = self.names_version().unwrap_or_default();
        let names = self.names();
        Ok(RecordNamer {
            filter: CheckedFilter::new(filter.clone(), &names)?,
            version,
            inventory: self.inventory(),
            names,
        })
    }
}

impl RecordNamer {
    /// The version of the names.
    pub fn version(&self) -> NamesVersion {
        self.version
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
