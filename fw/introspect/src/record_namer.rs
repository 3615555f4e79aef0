//! Records with the names of one generation.

use std::sync::Arc;

use bailey_control::api_records::{PacketRecord as NamedRecord, RecordFilter};
use bailey_datapath::observe::records::PacketRecord;
use bailey_policy::Snapshot;
use bailey_state::rule_ids::RuleNames;

use crate::live_state::LiveState;
use crate::record_filter::CheckedFilter;
use crate::records::record_to_api;

/// Names of rules and endpoints, and a filter that uses them.
#[derive(Debug)]
pub struct RecordNamer {
    names: RuleNames,
    inventory: Option<Arc<Snapshot>>,
    filter: CheckedFilter,
    generation: u32,
}

impl LiveState {
    /// The names of the active generation.
    ///
    /// # Errors
    /// If the filter names an unknown object.
    pub fn record_namer(&self, filter: &RecordFilter) -> Result<RecordNamer, String> {
        let names = self.names();
        Ok(RecordNamer {
            filter: CheckedFilter::new(filter.clone(), &names)?,
            generation: self.stamp_or_none().generation,
            inventory: self.inventory(),
            names,
        })
    }
}

impl RecordNamer {
    /// The generation that the names belong to.
    pub fn generation(&self) -> u32 {
        self.generation
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
