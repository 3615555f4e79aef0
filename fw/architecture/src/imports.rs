//! Imports between files, and circles among them. Read from `use` and `#include` lines. A path that
//! is written out in an expression is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::files;

/// The files that each file imports.
pub type Graph = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

/// The `src` folders of all crates below a folder.
///
/// # Panics
/// If a folder cannot be read.
pub fn crates(folder: &Path) -> Vec<PathBuf> {
    let manifests = files::with_ending(folder, &["Cargo.toml"]);
    let sources = manifests.iter().map(|file| file.with_file_name("src"));
    sources.filter(|source| source.is_dir()).collect()
}

/// The imports among the Rust files of a crate's `src` folder. Modules under `#[cfg(test)]` are
/// left out.
pub fn rust(source: &Path) -> Graph {
    let imported = |file: PathBuf| {
        let text = files::text(&file);
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let paths = imported_paths(text, &module_of(source, &file));
        let known = paths.iter().filter_map(|path| file_of(source, path));
        let known = known.filter(|other| *other != file).collect();
        (file, known)
    };
    files::with_ending(source, &[".rs"])
        .into_iter()
        .map(imported)
        .collect()
}

/// The inclusions among the headers of a folder.
pub fn c(source: &Path) -> Graph {
    let included = |line: &str| {
        let name = line.trim().strip_prefix("#include \"")?.strip_suffix('"')?;
        let path = source.join(name);
        path.exists().then_some(path)
    };
    files::with_ending(source, &[".h"])
        .into_iter()
        .map(|file| {
            let known = files::text(&file).lines().filter_map(included).collect();
            (file, known)
        })
        .collect()
}

/// Files that import themselves through others.
pub fn circles(graph: &Graph) -> Vec<String> {
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
    inside.map(|file| files::relative(file)).collect()
}

/// Imports against an order of a folder's files and folders, each of which may import those before
/// it.
///
/// # Panics
/// If a file or folder is missing in the order.
pub fn upward(graph: &Graph, source: &Path, order: &[&str]) -> Vec<String> {
    let layer = |file: &Path| {
        let first = module_of(source, file).first()?.clone();
        let known = order.iter().position(|folder| *folder == first);
        Some(known.unwrap_or_else(|| panic!("the order does not name {first}")))
    };
    let mut found = Vec::new();
    for (file, known) in graph {
        for other in known {
            if let (Some(from), Some(to)) = (layer(file), layer(other))
                && from < to
            {
                let (from, to) = (files::relative(file), files::relative(other));
                found.push(format!("{from} imports {to}"));
            }
        }
    }
    found
}

/// The paths of a file's `use` lines, from the root of the crate, without braces.
fn imported_paths(text: &str, module: &[String]) -> Vec<Vec<String>> {
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

/// The module path of a file.
fn module_of(source: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(source).unwrap_or(file).with_extension("");
    let parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    let mut parts: Vec<String> = parts.collect();
    let is_root = |last: &String| ["mod", "lib", "main"].contains(&last.as_str());
    if parts.last().is_some_and(is_root) {
        parts.pop();
    }
    parts
}
