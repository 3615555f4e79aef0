//! `bailey rules`: the rules of the active generation with their counters.

use bailey_control::api::{self, RulesQuery, path};
use bailey_source::diagnostic::replace_control_chars;

use crate::args::{ListFormat, RecordFormat, RulesArgs};
use crate::commands::query::{query, read_config};
use crate::commands::record_printer::RecordPrinter;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::list::{ListLayout, print_list, repeat};
use crate::output::print_line;
use crate::output::rate::format_rate;
use crate::output::table::{Cell, Column};

/// Lists all rules; with a name, prints the details of the rules with that name.
pub(crate) fn show_rules(args: &RulesArgs) -> Result<Exit, CommandError> {
    let RulesArgs {
        name,
        unused_since,
        list,
    } = args;
    let config = read_config(&list.config)?;
    let parameters = RulesQuery { name: name.clone() };
    Ok(repeat(&list.watch, || {
        let mut answer: api::Rules =
            query(&config, path::RULES, &parameters, |state| match name {
                None => state.rules().map(Ok),
                Some(name) => state.rules_named(name),
            })?;
        if let Some(age) = unused_since {
            let is_unused = |rule: &api::Rule| rule.idle_seconds.is_none_or(|idle| idle >= *age);
            answer.rules.retain(is_unused);
        }
        if name.is_some() && list.output == ListFormat::Table {
            answer.rules.iter().for_each(print_details);
            return Ok(Exit::Success);
        }
        print_list(
            list,
            answer,
            "rules",
            |answer: &mut api::Rules| &mut answer.rules,
            &RULES,
        )?;
        Ok(Exit::Success)
    }))
}

const RULES: ListLayout<api::Rule> = ListLayout {
    columns: &[
        Column::text("RULE", 0, |row| row.name.rule.clone()),
        Column::number("HITS", 0, |row| row.hits),
        Column::rate("HIT/s", 4, |row| row.rates.map(|rates| rates.hits)),
        Column::number("PKTS", 1, |row| row.packets),
        Column::number("BYTES", 3, |row| row.bytes),
        Column::rate("PKT/s", 4, |row| row.rates.map(|rates| rates.packets)),
        Column::number("LIVE", 4, |row| row.live_flows),
        Column::number("LIMITED", 5, |row| row.rate_limited),
        Column {
            header: "LAST",
            rank: 2,
            cell: Cell::Scale(format_last_hit, |row| row.idle_seconds),
        },
        Column::text("PEERS", 6, |row| summarize_peers(row.peers.as_deref())),
        Column::text("LOCATION", 7, |row| {
            format_location(row).unwrap_or_default()
        }),
    ],
    name: |row| row.name.rule.clone(),
    empty: "no rules",
};

fn format_last_hit(row: &api::Rule) -> String {
    row.idle_seconds
        .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s ago"))
}

/// File and line of the rule.
fn format_location(row: &api::Rule) -> Option<String> {
    Some(format!("{}:{}", row.file.as_ref()?, row.line?))
}

/// The first peers: a rule may have thousands of CIDRs.
fn summarize_peers(peers: Option<&[String]>) -> String {
    const PRINTED_MAX: usize = 2;
    let Some(peers) = peers else {
        return String::new();
    };
    if peers.is_empty() {
        return "all peers".to_owned();
    }
    let mut text = peers[..peers.len().min(PRINTED_MAX)].join("; ");
    if peers.len() > PRINTED_MAX {
        text.push_str(&format!("; and {} more", peers.len() - PRINTED_MAX));
    }
    text
}

/// Prints everything that is known about a rule.
fn print_details(rule: &api::Rule) {
    print_line(&replace_control_chars(&rule.name.rule));
    let fact = |name: &str, value: String| {
        print_line(&format!("  {name:<12} {}", replace_control_chars(&value)))
    };

    // Identity.
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
        fact(
            "removed",
            "no policy contains this rule any more".to_owned(),
        );
    }
    if let Some(location) = format_location(rule) {
        fact("location", location);
    }

    // Ports and peers, or the isolating policies of a default-deny rule.
    let list = |name: &str, all: &str, values: &[String]| {
        if values.is_empty() {
            fact(name, all.to_owned());
        }
        for (at, value) in values.iter().enumerate() {
            fact(if at == 0 { name } else { "" }, value.clone());
        }
    };
    if let Some(ports) = &rule.ports {
        list("ports", "all ports", ports);
    }
    if let Some(peers) = &rule.peers {
        list("peers", "all peers", peers);
    }
    if rule.isolating_policies.is_some() {
        list("isolated by", "", &rule.isolated_by);
    }

    if let Some(total) = rule.endpoints_total {
        list("endpoints", "none", &rule.endpoints);
        if total > rule.endpoints.len() {
            fact("", format!("and {} more", total - rule.endpoints.len()));
        }
    }

    // Counters.
    fact("hits", rule.hits.to_string());
    fact("packets", rule.packets.to_string());
    fact("bytes", rule.bytes.to_string());
    fact("limited", rule.rate_limited.to_string());
    fact("live flows", rule.live_flows.to_string());
    if let Some(rates) = rule.rates {
        let per_second = [rates.hits, rates.packets, rates.bytes].map(format_rate);
        let [hits, packets, bytes] = per_second;
        fact(
            "per second",
            format!("{hits} hits, {packets} packets, {bytes} bytes"),
        );
    }
    fact("last", format_last_hit(rule));
    if !rule.last_packets.is_empty() {
        print_line("  the last recorded packets:");
        RecordPrinter::new(RecordFormat::Table, false).print(rule.last_packets.clone());
    }
}
