//! Kernel modules and their loading order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::archive::Archive;

/// The files of all modules below a folder.
pub(crate) fn find(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(".ko") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The name of a module, as the kernel spells it.
fn module_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split(".ko")
        .next()
        .unwrap_or_default()
        .replace('-', "_")
}

/// Adds a module to the archive and to the loading order, after the modules on which it depends.
pub(crate) fn add(
    name: &str,
    all: &[PathBuf],
    archive: &mut Archive,
    order: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Result<()> {
    if !done.insert(name.to_owned()) {
        return Ok(());
    }
    // Without a file, the module is built into the kernel.
    let Some(path) = all.iter().find(|path| module_name(path) == name) else {
        return Ok(());
    };
    let bytes = if path.extension().is_some_and(|extension| extension == "xz") {
        let output = Command::new("xz")
            .args(["-dc"])
            .arg(path)
            .output()
            .context("cannot run xz")?;
        ensure!(
            output.status.success(),
            "xz cannot unpack {}",
            path.display()
        );
        output.stdout
    } else {
        fs::read(path)?
    };
    for dependency in dependencies(&bytes) {
        add(&dependency, all, archive, order, done)?;
    }
    let inside = format!("/modules/{name}.ko");
    archive.file(&inside, &bytes)?;
    order.push(inside);
    Ok(())
}

/// The modules in the `depends=` of a module's information section.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let text = &module[at + KEY.len()..];
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(0);
    let names = String::from_utf8_lossy(&text[..end]).into_owned();
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}
