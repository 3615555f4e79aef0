//! Lists in every output format: sorted, limited, repeated.

use std::cmp::Reverse;
use std::thread::sleep;
use std::time::Duration;

use bailey_config::nearest::nearest;
use bailey_source::diagnostic::replace_control_chars;
use serde::Serialize;
use serde_json::Value;

use super::table::{Cell, Column, Table, terminal_columns};
use super::{is_closed, print_bytes, print_json, print_line, print_yaml};
use crate::args::{ListArgs, ListFormat, WatchArgs};
use crate::error::CommandError;
use crate::exit::{Exit, end_with};

/// How a list of `T` is printed.
pub(crate) struct ListLayout<T: 'static> {
    /// The columns of a table, the name first.
    pub columns: &'static [Column<T>],
    /// Name of an item, for `-o name`.
    pub name: fn(&T) -> String,
    /// Line that replaces the table of an empty list.
    pub empty: &'static str,
}

impl<T> ListLayout<T> {
    /// Finds a column by its header.
    ///
    /// # Errors
    /// If no column has that header; suggests the closest one.
    pub(crate) fn find_column(&self, name: &str) -> Result<&Column<T>, String> {
        let mut columns = self.columns.iter();
        let found = columns.find(|column| column.header.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            describe_unknown_column(name, self.columns.iter().map(|column| column.header))
        })
    }
}

/// The error for `--sort` with an unknown column; lists the known ones.
pub(crate) fn describe_unknown_column(
    name: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> String {
    let lower = |header: &str| header.to_lowercase();
    let all: Vec<String> = known.clone().map(lower).collect();
    format!(
        "--sort {name}: unknown column{}; columns: {}",
        nearest(&name.to_lowercase(), known.map(lower)),
        all.join(", ")
    )
}

impl ListArgs {
    /// Columns of the terminal that a table must fit; `None` prints all columns.
    pub fn terminal_width(&self) -> Option<usize> {
        match self.output {
            ListFormat::Table => terminal_columns(),
            _ => None,
        }
    }
}

/// Sorts and limits a list, and prints the answer that contains it. `key` is the list's field in the JSON of
/// the answer.
///
/// # Errors
/// If the column to sort by does not exist.
pub(crate) fn print_list<A: Serialize, T: Serialize>(
    options: &ListArgs,
    mut answer: A,
    key: &str,
    items: impl Fn(&mut A) -> &mut Vec<T>,
    layout: &ListLayout<T>,
) -> Result<(), CommandError> {
    let list = items(&mut answer);
    if let Some(name) = &options.sort {
        let column = layout.find_column(name);
        sort(list, column.map_err(CommandError::Usage)?);
    }
    if options.reverse {
        list.reverse();
    }
    list.truncate(options.limit.map_or(usize::MAX, |limit| limit as usize));
    match options.output {
        ListFormat::Table | ListFormat::Wide if list.is_empty() => print_line(layout.empty),
        ListFormat::Table | ListFormat::Wide => {
            let mut table = Table::new(
                layout.columns,
                options.terminal_width(),
                !options.no_headers,
            )
            .sorted_by(options.sort.as_ref());
            print_bytes(table.format_rows(list).as_bytes());
        }
        ListFormat::Name => list
            .iter()
            .for_each(|item| print_line(&replace_control_chars(&(layout.name)(item)))),
        ListFormat::Json => print_json(&answer),
        ListFormat::Yaml => print_yaml(&answer),
        ListFormat::Ndjson => print_ndjson(&answer, key),
    }
    Ok(())
}

/// Sort key of a text that orders numbers inside it by value: `eth2` before `eth10`.
fn natural_key(text: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let prefix = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let after = &rest[prefix..];
        let digits = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let number = after[..digits].parse().unwrap_or(u64::MAX);
        parts.push((rest[..prefix].to_owned(), number));
        rest = &after[digits..];
    }
    parts
}

fn sort<T>(list: &mut [T], column: &Column<T>) {
    match &column.cell {
        Cell::Number(number) => list.sort_by_key(|item| Reverse(number(item))),
        Cell::Text(text) => list.sort_by_cached_key(|item| natural_key(&text(item))),
        Cell::Rate(rate) => list.sort_by(|one, other| {
            let key = |item| rate(item).unwrap_or(-1.0);
            key(other).total_cmp(&key(one))
        }),
        Cell::Count(number) | Cell::Scale(_, number) => {
            list.sort_by_key(|item| Reverse(number(item)))
        }
    }
}

/// Prints one JSON object per item; each repeats the other fields of the answer.
fn print_ndjson(answer: &impl Serialize, key: &str) {
    let Ok(Value::Object(mut common)) = serde_json::to_value(answer) else {
        return;
    };
    let Some(Value::Array(items)) = common.remove(key) else {
        return;
    };
    for item in items {
        let mut object = common.clone();
        if let Value::Object(fields) = item {
            object.extend(fields);
        }
        print_line(&Value::Object(object).to_string());
    }
}

/// Prints once, or with `--watch` until standard output is closed. Also ends after an error that a
/// repetition cannot remove.
pub(crate) fn repeat(
    watch: &WatchArgs,
    mut print: impl FnMut() -> Result<Exit, CommandError>,
) -> Exit {
    loop {
        if watch.seconds.is_some() && terminal_columns().is_some() {
            // The sequence of `clear`: cursor home, clear the screen, clear the scroll-back buffer.
            print_bytes(b"\x1b[H\x1b[2J\x1b[3J");
        }
        let exit = print().unwrap_or_else(|error| end_with(&error));
        let Some(seconds) = watch.seconds else {
            return exit;
        };
        if is_closed() || matches!(exit, Exit::Usage | Exit::Invalid | Exit::NotAuthorised) {
            return exit;
        }
        sleep(Duration::from_secs(seconds));
    }
}
