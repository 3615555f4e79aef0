//! Imports go one way: no files of a crate know each other in a circle, no folder of the datapath knows one
//! above it, and no header of the BPF programs includes itself through others. Read from `use` and
//! `#include` lines, which say nearly everything; paths that are written out in expressions are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders and files of `fw/datapath/src`; each may know those before it.
const DATAPATH: [&str; 11] = [
    "error", "kernel", "maps", "program", "flows", "blocks", "attach", "observe", "install",
    "datapath", "testing",
];

/// Folders of `bpf/c`; each may include those before it.
const BPF: [&str; 8] = [
    "core", "address", "parse", "policy", "forward", "verdict", "flow", "guard",
];

/// Circles that are meant: a packet may be in a tunnel, whose packet is read by the same parser.
const CIRCLES: [&str; 1] = ["fw/reference/src"];

/// The files that each file imports.
type Graph = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files below a folder that end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// The `src` folders of all crates.
fn crates(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.join("Cargo.toml").exists() && path.join("src").is_dir() {
            found.push(path.join("src"));
        }
        if path.is_dir() && !path.ends_with("src") {
            crates(&path, found);
        }
    }
}

/// The paths of a file's `use` lines, from the root of the crate, without braces.
fn imports(text: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for statement in text.split(';') {
        let begin =
            ["use crate::", "use super::"].map(|word| statement.find(word).map(|at| (at, word)));
        let Some((at, word)) = begin.into_iter().flatten().max() else {
            continue;
        };
        let rest: String = statement[at + word.len()..].split_whitespace().collect();
        let base = match word {
            "use super::" => &module[..module.len().saturating_sub(1)],
            _ => &[],
        };
        let (stem, names) = rest.split_once('{').unwrap_or(("", &rest));
        for name in names.trim_end_matches('}').split(',') {
            let whole = format!("{stem}{name}");
            let parts = whole.split("::").map(str::to_owned);
            paths.push(base.iter().cloned().chain(parts).collect());
        }
    }
    paths
}

/// The file of the innermost module that a path names.
fn file_of(source: &Path, path: &[String]) -> Option<PathBuf> {
    (1..=path.len()).rev().find_map(|length| {
        let stem = source.join(path[..length].join("/"));
        [stem.with_extension("rs"), stem.join("mod.rs")]
            .into_iter()
            .find(|file| file.exists())
    })
}

fn module_of(source: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(source).unwrap().with_extension("");
    let mut parts: Vec<String> = path
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

fn graph(source: &Path) -> Graph {
    let knows = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        // Tests know what they like.
        let text = text.split("#[cfg(test)]").next().unwrap();
        let paths = imports(text, &module_of(source, &file));
        let known = paths.iter().filter_map(|path| file_of(source, path));
        let known = known.filter(|other| *other != file).collect();
        (file, known)
    };
    files(source, ".rs").into_iter().map(knows).collect()
}

/// Files that know themselves through others.
fn circles(graph: &Graph) -> Vec<String> {
    let reach = |from: &PathBuf| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            for known in graph.get(file).into_iter().flatten() {
                if seen.insert(known) {
                    next.push(known);
                }
            }
        }
        seen
    };
    let inside = graph.keys().filter(|file| reach(file).contains(file));
    inside.map(|file| file.display().to_string()).collect()
}

#[test]
fn no_files_of_a_crate_know_each_other_in_a_circle() {
    let mut sources = Vec::new();
    for folder in ["fw", "bench", "bpf"] {
        crates(&root().join(folder), &mut sources);
    }
    assert!(sources.len() > 10, "{sources:?}");
    let meant = |source: &PathBuf| CIRCLES.iter().any(|circle| source.ends_with(circle));
    let found: Vec<String> = sources
        .iter()
        .filter(|source| !meant(source))
        .flat_map(|source| circles(&graph(source)))
        .collect();
    assert!(found.is_empty(), "in circles:\n{}", found.join("\n"));
}

/// Imports of files below a folder that go against an order of its folders and files.
fn upward(graph: &Graph, source: &Path, order: &[&str]) -> Vec<String> {
    let layer = |file: &Path| {
        let first = module_of(source, file).first()?.clone();
        let known = order.iter().position(|folder| *folder == first);
        Some(known.unwrap_or_else(|| panic!("{first} has no place in the order")))
    };
    let mut found = Vec::new();
    for (file, known) in graph {
        for other in known {
            if let (Some(from), Some(to)) = (layer(file), layer(other))
                && from < to
            {
                found.push(format!("{} knows {}", file.display(), other.display()));
            }
        }
    }
    found
}

#[test]
fn no_folder_of_the_datapath_knows_one_above_it() {
    let source = root().join("fw/datapath/src");
    let graph = graph(&source);
    assert!(graph.len() > 40);
    let upward = upward(&graph, &source, &DATAPATH);
    assert!(upward.is_empty(), "upward:\n{}", upward.join("\n"));
}

#[test]
fn no_folder_of_the_programs_includes_one_above_it() {
    let source = root().join("bpf/c");
    let included = |line: &str| {
        let name = line.trim().strip_prefix("#include \"")?.strip_suffix('"')?;
        let path = source.join(name);
        path.exists().then_some(path)
    };
    let graph: Graph = files(&source, ".h")
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            let known = text.lines().filter_map(included).collect();
            (file, known)
        })
        .collect();
    assert!(graph.len() > 20);
    let found = circles(&graph);
    assert!(found.is_empty(), "in circles:\n{}", found.join("\n"));
    let upward = upward(&graph, &source, &BPF);
    assert!(upward.is_empty(), "upward:\n{}", upward.join("\n"));
}
