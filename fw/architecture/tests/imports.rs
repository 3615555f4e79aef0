//! Imports go one way: no circles among the files of a crate, no import against the order of
//! folders.

use std::path::Path;

use bailey_architecture::{files, imports};

/// Folders and files of `fw/datapath/src`; each may import those before it.
const DATAPATH: [&str; 12] = [
    "error", "kernel", "maps", "program", "flows", "blocks", "attach", "observe", "upgrade",
    "install", "datapath", "testing",
];

/// Folders of `bpf/c`; each may include those before it.
const BPF: [&str; 9] = [
    "core",
    "address",
    "parse",
    "policy",
    "forward",
    "verdict",
    "handover_verdict",
    "flow",
    "guard",
];

/// Folders whose files may import each other in circles. Protocols contain each other: a tunnel
/// carries a frame, which the same parser reads.
const CIRCLES: [&str; 1] = ["fw/reference/src/packet/"];

#[test]
fn crate_files_import_without_circles() {
    let folders = ["fw", "bench", "bpf"].map(|folder| files::root().join(folder));
    let sources: Vec<_> = folders.iter().flat_map(|f| imports::crates(f)).collect();
    assert!(sources.len() > 10, "{sources:?}");
    let is_allowed = |file: &String| CIRCLES.iter().any(|folder| file.starts_with(folder));
    let graphs = sources.iter().map(|source| imports::rust(source));
    let mut found: Vec<String> = graphs.flat_map(|graph| imports::circles(&graph)).collect();
    found.retain(|file| !is_allowed(file));
    assert!(found.is_empty(), "in circles:\n{}", found.join("\n"));
}

#[test]
fn datapath_folders_import_downwards_only() {
    let source = files::root().join("fw/datapath/src");
    let graph = imports::rust(&source);
    assert!(graph.len() > 40);
    assert_downwards(&graph, &source, &DATAPATH);
}

#[test]
fn bpf_folders_include_downwards_only() {
    let source = files::root().join("bpf/c");
    let graph = imports::c(&source);
    assert!(graph.len() > 20);
    let found = imports::circles(&graph);
    assert!(found.is_empty(), "in circles:\n{}", found.join("\n"));
    assert_downwards(&graph, &source, &BPF);
}

fn assert_downwards(graph: &imports::Graph, source: &Path, order: &[&str]) {
    let upward = imports::upward(graph, source, order);
    assert!(upward.is_empty(), "upward:\n{}", upward.join("\n"));
}
