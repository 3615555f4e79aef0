use std::cmp::Reverse;
use std::thread;
use std::time::Duration;

use bailey_config::nearest::nearest;
use bailey_source::diagnostic::replace_control_chars;
use serde::Serialize;
use serde_json::Value;

use super::table::{Cell, Column, Table, terminal_columns};
use super::{is_closed, json, line, raw, yaml};
use crate::args::{ListFormat, Listing, Watch};
use crate::exit::Exit;

/// How things of one kind are listed.
pub(crate) struct Kind<T: 'static> {
    /// The columns, the name first.
    pub columns: &'static [Column<T>],
    /// Names one, for `-o name`.
    pub name: fn(&T) -> String,
    /// Said where there are none.
    pub none: &'static str,
}

impl<T> Kind<T> {
    /// The column of a name.
    ///
    /// # Errors
    /// If there is none, with the nearest one.
    pub(crate) fn column(&self, name: &str) -> Result<&Column<T>, String> {
        let mut columns = self.columns.iter();
        let found = columns.find(|column| column.header.eq_ignore_ascii_case(name));
        found.ok_or_else(|| no_column(name, self.columns.iter().map(|column| column.header)))
    }
}

/// Says which columns there are.
pub(crate) fn no_column(name: &str, known: impl Iterator<Item = &'static str> + Clone) -> String {
    let lower = |header: &str| header.to_lowercase();
    let all: Vec<String> = known.clone().map(lower).collect();
    format!(
        "--sort {name}: there is no such column{}; columns are {}",
        nearest(&name.to_lowercase(), known.map(lower)),
        all.join(", ")
    )
}

impl Listing {
    /// The width that a table must fit.
    pub fn width(&self) -> Option<usize> {
        match self.output {
            ListFormat::Table => terminal_columns(),
            _ => None,
        }
    }
}

/// Prints an answer whose field `key` is a list, after it was sorted and cut.
///
/// # Errors
/// If the column to sort by does not exist.
pub(crate) fn print<A: Serialize, T: Serialize>(
    options: &Listing,
    mut answer: A,
    key: &str,
    items: impl Fn(&mut A) -> &mut Vec<T>,
    kind: &Kind<T>,
) -> Result<(), String> {
    let list = items(&mut answer);
    if let Some(name) = &options.sort {
        sort(list, kind.column(name)?);
    }
    if options.reverse {
        list.reverse();
    }
    list.truncate(options.limit.map_or(usize::MAX, |limit| limit as usize));
    match options.output {
        ListFormat::Table | ListFormat::Wide if list.is_empty() => line(kind.none),
        ListFormat::Table | ListFormat::Wide => {
            let mut table = Table::new(kind.columns, options.width(), !options.no_headers)
                .sorted_by(options.sort.as_ref());
            raw(table.rows(list).as_bytes());
        }
        ListFormat::Name => list
            .iter()
            .for_each(|item| line(&replace_control_chars(&(kind.name)(item)))),
        ListFormat::Json => json(&answer),
        ListFormat::Yaml => yaml(&answer),
        ListFormat::Ndjson => lines(&answer, key),
    }
    Ok(())
}

/// A text in parts by which it sorts: numbers in it count as such.
fn natural(text: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let after = &rest[word..];
        let digits = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let number = after[..digits].parse().unwrap_or(u64::MAX);
        parts.push((rest[..word].to_owned(), number));
        rest = &after[digits..];
    }
    parts
}

fn sort<T>(list: &mut [T], column: &Column<T>) {
    match &column.cell {
        Cell::Number(number) => list.sort_by_key(|item| Reverse(number(item))),
        Cell::Text(text) => list.sort_by_cached_key(|item| natural(&text(item))),
        Cell::Count(number) | Cell::Scale(_, number) => {
            list.sort_by_key(|item| Reverse(number(item)))
        }
    }
}

/// Every item as a line, with what is said of all of them in each.
fn lines(answer: &impl Serialize, key: &str) {
    let Ok(Value::Object(mut whole)) = serde_json::to_value(answer) else {
        return;
    };
    let Some(Value::Array(items)) = whole.remove(key) else {
        return;
    };
    for item in items {
        let mut one = whole.clone();
        if let Value::Object(fields) = item {
            one.extend(fields);
        }
        line(&Value::Object(one).to_string());
    }
}

/// Does something once, or again and again until standard output is closed or it makes no sense.
pub(crate) fn watched(watch: &Watch, mut once: impl FnMut() -> Exit) -> Exit {
    loop {
        if watch.seconds.is_some() && terminal_columns().is_some() {
            // As `clear` does: home, then everything below, then what was scrolled away.
            raw(b"\x1b[H\x1b[2J\x1b[3J");
        }
        let exit = once();
        let Some(seconds) = watch.seconds else {
            return exit;
        };
        if is_closed() || matches!(exit, Exit::Usage | Exit::Invalid | Exit::NotAuthorised) {
            return exit;
        }
        thread::sleep(Duration::from_secs(seconds));
    }
}
