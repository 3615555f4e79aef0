//! `bailey conntrack get`: everything about a few flows.

use std::cell::RefCell;

use bailey_control::api;
use bailey_source::diagnostic::replace_control_chars;
use bailey_tui::text::socket;

use crate::args::{FlowFilterArgs, FlowGetArgs, Format};
use crate::commands::conntrack::{filter_of, read_flows};
use crate::commands::query::read_config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::list::repeat;
use crate::output::{print_json, print_line, print_yaml, stderr_line};

/// Most flows that are shown.
const SHOWN_MAX: usize = 100;

/// Shows the flows that match the filters.
pub(crate) fn get_flows(args: &FlowGetArgs) -> Result<Exit, CommandError> {
    if args.filter == FlowFilterArgs::default() {
        let message = "name at least one filter, such as --src 203.0.113.10; `bailey conntrack list` shows all \
                       flows";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let config = read_config(&args.query.config)?;
    let query = api::FlowQuery {
        // One more tells that there are more.
        limit: Some(SHOWN_MAX + 1),
        ..filter_of(&args.filter)
    };
    Ok(repeat(&args.query.watch, || {
        let flows = RefCell::new(Vec::<api::Flow>::new());
        let accept = |lines: &[u8]| {
            let lines = lines.split(|byte| *byte == b'\n');
            let parsed = lines.filter_map(|line| serde_json::from_slice(line).ok());
            flows.borrow_mut().extend(parsed);
            true
        };
        read_flows(&config, &query, |_| {}, accept)?;
        let mut flows = flows.into_inner();
        let is_more = flows.len() > SHOWN_MAX;
        flows.truncate(SHOWN_MAX);
        match args.query.output {
            Format::Json => print_json(&flows),
            Format::Yaml => print_yaml(&flows),
            Format::Table => flows.iter().for_each(print_flow),
        }
        if is_more {
            stderr_line!("more flows match; these are {SHOWN_MAX} of them");
        }
        if flows.is_empty() {
            stderr_line!("no flow matches");
            return Ok(Exit::Negative);
        }
        Ok(Exit::Success)
    }))
}

fn print_flow(flow: &api::Flow) {
    let source = socket(&flow.source, flow.source_port);
    let destination = socket(&flow.destination, flow.destination_port);
    print_line(&format!("{} {source} -> {destination}", flow.protocol));
    let evaluated = match flow.current {
        true => "under the active policies",
        false => "under earlier policies: the next packet is evaluated again",
    };
    for (name, value) in [
        ("state", flow.state.clone()),
        ("idle", format!("{} s", flow.idle_seconds)),
        (
            "expires",
            format!("in {} s, if no packet comes", flow.left_seconds),
        ),
        (
            "sent",
            format!("{} packets, {} bytes", flow.packets, flow.bytes),
        ),
        (
            "replies",
            format!("{} packets, {} bytes", flow.reply_packets, flow.reply_bytes),
        ),
        ("egress", flow.egress_rule.rule.clone()),
        ("ingress", flow.ingress_rule.rule.clone()),
        ("evaluated", evaluated.to_owned()),
    ] {
        print_line(&format!("  {name:<10} {}", replace_control_chars(&value)));
    }
}
