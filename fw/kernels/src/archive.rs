//! cpio archives, which the kernel unpacks as its first root file system.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use cpio::newc;

/// A cpio archive that is being written. Each path is added once.
pub(crate) struct Archive {
    out: Option<BufWriter<File>>,
    known: BTreeSet<String>,
}

impl Archive {
    /// Creates the file of the archive.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            out: Some(BufWriter::new(file)),
            known: BTreeSet::new(),
        })
    }

    /// Adds an entry after the folders that contain it.
    fn add(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        if !self.known.insert(path.to_owned()) {
            return Ok(());
        }
        if let Some(parent) = Path::new(path).parent().and_then(Path::to_str)
            && parent != "/"
        {
            self.folder(parent)?;
        }
        let out = self.out.take().context("the archive is finished")?;
        let name = path.trim_start_matches('/');
        let mut entry = newc::Builder::new(name)
            .mode(mode)
            .write(out, bytes.len() as u32);
        entry.write_all(bytes)?;
        self.out = Some(entry.finish()?);
        Ok(())
    }

    /// Adds an executable file.
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.add(path, 0o100_755, bytes)
    }

    /// Adds a folder.
    pub(crate) fn folder(&mut self, path: &str) -> Result<()> {
        self.add(path, 0o040_755, &[])
    }

    /// Adds a folder of the host with its content, under the same path.
    pub(crate) fn tree(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.tree(&path)?;
            } else {
                self.file(
                    path.to_str().context("a path that is not UTF-8")?,
                    &fs::read(&path)?,
                )?;
            }
        }
        Ok(())
    }

    /// Writes the end of the archive.
    pub(crate) fn finish(mut self) -> Result<()> {
        let out = self.out.take().context("the archive is finished")?;
        newc::trailer(out)?.flush()?;
        Ok(())
    }
}
