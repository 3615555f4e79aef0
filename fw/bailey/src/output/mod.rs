use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bailey_source::diagnostic::replace_control_chars;
use serde::Serialize;

/// Findings in policy files.
pub(crate) mod diagnostics;
/// Lists of things, in every format.
pub(crate) mod listing;
/// Columns.
pub(crate) mod table;
/// Results of PolicyTests.
pub(crate) mod test_report;

/// Nothing more is written to standard output: nobody reads it, or it failed.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// The error of a standard output that failed, as a full disk does.
static FAILED: OnceLock<String> = OnceLock::new();

/// Prints a message for people to standard error, as `eprintln!` does, but for control characters of names
/// and files in it; nothing happens if nobody reads it.
macro_rules! complain {
    ($($arguments:tt)*) => {
        $crate::output::message(&format!($($arguments)*))
    };
}
pub(crate) use complain;

/// Prints the lines of a message, as [`complain`].
pub(crate) fn message(text: &str) {
    let lines: Vec<String> = text.lines().map(replace_control_chars).collect();
    let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
}

/// What is wrong with standard output, if it failed; a reader that has gone away is no failure.
pub(crate) fn failure() -> Option<&'static str> {
    note(io::stdout().flush());
    FAILED.get().map(String::as_str)
}

fn note(result: io::Result<()>) {
    let Err(error) = result else { return };
    CLOSED.store(true, Ordering::Relaxed);
    if error.kind() != io::ErrorKind::BrokenPipe {
        let _ = FAILED.set(error.to_string());
    }
}

/// Prints a line to standard output; [`failure`] tells whether that succeeded.
pub(crate) fn line(text: &str) {
    raw(format!("{text}\n").as_bytes());
}

/// Prints bytes to standard output, as [`line`].
pub(crate) fn raw(bytes: &[u8]) {
    note(io::stdout().write_all(bytes));
}

/// Has the reader of standard output gone away, or did it fail?
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(&text),
        Err(error) => complain!("cannot write JSON: {error}"),
    }
}

/// Prints a value as a document of YAML; one that follows another begins with the line `---`.
pub(crate) fn yaml(value: &impl Serialize) {
    static FOLLOWS: AtomicBool = AtomicBool::new(false);
    match serde_saphyr::to_string(value) {
        Ok(text) => {
            if FOLLOWS.swap(true, Ordering::Relaxed) {
                line("---");
            }
            line(text.trim_end());
        }
        Err(error) => complain!("cannot write YAML: {error}"),
    }
}

/// A count with separators, as `1 234 567`.
pub(crate) fn grouped(value: u64) -> String {
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
