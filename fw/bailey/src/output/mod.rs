use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// Lists of things, in every format.
pub mod listing;
/// Columns.
pub mod table;

/// Nobody reads standard output any more.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Prints a line to standard output; a reader that has gone away is no error.
pub fn line(text: &str) {
    raw(format!("{text}\n").as_bytes());
}

/// Prints bytes to standard output, as [`line`].
pub fn raw(bytes: &[u8]) {
    if io::stdout().write_all(bytes).is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// Has the reader of standard output gone away?
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(&text),
        Err(error) => eprintln!("cannot write JSON: {error}"),
    }
}

/// Prints a value as one document of YAML.
pub fn yaml(value: &impl Serialize) {
    match serde_saphyr::to_string(value) {
        Ok(text) => line(text.trim_end()),
        Err(error) => eprintln!("cannot write YAML: {error}"),
    }
}

/// A count with separators, as `1 234 567`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
