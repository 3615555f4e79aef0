//! `bailey conntrack delete` and `flush`: ends flows.

use bailey_control::api::FlowQuery;
use bailey_datapath::PinDir;
use bailey_datapath::flows::end::FlowEnder;
use bailey_introspect::LiveState;

use crate::args::{ConfigArgs, FlowDeleteArgs, FlowFilterArgs, FlushArgs};
use crate::commands::conntrack::filter_of;
use crate::commands::query::read_config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::print_line;

/// Ends the flows that match the filters.
pub(crate) fn delete_flows(args: &FlowDeleteArgs) -> Result<Exit, CommandError> {
    if args.filter == FlowFilterArgs::default() {
        let message = "name at least one filter, such as --src 203.0.113.10; `bailey conntrack flush --yes` ends \
                       all flows";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let ended = end_flows(&args.config, filter_of(&args.filter))?;
    Ok(match ended {
        0 => Exit::Negative,
        _ => Exit::Success,
    })
}

/// Ends all flows.
pub(crate) fn flush_flows(args: &FlushArgs) -> Result<Exit, CommandError> {
    end_flows(&args.config, FlowQuery::default())?;
    Ok(Exit::Success)
}

/// Ends flows, and prints their number.
fn end_flows(config: &ConfigArgs, query: FlowQuery) -> Result<u64, CommandError> {
    let config = read_config(config)?;
    let settings = config.settings();
    let pins = PinDir::Path(config.paths.pins.clone());
    let list = LiveState::new(config).flow_list(query)?;
    let list = list.map_err(CommandError::Usage)?;
    let ended = FlowEnder::open(&pins, &settings)?.end(|flow| list.is_match(flow));
    print_line(&match ended {
        0 => "no flow matches".to_owned(),
        1 => "1 flow ended".to_owned(),
        ended => format!("{ended} flows ended"),
    });
    Ok(ended)
}
