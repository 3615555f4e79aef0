//! Diagnostics: errors and warnings about the input, with file, position, object, and a snippet of
//! the text for the terminal.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::parse::node::Pos;

/// Severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The input is valid but probably a mistake.
    Warning,
    /// The input is rejected.
    Error,
}

/// One error or warning. Displayed as `file:line:column: NetworkPolicy ns/name: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file; `None` if the diagnostic concerns the input as a whole.
    pub file: Option<PathBuf>,
    /// The position in the file.
    pub pos: Option<Pos>,
    /// The object, as `Kind ns/name`.
    pub object: Option<String>,
    /// The message. For a field: `path: Type: value: detail`, with the API server's texts.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(pos) = self.pos {
                write!(f, "{}:{}:", pos.line, pos.column)?;
            }
            f.write_str(" ")?;
        }
        // `{:#}` marks warnings, for output that does not show the severity otherwise.
        if f.alternate() && self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// All diagnostics of one run, and the texts of their files.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    texts: BTreeMap<PathBuf, Arc<str>>,
}

impl Diagnostics {
    /// Adds a diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds an error about a whole file or path.
    pub fn add_file_error(&mut self, file: &Path, message: impl Into<String>) {
        self.push(Diagnostic {
            severity: Severity::Error,
            file: Some(file.to_owned()),
            pos: None,
            object: None,
            message: message.into(),
        });
    }

    /// Adds a warning about the input as a whole.
    pub fn add_warning(&mut self, message: impl Into<String>) {
        self.push(Diagnostic {
            severity: Severity::Warning,
            file: None,
            pos: None,
            object: None,
            message: message.into(),
        });
    }

    /// Stores the text of a file, for snippets.
    pub(crate) fn add_text(&mut self, file: &Path, text: Arc<str>) {
        self.texts.insert(file.to_owned(), text);
    }

    /// Drops all texts if there are no diagnostics.
    pub(crate) fn drop_unused_texts(&mut self) {
        if self.list.is_empty() {
            self.texts.clear();
        }
    }

    /// Adds all diagnostics and texts of another run.
    pub fn extend(&mut self, other: Self) {
        self.list.extend(other.list);
        self.texts.extend(other.texts);
    }

    /// Errors, sorted by file and position.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.sorted(Severity::Error)
    }

    /// Warnings, sorted by file and position.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.sorted(Severity::Warning)
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    fn sorted(&self, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
        let mut list: Vec<_> = self
            .list
            .iter()
            .filter(|d| d.severity == severity)
            .collect();
        list.sort_by(|a, b| (&a.file, a.pos).cmp(&(&b.file, b.pos)));
        list.into_iter()
    }

    /// Formats all errors, then all warnings, for a terminal: each with its line of text and a
    /// caret. Control characters of the input never reach the terminal.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for diagnostic in self.errors().chain(self.warnings()) {
            let _ = writeln!(out, "{}", replace_control_chars(&format!("{diagnostic:#}")));
            if let Some(snippet) = self.snippet(diagnostic, &renderer) {
                let _ = writeln!(out, "{snippet}");
            }
        }
        out
    }

    fn snippet(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> Option<String> {
        let pos = diagnostic.pos?;
        let text = self.texts.get(diagnostic.file.as_deref()?)?;
        let line = text.lines().nth(pos.line.checked_sub(1)? as usize)?;
        let (line, column) = cut_line(line, pos.column as usize - 1);
        let line = replace_control_chars(&line);
        let start = line
            .char_indices()
            .nth(column)
            .map_or(line.len(), |(at, _)| at);
        let end = start + token_len(&line[start..]);
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let snippet = Snippet::source(line.as_str())
            .line_start(pos.line as usize)
            .fold(false)
            .annotation(AnnotationKind::Primary.span(start..end));
        Some(renderer.render(&[Group::with_level(level).element(snippet)]))
    }
}

/// Cuts a long line (JSON on one line) around a column. Returns the part and the column in it.
fn cut_line(line: &str, column: usize) -> (String, usize) {
    const BEFORE: usize = 40;
    const WIDTH: usize = 100;
    let from = if line.chars().count() > WIDTH {
        column.saturating_sub(BEFORE)
    } else {
        0
    };
    (line.chars().skip(from).take(WIDTH).collect(), column - from)
}

/// The length in bytes of the quoted string or word at the start of `rest`; at least 1 if `rest` is
/// not empty.
fn token_len(rest: &str) -> usize {
    let quoted = rest
        .strip_prefix('"')
        .and_then(|inner| inner.find('"'))
        .map(|at| at + 2);
    let word = || rest.find([' ', ',', '}', ']', '\t']).unwrap_or(rest.len());
    quoted
        .unwrap_or_else(word)
        .max(usize::from(!rest.is_empty()))
}

/// Replaces control characters, which could control the terminal or fake a line of output.
pub fn replace_control_chars(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}
