use bailey_control::api::{self, RulesQuery, path};

use crate::args::{ListFormat, Rules};
use crate::commands::query::{ask, config, printed};
use crate::exit::Exit;
use crate::output::line;
use crate::output::listing::{self, Kind, watched};
use crate::output::table::{Cell, Column};

/// Every rule of the generation in force and what it decided.
pub(crate) fn rules(options: &Rules) -> Exit {
    let Rules { name, listing } = options;
    let config = match config(&listing.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let query = RulesQuery { name: name.clone() };
    watched(&listing.watch, || {
        let answer = ask(&config, path::RULES, &query, |view| match name {
            None => view.rules().map(Ok),
            Some(name) => view.rules_named(name),
        });
        let answer: api::Rules = match answer {
            Ok(answer) => answer,
            Err(exit) => return exit,
        };
        let whole = name.is_some() && listing.output == ListFormat::Table;
        if whole {
            answer.rules.iter().for_each(describe);
            return Exit::Success;
        }
        printed(listing::print(
            listing,
            answer,
            "rules",
            |answer: &mut api::Rules| &mut answer.rules,
            &RULES,
        ))
    })
}

const RULES: Kind<api::Rule> = Kind {
    columns: &[
        Column::text("RULE", 0, |row| row.name.rule.clone()),
        Column::number("HITS", 0, |row| row.hits),
        Column::number("PKTS", 1, |row| row.packets),
        Column::number("BYTES", 3, |row| row.bytes),
        Column::number("LIMITED", 4, |row| row.rate_limited),
        Column {
            header: "LAST",
            rank: 2,
            cell: Cell::Scale(last, |row| row.idle_seconds),
        },
        Column::text("PEERS", 5, |row| shortened(row.peers.as_deref())),
        Column::text("WHERE", 6, |row| place(row).unwrap_or_default()),
    ],
    name: |row| row.name.rule.clone(),
    none: "there is no rule",
};

fn last(row: &api::Rule) -> String {
    row.idle_seconds
        .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s ago"))
}

fn place(row: &api::Rule) -> Option<String> {
    Some(format!("{}:{}", row.file.as_ref()?, row.line?))
}

/// The first peers: of ten thousand blocks nobody reads the rest in a table.
fn shortened(peers: Option<&[String]>) -> String {
    const SHOWN: usize = 2;
    let Some(peers) = peers else {
        return String::new();
    };
    if peers.is_empty() {
        return "everyone".to_owned();
    }
    let mut text = peers[..peers.len().min(SHOWN)].join("; ");
    if peers.len() > SHOWN {
        text.push_str(&format!("; and {} more", peers.len() - SHOWN));
    }
    text
}

/// All there is to say of a rule.
fn describe(rule: &api::Rule) {
    let replace_control_chars = bailey_source::diagnostic::replace_control_chars;
    line(&replace_control_chars(&rule.name.rule));
    let fact = |name: &str, value: String| {
        line(&format!("  {name:<12} {}", replace_control_chars(&value)))
    };
    fact("id", rule.name.id.to_string());
    if let Some(name) = rule
        .full_name
        .clone()
        .filter(|_| rule.isolating_policies.is_none())
    {
        fact("full name", name);
    }
    if let Some(verdict) = &rule.name.verdict {
        fact("verdict", verdict.clone());
    }
    if rule.name.removed {
        fact("removed", "no policy has it any more".to_owned());
    }
    if let Some(place) = place(rule) {
        fact("where", place);
    }
    let list = |name: &str, all: &str, values: &[String]| {
        if values.is_empty() {
            fact(name, all.to_owned());
        }
        for (at, value) in values.iter().enumerate() {
            fact(if at == 0 { name } else { "" }, value.clone());
        }
    };
    if let Some(ports) = &rule.ports {
        list("ports", "every port", ports);
    }
    if let Some(peers) = &rule.peers {
        list("peers", "everyone", peers);
    }
    if rule.isolating_policies.is_some() {
        list("isolated by", "", &rule.isolated_by);
    }
    fact("hits", rule.hits.to_string());
    fact("packets", rule.packets.to_string());
    fact("bytes", rule.bytes.to_string());
    fact("limited", rule.rate_limited.to_string());
    fact("last", last(rule));
}
