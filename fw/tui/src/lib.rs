//! The operator console: views of a running Bailey in a terminal. Uses the control socket only: no maps, no BPF.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

/// Answers of the daemon to questions.
mod answer;
/// The rows of a view without a terminal.
pub mod batch;
/// Changes of the firewall by keys.
pub mod change;
/// The data of the console.
pub mod data;
/// Data from the daemon.
pub mod feed;
/// The filter language.
pub mod filter;
/// Flows and bytes of addresses and ports.
mod flow_ends;
/// Lines of JSON.
mod json_lines;
/// Filters, orders and columns, kept between two consoles.
mod kept;
/// Signs and colours.
pub mod look;
/// View, filters, order, selection.
pub mod model;
/// Numbers for people.
pub mod number;
/// Screens to the terminal.
mod painter;
/// A view as JSON and as text, in files.
pub mod save;
/// The terminal.
pub mod screen;
/// The model of a running console.
pub mod session;
/// Keys and colours of the operator.
pub mod settings;
/// Sparklines and gauges.
pub mod spark;
/// Text in cells.
pub mod text;
/// Keys and actions.
pub mod update;
/// Screens as lines.
pub mod view;
