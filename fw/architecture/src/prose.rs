//! Comments and pages as plain text, with the line numbers of the file.

use std::path::Path;

/// The prose of a file by line, from 1: the comments of a source, or a page without its code.
pub fn lines(path: &Path, text: &str) -> Vec<(usize, String)> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("md") => page(text),
        Some("rs") => rust(text),
        _ => c(text),
    }
}

/// Lines of a page outside fenced code, with code in backticks removed.
fn page(text: &str) -> Vec<(usize, String)> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code && !line.starts_with("    ") {
            found.push((at + 1, without_code(line)));
        }
    }
    found
}

fn rust(text: &str) -> Vec<(usize, String)> {
    let comment = |line: &str| {
        let line = line.trim_start();
        let is_comment = line.starts_with("//");
        let trailing = || {
            line.split_once(" // ")
                .map(|(_, comment)| comment.to_owned())
        };
        let whole = || without_code(line.trim_start_matches(['/', '!']));
        is_comment.then(whole).or_else(trailing)
    };
    let numbered = text.lines().enumerate();
    numbered
        .filter_map(|(at, line)| Some((at + 1, comment(line)?)))
        .collect()
}

fn c(text: &str) -> Vec<(usize, String)> {
    let mut in_comment = false;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut comment = String::new();
        let mut rest = line;
        while let Some((code, after)) = rest.split_once(if in_comment { "*/" } else { "/*" }) {
            if in_comment {
                comment.push_str(code);
            }
            in_comment = !in_comment;
            rest = after;
        }
        if in_comment {
            comment.push_str(rest);
        }
        if let Some((_, after)) = rest.split_once("//").filter(|_| !in_comment) {
            comment.push_str(after);
        }
        if !comment.trim().is_empty() {
            found.push((at + 1, without_code(&comment)));
        }
    }
    found
}

/// A line without its parts in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}
