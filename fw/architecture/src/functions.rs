//! Functions, found by the layout of formatted code: rustfmt and the kernel's C style put the brace
//! that ends a function on a line of its own, indented like the function.

use std::path::Path;

/// A function of a source file.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its signature, from 1.
    pub line: usize,
    /// Its lines, from the signature to the brace that ends it.
    pub length: usize,
    /// Whether it has the attribute `#[test]`.
    pub is_test: bool,
}

/// The functions of a file, by its ending.
pub fn find(path: &Path, text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => rust(&lines),
        _ => c(&lines),
    }
}

/// A function of formatted Rust ends at the first line that is a brace with the function's
/// indentation.
fn rust(lines: &[&str]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = rust_name(code) else {
            continue;
        };
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let is_one_line = code.ends_with('}') || code.ends_with(';');
        let length = match is_one_line {
            true => 1,
            false => {
                1 + lines[at..]
                    .iter()
                    .position(|line| *line == end)
                    .unwrap_or(0)
            }
        };
        let attributes = lines[..at].iter().rev();
        let mut attributes = attributes.take_while(|line| line.trim_start().starts_with("#["));
        found.push(Function {
            name: name.to_owned(),
            line: at + 1,
            length,
            is_test: attributes.any(|line| line.trim() == "#[test]"),
        });
    }
    found
}

/// The name of the function whose signature begins on a line.
fn rust_name(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("fn ")?;
    let is_qualifier = |word: &str| {
        let known = ["const", "async", "unsafe", "extern", "\"C\""];
        word.starts_with("pub") || known.contains(&word)
    };
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0 && before.split_whitespace().all(is_qualifier)).then_some(&after[..end])
}

/// In kernel style only the body of a function begins with a brace in the first column.
fn c(lines: &[&str]) -> Vec<Function> {
    let mut found = Vec::new();
    for (open, _) in lines.iter().enumerate().filter(|(_, line)| **line == "{") {
        let is_signature = |line: &&&str| {
            let is_other = line.starts_with('#') || line.starts_with("SEC(");
            !line.is_empty() && !is_other && !line.ends_with([';', '}', '/'])
        };
        let signature = lines[..open].iter().rev().take_while(is_signature).count();
        let start = open - signature;
        let close = lines[open..].iter().position(|line| *line == "}");
        let text = lines[start..open].join(" ");
        found.push(Function {
            name: c_name(&text).to_owned(),
            line: start + 1,
            length: close.map_or(0, |close| open + close + 1 - start),
            is_test: false,
        });
    }
    found
}

/// The last word before the first parenthesis that is no attribute's.
fn c_name(signature: &str) -> &str {
    let before = signature.split('(').next().unwrap_or_default();
    let mut words = before.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.rfind(|word| !word.is_empty()).unwrap_or("?")
}
