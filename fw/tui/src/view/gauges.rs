//! The fill of the flow table, in bars and words.

use crate::data::Flows;
use crate::number::{brief, count, until};
use crate::spark::gauge;
use crate::view::Canvas;

/// A number of flows; unknown without a table.
pub(crate) fn known_count(flows: &Flows, value: u64) -> String {
    match flows.slots.1 {
        0 => "-".to_owned(),
        _ => brief(value),
    }
}

/// Events of these kinds since the table exists.
pub(crate) fn event_count(flows: &Flows, names: &[&str]) -> String {
    flows.count(names).map_or_else(|| "-".to_owned(), count)
}

/// The bar of used slots by state.
pub(crate) fn fill_bar(flows: &Flows, cells: usize, canvas: &Canvas) -> String {
    let fills = canvas.look.fills();
    let parts = [
        (flows.live as f64, fills[0]),
        (flows.closing as f64, fills[1]),
        ((flows.half_open + flows.denied) as f64, fills[2]),
    ];
    gauge(cells, &parts, flows.slots.1 as f64, fills[3])
}

/// The bar of live flows, with the mark from which timeouts shrink.
pub(crate) fn limit_bar(flows: &Flows, cells: usize, canvas: &Canvas) -> String {
    let fills = canvas.look.fills();
    let (live, limit) = (flows.live as f64, flows.limit as f64);
    let mut bar: Vec<char> = gauge(cells, &[(live, fills[0])], limit, fills[3])
        .chars()
        .collect();
    let scale = flows.shrinks_from as f64 / limit.max(1.0);
    let mark = (scale * cells as f64).round() as usize;
    if let Some(cell) = mark.checked_sub(1).and_then(|at| bar.get_mut(at)) {
        *cell = canvas.look.mark();
    }
    bar.into_iter().collect()
}

/// A time until an event, in a sentence.
pub(crate) fn when(seconds: Option<u64>) -> String {
    match seconds {
        Some(0) => "now".to_owned(),
        Some(seconds) => format!("in {}", until(seconds)),
        None => "not at this rate".to_owned(),
    }
}
