//! The files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the workspace exists")
}

/// A path as people write it: relative to the workspace.
pub fn relative(path: &Path) -> String {
    let root = root();
    path.strip_prefix(&root)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// All files below a folder whose names end with one of these, sorted.
///
/// # Panics
/// If a folder cannot be read.
pub fn with_ending(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(with_ending(&path, endings));
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All sources in Rust and C.
pub fn sources() -> Vec<PathBuf> {
    with_ending(&root(), &[".rs", ".c", ".h"])
}

/// All pages in Markdown.
pub fn pages() -> Vec<PathBuf> {
    with_ending(&root(), &[".md"])
}

/// The text of a file.
///
/// # Panics
/// If the file cannot be read as UTF-8.
pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
