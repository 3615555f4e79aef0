//! JSON Schemas (draft 2020-12) of all answers, from the types that the server sends.

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use crate::api::{self, Stamp};
use crate::{Problem, api_live, api_records, api_talkers, api_watch};

/// One line of `/v1/conntrack` without `brief`.
#[derive(Debug, Serialize, JsonSchema)]
struct FlowLine {
    #[serde(flatten)]
    stamp: Stamp,
    #[serde(flatten)]
    flow: api::Flow,
}

/// One line of `/v1/events`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum EventLine {
    Record(Box<api_records::PacketRecord>),
    Lost(api_records::LostRecords),
}

/// The schema of each answer, by the name of its file in docs/api.
pub fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("status", schema_for!(api::Status)),
        ("rules", schema_for!(api::Rules)),
        ("counters", schema_for!(api::Counters)),
        ("conntrack", schema_for!(FlowLine)),
        ("conntrack-stats", schema_for!(api::FlowStats)),
        ("conntrack-top", schema_for!(api_talkers::FlowTop)),
        ("talkers", schema_for!(api_talkers::Talkers)),
        ("blocks", schema_for!(api::Blocks)),
        ("explain", schema_for!(api_live::Live)),
        ("events", schema_for!(EventLine)),
        ("events-header", schema_for!(api_records::RecordsSummary)),
        ("watch", schema_for!(api_watch::Update)),
        ("watch-header", schema_for!(api_watch::WatchBegin)),
        ("stamp", schema_for!(Stamp)),
        ("problem", schema_for!(Problem)),
    ]
}
