//! Everything that is printed. No other module of this crate, and no other crate except the logger,
//! writes to standard output or standard error.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bailey_source::diagnostic::replace_control_chars;
use serde::Serialize;

/// Findings in policy files.
pub(crate) mod diagnostics;
/// Lists in every output format.
pub(crate) mod list;
/// Rates per second as text.
pub(crate) mod rate;
/// Tables that fit the terminal.
pub(crate) mod table;
/// Results of PolicyTests.
pub(crate) mod test_report;

/// Set after the first failed write; nothing more is written to standard output.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);
/// The first write error that is not a closed pipe, such as a full disk.
static WRITE_ERROR: OnceLock<String> = OnceLock::new();

/// Prints a message to standard error, formatted as by `eprintln!`. Control characters from names and
/// files are replaced; a failed write is ignored.
macro_rules! stderr_line {
    ($($arguments:tt)*) => {
        $crate::output::print_message(&format!($($arguments)*))
    };
}
pub(crate) use stderr_line;

/// Prints the lines of a message, as [`stderr_line`] does.
pub(crate) fn print_message(text: &str) {
    let lines: Vec<String> = text.lines().map(replace_control_chars).collect();
    let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
}

/// Flushes standard output and returns its write error, if any. A closed pipe is not an error.
pub(crate) fn write_error() -> Option<&'static str> {
    record(io::stdout().flush());
    WRITE_ERROR.get().map(String::as_str)
}

fn record(result: io::Result<()>) {
    let Err(error) = result else { return };
    IS_CLOSED.store(true, Ordering::Relaxed);
    if error.kind() != io::ErrorKind::BrokenPipe {
        let _ = WRITE_ERROR.set(error.to_string());
    }
}

/// Prints a line to standard output; [`write_error`] returns its error.
pub(crate) fn print_line(text: &str) {
    print_bytes(format!("{text}\n").as_bytes());
}

/// Prints bytes to standard output, as [`print_line`] does.
pub(crate) fn print_bytes(bytes: &[u8]) {
    record(io::stdout().write_all(bytes));
}

/// True after a failed write: the reader has closed the pipe, or the disk is full.
pub(crate) fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print_line(&text),
        Err(error) => stderr_line!("cannot write JSON: {error}"),
    }
}

/// Prints a value as a YAML document. From the second document on, `---` precedes it.
pub(crate) fn print_yaml(value: &impl Serialize) {
    static IS_FOLLOWING: AtomicBool = AtomicBool::new(false);
    match serde_saphyr::to_string(value) {
        Ok(text) => {
            if IS_FOLLOWING.swap(true, Ordering::Relaxed) {
                print_line("---");
            }
            print_line(text.trim_end());
        }
        Err(error) => stderr_line!("cannot write YAML: {error}"),
    }
}

/// Formats a number with separated thousands, as in `1 234 567`.
pub(crate) fn group_thousands(value: u64) -> String {
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
