//! Questions to the daemon about the selected row.

use crate::model::{Model, Question, Request, View};
use crate::update::selection::{selected_key, selected_packet, selected_row};

/// Asks about the selected packet, flow, source or block.
pub(super) fn explain(model: &mut Model) {
    let data = model.shown();
    let parsed = |text: &str| text.parse().ok();
    let question = match model.view {
        View::Flows | View::Rules | View::Drops => selected_packet(model).and_then(|packet| {
            Some(Question::Connection(
                parsed(&packet.source.0)?,
                parsed(&packet.destination.0)?,
                packet.protocol.clone(),
                packet.destination.1,
            ))
        }),
        View::Conntrack => selected_row(data.top_flows.as_deref(), model).and_then(|flow| {
            let (source, destination, port) = &flow.ends;
            Some(Question::Connection(
                parsed(source)?,
                parsed(destination)?,
                flow.protocol.clone(),
                *port,
            ))
        }),
        View::Talkers | View::Blocks => selected_key(model)
            .and_then(|key| parsed(key.split('/').next().unwrap_or_default()))
            .map(Question::Source),
        _ => None,
    };
    match question {
        Some(question) => model.request = Some(Request::Explain(question)),
        None => {
            model.message = Some(
                "select a packet, a flow or a source: 3 Flows, 4 Conntrack, 7 Talkers".to_owned(),
            );
        }
    }
}
