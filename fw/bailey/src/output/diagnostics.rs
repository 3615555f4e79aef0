//! Findings in policy files, with source snippets.

use std::io::{self, IsTerminal, Write};

use bailey_source::Diagnostics;

/// Prints findings with source snippets to standard error, in colour on a terminal.
pub(crate) fn print_diagnostics(diagnostics: &Diagnostics) {
    let mut stderr = io::stderr();
    let color = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = stderr.write_all(diagnostics.render(color).as_bytes());
}
