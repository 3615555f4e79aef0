use bailey_control::api::{self, path};

use crate::cli::Read;
use crate::exit::Exit;
use crate::output::table;
use crate::verbs::ask::show;
use crate::view::View;

/// Every rule of the generation in force and what it decided.
pub(crate) fn rules(options: &Read) -> Exit {
    show(options, path::RULES, View::rules, |rules: &api::Rules| {
        table(
            &["RULE", "HITS", "PKTS", "BYTES", "LIMITED", "LAST"],
            rules.rules.iter().map(cells).collect(),
            &[1, 2, 3, 4, 5],
        )
    })
}

fn cells(row: &api::Rule) -> Vec<String> {
    vec![
        row.rule.clone(),
        row.hits.to_string(),
        row.packets.to_string(),
        row.bytes.to_string(),
        row.limited.to_string(),
        row.idle_seconds
            .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s ago")),
    ]
}
