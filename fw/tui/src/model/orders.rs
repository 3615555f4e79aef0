//! Orders of the lists: the columns that rows can be sorted by.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::data::{Block, Drop, Flow, Nic, Packet, Rule, Talker};
use crate::model::{Keyed, Model, View, shown_rows};

/// How two rows are ordered by a column.
pub type Order<T> = fn(&T, &T) -> Ordering;

/// A column by which rows can be sorted.
pub type SortColumn<T> = (&'static str, Order<T>);

/// Of rules.
pub const RULES: [SortColumn<Arc<Rule>>; 8] = [
    ("PKT/s", |a, b| descending(a.packet_rate, b.packet_rate)),
    ("HIT/s", |a, b| descending(a.hit_rate, b.hit_rate)),
    ("HITS", |a, b| b.hits.cmp(&a.hits)),
    ("PKTS", |a, b| b.packets.cmp(&a.packets)),
    ("BYTES", |a, b| b.bytes.cmp(&a.bytes)),
    ("LIVE", |a, b| b.live.cmp(&a.live)),
    ("LAST", |a, b| b.seen().cmp(&a.seen())),
    ("RULE", |a, b| a.name.cmp(&b.name)),
];

fn descending(a: Option<f64>, b: Option<f64>) -> Ordering {
    b.unwrap_or(-1.0).total_cmp(&a.unwrap_or(-1.0))
}

/// Of drops.
pub const DROPS: [SortColumn<Drop>; 3] = [
    ("KIND", |a, b| {
        let kind = |drop: &Drop| KINDS.iter().position(|kind| *kind == drop.kind);
        kind(a)
            .cmp(&kind(b))
            .then_with(|| drop_rate(b).total_cmp(&drop_rate(a)))
    }),
    ("/s", |a, b| drop_rate(b).total_cmp(&drop_rate(a))),
    ("COUNT", |a, b| b.count.cmp(&a.count)),
];

/// Kinds in the order of the list.
const KINDS: [&str; 4] = ["policy", "defence", "packet", "capacity"];

fn drop_rate(drop: &Drop) -> f64 {
    drop.rate.unwrap_or(0.0)
}

/// Of nics.
pub const NICS: [SortColumn<Nic>; 2] = [
    ("PKT/s", |a, b| nic_rate(b).total_cmp(&nic_rate(a))),
    ("IF", |a, b| a.name.cmp(&b.name)),
];

fn nic_rate(nic: &Nic) -> f32 {
    nic.packets.last().unwrap_or(0.0)
}

/// Of talkers.
pub const TALKERS: [SortColumn<Talker>; 5] = [
    ("DROP/s", |a, b| b.drops.total_cmp(&a.drops)),
    ("NEW/s", |a, b| b.new.total_cmp(&a.new)),
    ("FLOWS", |a, b| b.flows.cmp(&a.flows)),
    ("BYTE/s", |a, b| descending(a.byte_rate, b.byte_rate)),
    ("NAME", |a, b| a.name.cmp(&b.name)),
];

/// Of blocks.
pub const BLOCKS: [SortColumn<Block>; 2] = [
    ("LEFT", |a, b| a.left.cmp(&b.left)),
    ("ADDRESS", |a, b| a.prefix.cmp(&b.prefix)),
];

/// Of packets: as they came, the newest first.
pub const PACKETS: [SortColumn<Packet>; 0] = [];

/// Of flows.
pub const FLOWS: [SortColumn<Flow>; 6] = [
    ("BYTES", |a, b| b.bytes.cmp(&a.bytes)),
    ("RATE", |a, b| b.rate.cmp(&a.rate)),
    ("IDLE", |a, b| a.idle.cmp(&b.idle)),
    ("LEFT", |a, b| a.left.cmp(&b.left)),
    ("PKTS", |a, b| b.packets.cmp(&a.packets)),
    ("SOURCE", |a, b| a.source.cmp(&b.source)),
];

/// Choices of columns that `o` goes through.
pub const COLUMN_CHOICES: usize = 3;

/// A set of columns, in a sentence.
pub fn column_choice(view: View, choice: usize) -> String {
    let text = match (view, choice) {
        (View::Rules, 0) | (View::Conntrack, 0) => "columns: those that fit",
        (View::Rules, 1) => "columns: totals (HITS PKTS BYTES) instead of rates",
        (View::Rules, _) => "columns: names in full, without sparklines",
        (View::Conntrack, 1) => "columns: packets and rule instead of idle time and rate",
        (View::Conntrack, _) => "columns: addresses in full",
        _ => "this view has one choice of columns; 2 Rules and 4 Conntrack have more",
    };
    text.to_owned()
}

/// Names of the columns by which a view can be sorted.
pub fn names(view: View) -> Vec<&'static str> {
    fn of<T>(columns: &[SortColumn<T>]) -> Vec<&'static str> {
        columns.iter().map(|(name, _)| *name).collect()
    }
    match view {
        View::Rules => of(&RULES),
        View::Drops => of(&DROPS),
        View::Nics => of(&NICS),
        View::Talkers => of(&TALKERS),
        View::Blocks => of(&BLOCKS),
        View::Conntrack => of(&FLOWS),
        _ => Vec::new(),
    }
}

/// Keys of the rows of the view's list, in the order of the screen.
pub fn keys_of_rows(model: &Model) -> Vec<String> {
    fn of<T: Keyed>(rows: &[T], model: &Model, columns: &[SortColumn<T>]) -> Vec<String> {
        let shown = shown_rows(rows, model.list(), columns);
        shown.iter().map(|row| row.key()).collect()
    }
    let data = model.shown();
    match model.view {
        View::Rules => of(&data.rules, model, &RULES),
        View::Drops => of(&data.drops, model, &DROPS),
        View::Nics => of(&data.nics, model, &NICS),
        View::Talkers => of(&data.talkers.lists[model.talkers_by], model, &TALKERS),
        View::Blocks => of(&data.blocks, model, &BLOCKS),
        View::Flows => of(&data.packets, model, &PACKETS),
        View::Conntrack => of(data.top_flows.as_deref().unwrap_or_default(), model, &FLOWS),
        View::Overview | View::Changes | View::Health => Vec::new(),
    }
}
