//! Files and functions stay small enough to read at once.

use bailey_architecture::{files, functions};

const FILE_LINES: usize = 500;
const MEDIAN_LINES: usize = 130;
const FUNCTION_LINES: usize = 80;

/// Files that may be longer, and why.
const LONG_FILES: [(&str, &str); 2] = [
    ("bpf/src/abi.rs", "generated from bpf/abi.h"),
    (
        "bpf/abi.h",
        "the one definition of the ABI: constants and structs, no code",
    ),
];

/// The paths of all sources and their lengths in lines.
fn lengths() -> Vec<(String, usize)> {
    let sources = files::sources();
    let length = |path: &std::path::PathBuf| files::text(path).lines().count();
    let pairs = sources.iter().map(|p| (files::relative(p), length(p)));
    pairs.collect()
}

#[test]
fn no_file_is_over_500_lines() {
    let is_exempt = |path: &str| LONG_FILES.iter().any(|(file, _)| *file == path);
    let long = lengths()
        .into_iter()
        .filter(|(path, lines)| *lines > FILE_LINES && !is_exempt(path));
    let long: Vec<String> = long.map(|(path, n)| format!("{path}: {n} lines")).collect();
    assert!(
        long.is_empty(),
        "over {FILE_LINES} lines:\n{}",
        long.join("\n")
    );
}

#[test]
fn long_files_are_listed_with_reason() {
    let lengths = lengths();
    for (file, reason) in LONG_FILES {
        let length = lengths.iter().find(|(path, _)| path == file);
        let is_long = length.is_some_and(|(_, lines)| *lines > FILE_LINES);
        assert!(is_long && !reason.is_empty(), "{file} needs no exemption");
    }
}

#[test]
fn median_file_has_at_most_130_lines() {
    let mut lengths: Vec<usize> = lengths().into_iter().map(|(_, lines)| lines).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= MEDIAN_LINES, "the median file has {median} lines");
}

#[test]
fn no_function_is_over_80_lines() {
    let mut long = Vec::new();
    for path in files::sources() {
        for function in functions::find(&path, &files::text(&path)) {
            if function.length > FUNCTION_LINES {
                let (path, line) = (files::relative(&path), function.line);
                let (name, length) = (function.name, function.length);
                long.push(format!("{path}:{line}: {name}, {length} lines"));
            }
        }
    }
    assert!(
        long.is_empty(),
        "over {FUNCTION_LINES} lines:\n{}",
        long.join("\n")
    );
}

#[test]
fn functions_are_found_in_both_languages() {
    let found = |path: &str, name: &str| {
        let path = files::root().join(path);
        let functions = functions::find(&path, &files::text(&path));
        let function = functions.iter().find(|function| function.name == name);
        function.map_or(0, |function| function.length)
    };
    assert!(found("fw/architecture/src/functions.rs", "rust") > 15);
    assert!(found("bpf/c/entry.bpf.c", "entry_xdp") > 3);
}
