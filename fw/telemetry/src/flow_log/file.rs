//! The file of a flow log: whole lines, rotated by size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that is rotated when it reaches a size: `path` becomes `path.1`, `path.1` becomes `path.2`.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    /// Size in bytes from which the file is rotated.
    size: u64,
    /// Files that are kept, the present one included.
    files: u32,
    /// The open file and its length; `None` after an error.
    open: Option<(File, u64)>,
}

impl RotatingFile {
    /// Names the file, and opens it with the first write.
    pub fn new(path: &Path, size: u64, files: u32) -> Self {
        Self {
            path: path.to_owned(),
            size,
            files: files.max(1),
            open: None,
        }
    }

    /// Appends whole lines. After an error the file has none of them, and the next call tries again.
    ///
    /// # Errors
    /// If the file cannot be opened or written.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self
            .open
            .as_ref()
            .is_some_and(|(_, length)| *length >= self.size)
        {
            self.rotate()?;
        }
        let (mut file, length) = match self.open.take() {
            Some(open) => open,
            None => open(&self.path)?,
        };
        match file.write_all(lines) {
            Ok(()) => {
                self.open = Some((file, length + lines.len() as u64));
                Ok(())
            }
            Err(error) => {
                // A part of the lines may be there.
                let _ = file.set_len(length);
                Err(error)
            }
        }
    }

    /// Whether the file is open or can be opened.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn check(&mut self) -> io::Result<()> {
        self.append(&[])
    }

    /// Opens the file again at the next write: another program has moved it.
    pub fn reopen(&mut self) {
        self.open = None;
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        if self.files == 1 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.files - 1).rev() {
            let from = self.numbered(number);
            if from.exists() {
                fs::rename(from, self.numbered(number + 1))?;
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok((file, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_rotate_by_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flows.json");
        let mut log = RotatingFile::new(&path, 8, 3);
        for line in ["one one\n", "two two\n", "three\n", "+\n", "four\n"] {
            log.append(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("flows.json"), "four\n");
        assert_eq!(read("flows.json.1"), "three\n+\n");
        assert_eq!(read("flows.json.2"), "two two\n");
        assert!(!folder.path().join("flows.json.3").exists());
    }

    #[test]
    fn a_missing_folder_is_an_error_for_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/flows.json");
        let mut log = RotatingFile::new(&path, 100, 2);
        log.append(b"lost\n").unwrap_err();
        fs::create_dir(folder.path().join("later")).unwrap();
        log.append(b"kept\n").unwrap();
        // Moved by another program: the file is made anew after `reopen`.
        fs::rename(&path, folder.path().join("moved")).unwrap();
        log.reopen();
        log.append(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
    }

    #[test]
    fn a_full_disk_leaves_whole_lines() {
        let mut log = RotatingFile::new(Path::new("/dev/full"), 100, 2);
        log.append(b"line\n").unwrap_err();
        log.check().unwrap_err();
    }
}
