//! A view as JSON and as text.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::data::Rule;
use crate::model::orders::SortColumn;
use crate::model::{Keyed, Model, View, orders, shown_rows};

/// The rows of the view as JSON, in the order of the screen, with the state of its first lines.
pub fn as_json(model: &Model) -> Value {
    let data = model.shown();
    let (day, time) = &model.clock;
    json!({
        "view": model.view.names().1.to_lowercase(),
        "time": format!("{day}T{time}Z"),
        "node": data.node,
        "revision": data.revision,
        "mode": data.mode,
        "packets_per_second": data.packets_in.last(),
        "bytes_per_second": data.bytes_in,
        "dropped_per_second": data.dropped.last(),
        "records_lost": data.lost,
        "filter": model.list().filter.source(),
        "counts_since": data.counts_since,
        "rows": rows(model),
    })
}

fn rows(model: &Model) -> Value {
    fn of<T: Keyed + serde::Serialize>(
        rows: &[T],
        model: &Model,
        columns: &[SortColumn<T>],
    ) -> Value {
        json!(shown_rows(rows, model.list(), columns))
    }
    let data = model.shown();
    match model.view {
        View::Overview => json!([{
            "flow_table": data.flows,
            "interfaces": data.nics,
            "blocks": data.blocks_total,
            "flood_seconds": data.flood.as_ref().map(|flood| flood.seconds),
            "problems": data.problems,
        }]),
        View::Rules => {
            let row = |rule: &&Arc<Rule>| {
                let mut row = json!(rule);
                row["idle"] = json!(rule.idle_at(data.now));
                row
            };
            let shown = shown_rows(&data.rules, model.list(), &orders::RULES);
            shown.iter().map(row).collect()
        }
        View::Flows => of(&data.packets, model, &orders::PACKETS),
        View::Conntrack => {
            let flows = data.top_flows.as_deref().unwrap_or_default();
            of(flows, model, &orders::FLOWS)
        }
        View::Drops => of(&data.drops, model, &orders::DROPS),
        View::Nics => of(&data.nics, model, &orders::NICS),
        View::Talkers => of(
            &data.talkers.lists[model.talkers_by],
            model,
            &orders::TALKERS,
        ),
        View::Blocks => of(&data.blocks, model, &orders::BLOCKS),
        View::Changes => json!(data.changes),
        View::Health => json!([{ "problems": data.problems, "facts": data.facts }]),
    }
}

/// Writes the view to two new files in a folder; returns their common name.
///
/// # Errors
/// If a file cannot be created, or exists.
pub fn to_files(model: &Model, screen: &str, folder: &Path) -> io::Result<PathBuf> {
    let (day, time) = &model.clock;
    let digits: String = format!("{day}T{time}Z").replace(['-', ':'], "");
    let name = format!("bailey-{}-{digits}", model.view.names().1.to_lowercase());
    let path = folder.join(name);
    let text = serde_json::to_string_pretty(&as_json(model))?;
    for (ending, text) in [("json", text.as_str()), ("txt", screen)] {
        // Never through a link, never over a file.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path.with_extension(ending))?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
    }
    Ok(path)
}
