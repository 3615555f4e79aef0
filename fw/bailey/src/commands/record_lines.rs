//! Records of packets, from the daemon or from the pinned maps, and as lines of text.

use std::cell::Cell;
use std::sync::Arc;

use bailey_config::Config;
use bailey_control::api::path;
use bailey_control::api_records::{
    EndpointName, LostRecords, PacketRecord, RecordsQuery, RecordsSummary,
};
use bailey_control::client;
use bailey_introspect::LiveState;
use bailey_source::diagnostic::replace_control_chars;
use bailey_tui::text::socket;
use serde::Deserialize;

use crate::commands::query::fall_back_to_pins;
use crate::error::CommandError;
use crate::input::PolicyInput;

/// Reads the records that a query asks for: `begin` gets their summary, `accept` the records as
/// they come, until it returns false.
///
/// # Errors
/// If neither the daemon nor the pinned maps have an answer, or the query is wrong.
pub(super) fn read_records(
    config: &Config,
    query: &RecordsQuery,
    begin: impl Fn(&RecordsSummary),
    mut accept: impl FnMut(Vec<RecordLine>) -> bool,
) -> Result<(), CommandError> {
    let has_begun = Cell::new(false);
    let streamed = client::stream_lines(
        &config.paths.socket(),
        path::RECORDS,
        query,
        query.follow,
        |summary: RecordsSummary| {
            has_begun.set(true);
            begin(&summary);
        },
        |lines| accept(parse_lines(lines)),
    );
    let Err(error) = streamed else { return Ok(()) };
    // Records from the pinned maps must not follow a part of the daemon's.
    if has_begun.get() {
        return Err(CommandError::IncompleteList(error));
    }
    fall_back_to_pins(config, error)?;
    // Without names the records are still true.
    let input = PolicyInput::of_config(config.clone());
    let inventory = input.load().snapshot.map(Arc::new);
    let list = LiveState::new(config.clone()).record_list(query, inventory)?;
    let list = list.map_err(CommandError::Usage)?;
    begin(list.summary());
    list.run(|records, lost| {
        let lost = (lost > 0).then_some(RecordLine::Lost(LostRecords { lost }));
        let records = records.iter().cloned();
        let records = records.map(|record| RecordLine::Record(Box::new(record)));
        accept(records.chain(lost).collect())
    });
    Ok(())
}

/// A record, or how many are missing.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RecordLine {
    Record(Box<PacketRecord>),
    Lost(LostRecords),
}

fn parse_lines(lines: &[u8]) -> Vec<RecordLine> {
    let lines = lines.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// A record in one line.
pub(super) fn format_record(record: &PacketRecord) -> String {
    let mut line = format!(
        "{} {} {} {} {}",
        record.time,
        interface(record),
        record.traffic_direction,
        record.verdict.to_uppercase(),
        record.reason
    );
    if let Some(protocol) = &record.protocol {
        line += &format!(" {protocol} {} -> {}", source(record), destination(record));
    }
    if !record.tcp_flags.is_empty() {
        line += &format!(" {}", record.tcp_flags);
    }
    line += &format!(" {} B", record.bytes);
    match record.decider_names() {
        by if by.is_empty() => line,
        by => format!("{line} by {by}"),
    }
}

/// Name of the interface. Interface names may have control characters.
pub(super) fn interface(record: &PacketRecord) -> String {
    let name = record.interface.as_deref().unwrap_or("-");
    replace_control_chars(name)
}

pub(super) fn source(record: &PacketRecord) -> String {
    let address = record.source.as_deref();
    format_end(address, record.source_endpoint.as_ref(), record.source_port)
}

pub(super) fn destination(record: &PacketRecord) -> String {
    let (address, endpoint) = (record.destination.as_deref(), &record.destination_endpoint);
    format_end(address, endpoint.as_ref(), record.destination_port)
}

/// The name of an end, or its address, and its port.
fn format_end(address: Option<&str>, endpoint: Option<&EndpointName>, port: Option<u16>) -> String {
    let port = port.unwrap_or_default();
    match endpoint {
        Some(endpoint) => socket(&endpoint.to_string(), port),
        None => socket(address.unwrap_or("-"), port),
    }
}
