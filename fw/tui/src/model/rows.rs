//! Rows of the tables: what filters see, keys that stay, and orders.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::data::{Block, Drop, Flow, Nic, Packet, Rule, Talker};
use crate::filter::{Filtered, Value};
use crate::model::ListState;
use crate::model::orders::SortColumn;

/// A row with a key that stays while the row exists.
pub trait Keyed: Filtered {
    /// The key.
    fn key(&self) -> String;

    /// The order of the keys; without a text where there are many rows.
    fn key_order(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }

    /// Whether this is the key.
    fn has_key(&self, key: &str) -> bool {
        self.key() == key
    }
}

/// The rows that match the filter, in the order of the chosen column. Rows that are equal there are ordered by
/// their keys, so the order is total. Without columns, the rows keep their order.
pub fn shown_rows<'a, T: Keyed>(
    rows: &'a [T],
    state: &ListState,
    columns: &[SortColumn<T>],
) -> Vec<&'a T> {
    let mut shown: Vec<&T> = rows
        .iter()
        .filter(|row| state.filter.matches(*row))
        .collect();
    if let Some((_, order)) = columns.get(state.sort) {
        shown.sort_by(|a, b| {
            let by_column = order(a, b);
            let by_column = if state.is_reversed {
                by_column.reverse()
            } else {
                by_column
            };
            by_column.then_with(|| a.key_order(b))
        });
    }
    shown
}

fn text(value: &str) -> Option<Value> {
    Some(Value::Text(value.to_owned()))
}

fn number(value: f64) -> Option<Value> {
    Some(Value::Number(value))
}

impl Filtered for Arc<Rule> {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "rule" | "name" => text(&self.name),
            // A default deny belongs to the policies that isolate.
            "policy" => {
                let isolated = self.details.iter().find(|(name, _)| *name == "isolated by");
                text(isolated.map_or(&self.name, |(_, policies)| policies))
            }
            "ns" => text(self.name.split(['/', ' ']).next().unwrap_or_default()),
            "verdict" => text(if self.allows == Some(true) {
                "allow"
            } else {
                "deny"
            }),
            "hits" => number(self.hits as f64),
            "pkts" => number(self.packets as f64),
            "bytes" => number(self.bytes as f64),
            "live" => number(self.live as f64),
            "rate" => number(self.packet_rate.unwrap_or(0.0)),
            _ => None,
        }
    }

    fn text(&self) -> String {
        self.name.clone()
    }
}

impl Keyed for Arc<Rule> {
    fn key(&self) -> String {
        format!("{:010}", self.id)
    }

    fn key_order(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }

    fn has_key(&self, key: &str) -> bool {
        key.parse() == Ok(self.id)
    }
}

impl Filtered for Drop {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "reason" | "name" => text(&self.reason),
            "kind" => text(&self.kind),
            "if" => text(&self.interface),
            "pkts" => number(self.count as f64),
            "rate" => number(self.rate.unwrap_or(0.0)),
            "src" => self.last.as_deref().and_then(text),
            _ => None,
        }
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.kind, self.reason, self.interface)
    }
}

impl Keyed for Drop {
    fn key(&self) -> String {
        self.text()
    }
}

impl Filtered for Nic {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "if" | "name" => text(&self.name),
            "rate" => number(self.packets.last().unwrap_or(0.0).into()),
            _ => None,
        }
    }

    fn text(&self) -> String {
        self.name.clone()
    }
}

impl Keyed for Nic {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Filtered for Talker {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "src" | "dst" | "port" | "name" => text(&self.name),
            "rate" => number(self.new + self.drops),
            _ => None,
        }
    }

    fn text(&self) -> String {
        self.name.clone()
    }
}

impl Keyed for Talker {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Filtered for Block {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "src" | "dst" | "name" => text(&self.prefix),
            "reason" => text(&self.reason),
            _ => None,
        }
    }

    fn text(&self) -> String {
        format!("{} {}", self.prefix, self.reason)
    }
}

impl Keyed for Block {
    fn key(&self) -> String {
        self.prefix.clone()
    }
}

impl Filtered for Packet {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "src" => text(&self.source.0),
            "dst" => text(&self.destination.0),
            "port" => text(&self.destination.1.to_string()),
            "proto" => text(&self.protocol),
            "reason" => text(&self.reason),
            "rule" | "policy" => text(&self.rule),
            "ns" => text(self.destination_name.split('/').next().unwrap_or_default()),
            "verdict" => text(if self.passes {
                "pass allow"
            } else {
                "drop deny"
            }),
            "if" => text(&self.interface),
            "bytes" => number(self.bytes as f64),
            _ => None,
        }
    }

    fn text(&self) -> String {
        let ends = [
            &self.source.0,
            &self.source_name,
            &self.destination.0,
            &self.destination_name,
        ];
        let ends = ends.map(String::as_str).join(" ");
        format!(
            "{ends} {} {} {} {}",
            self.protocol, self.flags, self.reason, self.rule
        )
    }
}

impl Keyed for Packet {
    fn key(&self) -> String {
        format!("{:020}", self.number)
    }
}

impl Filtered for Flow {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "src" => text(&self.source),
            "dst" => text(&self.destination),
            "port" => text(&self.ends.2.to_string()),
            "proto" => text(&self.protocol),
            "state" => text(&self.state),
            "rule" | "policy" | "name" => text(&self.rule),
            "ns" => text(self.rule.split(['/', ' ']).next().unwrap_or_default()),
            "bytes" => number(self.bytes as f64),
            "pkts" => number(self.packets as f64),
            "rate" => number(self.rate.unwrap_or(0) as f64),
            _ => None,
        }
    }

    fn text(&self) -> String {
        format!(
            "{} {} {} {} {}",
            self.protocol, self.source, self.destination, self.state, self.rule
        )
    }
}

impl Keyed for Flow {
    fn key(&self) -> String {
        format!("{} {} {}", self.protocol, self.source, self.destination)
    }
}
