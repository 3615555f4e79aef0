//! Which files a path stands for, the stamps that detect changes, and reading text with a limit.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The files of a list of paths, each with its stamp at the time of listing.
///
/// A directory stands for its `.yaml`, `.yml` and `.json` files, as in kubectl. Files and
/// directories whose names start with a dot are skipped: lock files and backups of editors, `.git`,
/// and the data directory of a mounted ConfigMap, whose files are visible as symbolic links.
/// Dangling links are skipped too. `-` is standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSet {
    files: BTreeMap<PathBuf, Stamp>,
    /// Given directories that contain no file to read.
    empty_directories: Vec<PathBuf>,
}

/// Identity and times of a file. Changes whenever the file is replaced or written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Also changes with name, owner and mode, and cannot be set back, unlike `modified`.
    changed: (i64, i64),
}

impl From<&fs::Metadata> for Stamp {
    fn from(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Stamp {
    /// Whether the file was last changed more than `age` before `now`.
    pub(crate) fn is_older_than(&self, now: SystemTime, age: Duration) -> bool {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let Ok(seconds) = u64::try_from(seconds) else {
            return true;
        };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds as u32);
        now.duration_since(changed).is_ok_and(|found| found > age)
    }
}

/// Path of standard input; a file with this name is `./-`.
const STDIN: &str = "-";
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// Deepest nesting of directories. A deeper tree is an error.
const MAX_DEPTH: usize = 64;

impl FileSet {
    /// Lists the files of all paths.
    ///
    /// # Errors
    /// Every path that does not exist or cannot be read, with the reason.
    pub fn list(paths: &[PathBuf], recursive: bool) -> Result<Self, Vec<(PathBuf, io::Error)>> {
        let mut set = Self::default();
        let mut errors = Vec::new();
        for path in paths {
            let before = (set.files.len(), errors.len());
            set.add(path, recursive, &mut Vec::new(), &mut errors);
            if before == (set.files.len(), errors.len()) && path.is_dir() {
                set.empty_directories.push(path.clone());
            }
        }
        if errors.is_empty() {
            Ok(set)
        } else {
            Err(errors)
        }
    }

    /// Adds a file, or the files of a directory. `ancestors` are the (device, inode) pairs of the
    /// directories above the path.
    fn add(
        &mut self,
        path: &Path,
        recursive: bool,
        ancestors: &mut Vec<(u64, u64)>,
        errors: &mut Vec<(PathBuf, io::Error)>,
    ) {
        if path == Path::new(STDIN) {
            self.files.insert(path.to_owned(), Stamp::default());
            return;
        }
        let depth = ancestors.len();
        let result = fs::metadata(path).and_then(|metadata| {
            if metadata.is_dir() {
                return self.add_directory(path, &metadata, recursive, ancestors, errors);
            }
            self.files.insert(path.to_owned(), Stamp::from(&metadata));
            Ok(())
        });
        ancestors.truncate(depth);
        if let Err(error) = result {
            errors.push((path.to_owned(), error));
        }
    }

    fn add_directory(
        &mut self,
        path: &Path,
        metadata: &fs::Metadata,
        recursive: bool,
        ancestors: &mut Vec<(u64, u64)>,
        errors: &mut Vec<(PathBuf, io::Error)>,
    ) -> io::Result<()> {
        if ancestors.len() > MAX_DEPTH {
            return Err(io::Error::other("directories nested too deep"));
        }
        // A symbolic link to an ancestor directory: already being listed.
        let directory = (metadata.dev(), metadata.ino());
        if ancestors.contains(&directory) {
            return Ok(());
        }
        ancestors.push(directory);

        let mut entries: Vec<PathBuf> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        entries.sort();
        for entry in entries {
            if is_hidden(&entry) {
                continue;
            }
            let metadata = match fs::metadata(&entry) {
                // A dangling link, or a file removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata,
            };
            let is_dir = metadata.is_ok_and(|metadata| metadata.is_dir());
            let is_wanted = if is_dir {
                recursive
            } else {
                has_known_extension(&entry)
            };
            if is_wanted {
                self.add(&entry, recursive, ancestors, errors);
            }
        }
        Ok(())
    }

    /// The files, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The files with their stamps.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = (&Path, Stamp)> {
        let files = self.files.iter();
        files.map(|(path, stamp)| (path.as_path(), *stamp))
    }

    /// The given directories that contain no file to read.
    pub fn empty_directories(&self) -> &[PathBuf] {
        &self.empty_directories
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// Whether a file has an extension that is read from directories: yaml, yml or json.
pub fn has_known_extension(path: &Path) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|ext| EXTENSIONS.contains(&ext))
}

/// Whether the name of a path starts with a dot.
pub fn is_hidden(path: &Path) -> bool {
    let name = path.file_name();
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
/// If the file cannot be read, is larger than the limit, or is not UTF-8. The message names the
/// reason.
pub fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    let from: Box<dyn Read> = if path == Path::new(STDIN) {
        Box::new(io::stdin())
    } else {
        let file = File::open(path).map_err(|error| format!("cannot open: {error}"))?;
        Box::new(file)
    };
    let mut bytes = Vec::new();
    from.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!(
            "larger than {limit} bytes; the limit is read.file_bytes = {limit}"
        ));
    }
    if let Some(encoding) = detect_utf16(&bytes) {
        return Err(format!(
            "file is encoded in {encoding}; convert it to UTF-8 (iconv -f {encoding} -t UTF-8)"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "not UTF-8: invalid byte at offset {}",
            error.utf8_error().valid_up_to()
        )
    })
}

/// Detects UTF-16 by its byte order mark, or by zero bytes between ASCII characters.
fn detect_utf16(bytes: &[u8]) -> Option<&'static str> {
    match *bytes {
        [0xff, 0xfe, ..] => Some("UTF-16LE"),
        [0xfe, 0xff, ..] => Some("UTF-16BE"),
        [a, 0, b, 0, ..] if a != 0 && b != 0 => Some("UTF-16LE"),
        [0, a, 0, b, ..] if a != 0 && b != 0 => Some("UTF-16BE"),
        _ => None,
    }
}
