//! Keys that change the firewall, and their confirmation.

use std::net::IpAddr;

use crate::change::Change;
use crate::model::keys::Key;
use crate::model::{Input, Model, Request, View};
use crate::update::action::ChangeKey;
use crate::update::selection::{selected_key, selected_packet, selected_row};

/// Asks for the beginning of the object before a change.
pub(super) fn begin_change(model: &mut Model, key: ChangeKey) {
    let data = model.shown();
    let flow = || match model.view {
        View::Conntrack => selected_row(data.top_flows.as_deref(), model),
        _ => None,
    };
    let source: Option<IpAddr> = match model.view {
        View::Conntrack => flow().and_then(|flow| flow.ends.0.parse().ok()),
        View::Flows | View::Drops => {
            selected_packet(model).and_then(|packet| packet.source.0.parse().ok())
        }
        View::Talkers if model.talkers_by == 0 => {
            selected_key(model).and_then(|key| key.parse().ok())
        }
        _ => None,
    };
    let change = match key {
        ChangeKey::Block => source.map(Change::Block),
        ChangeKey::EndFlows => source.zip(flow()).and_then(|(source, flow)| {
            let (_, destination, port) = &flow.ends;
            let destination = destination.parse().ok()?;
            Some(Change::EndFlows(
                source,
                destination,
                flow.protocol.clone(),
                *port,
            ))
        }),
    };
    let Some(change) = change else {
        model.message = Some(match key {
            ChangeKey::Block => "select a source: 3 Flows, 4 Conntrack, 7 Talkers".to_owned(),
            ChangeKey::EndFlows => "select a flow in 4 Conntrack".to_owned(),
        });
        return;
    };
    let flows = match &change {
        Change::Block(address) => {
            let name = address.to_string();
            let mut sources = data.flow_sources.iter();
            sources
                .find(|(source, _)| *source == name)
                .map(|(_, flows)| *flows)
        }
        Change::EndFlows(source, destination, protocol, port) => {
            let flows = data.top_flows.iter().flatten();
            let ends = (source.to_string(), destination.to_string(), *port);
            Some(
                flows
                    .filter(|flow| flow.ends == ends && flow.protocol == *protocol)
                    .count() as u64,
            )
        }
    };
    let effect = change.effect(flows);
    model.input = Some(Input::Confirm(change, effect, String::new()));
}

/// A key while a change waits for its object.
pub(super) fn type_confirmation(
    model: &mut Model,
    change: Change,
    effect: String,
    mut typed: String,
    key: Key,
) {
    match key {
        Key::Esc => {
            model.message = Some("nothing has changed".to_owned());
            return;
        }
        Key::Enter if change.is_confirmed_by(&typed) => {
            model.request = Some(Request::Change(change));
            return;
        }
        Key::Enter => {
            model.message = Some("nothing has changed: type the address as it is shown".to_owned());
            return;
        }
        Key::Backspace => {
            typed.pop();
        }
        Key::Char(c) if !c.is_control() => typed.push(c),
        _ => {}
    }
    model.input = Some(Input::Confirm(change, effect, typed));
}
