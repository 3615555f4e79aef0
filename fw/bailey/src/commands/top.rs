//! `bailey top` and `bailey conntrack top`: addresses, ports and rules with most packets or flows.

use bailey_control::api::path;
use bailey_control::api_talkers::{
    FlowTalker, FlowTop, Talker, TalkerLists, Talkers, TalkersQuery,
};
use bailey_control::client;
use bailey_source::diagnostic::replace_control_chars;
use bailey_tui::model::View;
use serde::Serialize;

use crate::args::{Colours, Format, TalkersArgs, TopArgs};
use crate::commands::query::{query, read_config};
use crate::commands::tui;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::list::repeat;
use crate::output::table::{Column, Table, terminal_columns};
use crate::output::{print_bytes, print_json, print_line, print_yaml};

/// Prints the talkers of dropped and new traffic.
pub(crate) fn show_talkers(args: &TalkersArgs) -> Result<Exit, CommandError> {
    let TalkersArgs { batch, top: args } = args;
    let config = read_config(&args.config)?;
    if !batch {
        return tui::run(
            &config,
            View::Talkers,
            tui::look(false, Colours::Auto),
            None,
        );
    }
    let parameters = parameters(args);
    Ok(repeat(&args.watch, || {
        let socket = config.paths.socket();
        let talkers: Talkers =
            client::get(&socket, path::TALKERS, &parameters).map_err(CommandError::Client)?;
        print(args, &talkers, print_talkers);
        Ok(Exit::Success)
    }))
}

/// Prints the addresses and ports with most flows.
pub(crate) fn show_flow_top(args: &TopArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    let parameters = parameters(args);
    Ok(repeat(&args.watch, || {
        let top: FlowTop = query(&config, path::FLOW_TOP, &parameters, |state| {
            state.flow_top(parameters).map(Ok)
        })?;
        print(args, &top, print_flow_top);
        Ok(Exit::Success)
    }))
}

fn parameters(args: &TopArgs) -> TalkersQuery {
    TalkersQuery {
        limit: Some(args.limit as usize),
    }
}

fn print<T: Serialize>(args: &TopArgs, answer: &T, as_table: impl FnOnce(&T)) {
    match args.output {
        Format::Json => print_json(answer),
        Format::Yaml => print_yaml(answer),
        Format::Table => as_table(answer),
    }
}

fn print_talkers(talkers: &Talkers) {
    for (name, lists) in [("dropped", &talkers.dropped), ("new", &talkers.new)] {
        let TalkerLists {
            sources,
            targets,
            ports,
            rules,
        } = lists;
        for (kind, rows) in [
            ("sources", sources),
            ("targets", targets),
            ("ports", ports),
            ("rules", rules),
        ] {
            let title = format!("{kind} of {name} packets, last {} s", talkers.seconds);
            print_rows(&title, rows, TALKERS);
        }
    }
}

fn print_flow_top(top: &FlowTop) {
    let note = if top.exact { "" } else { ", at least" };
    print_rows(&format!("sources by flows{note}"), &top.sources, FLOWS);
    print_rows(&format!("targets by flows{note}"), &top.targets, FLOWS);
    print_rows(&format!("ports by flows{note}"), &top.ports, FLOWS);
}

fn print_rows<T>(title: &str, rows: &[T], columns: &'static [Column<T>]) {
    print_line(&replace_control_chars(title));
    if rows.is_empty() {
        print_line("  none");
    } else {
        let mut table = Table::new(columns, terminal_columns(), true);
        print_bytes(table.format_rows(rows).as_bytes());
    }
    print_line("");
}

const TALKERS: &[Column<Talker>] = &[
    Column::text("NAME", 0, |row| row.name.clone()),
    Column::number("PKTS", 0, |row| row.packets),
    Column::rate("/s", 0, |row| Some(row.packets_per_second as f32)),
    Column::text("COUNT", 1, |row| match row.error {
        0 => "exact".to_owned(),
        error => format!("at most {error} too many"),
    }),
];

const FLOWS: &[Column<FlowTalker>] = &[
    Column::text("NAME", 0, |row| row.name.clone()),
    Column::number("FLOWS", 0, |row| row.flows),
    Column::number("BYTES", 0, |row| row.bytes),
];
