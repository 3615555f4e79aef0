//! Whether `rules.json` can be read: looked at again only if the file has changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bailey_state::rule_ids::RuleNames;

/// Inode, size, and time of the last change in seconds and nanoseconds.
type FileStamp = (u64, u64, i64, i64);

/// The last look at the file.
#[derive(Debug, Default)]
pub(crate) struct RuleFileCheck(Mutex<Option<(FileStamp, Option<String>)>>);

impl RuleFileCheck {
    /// Why the file of a state directory cannot be read; `None` if it can.
    pub(crate) fn error(&self, state: &Path) -> Option<String> {
        let metadata = match fs::metadata(RuleNames::path(state)) {
            Ok(metadata) => metadata,
            Err(error) => return Some(error.to_string()),
        };
        let stamp = (
            metadata.ino(),
            metadata.size(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        );
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((seen, error)) if *seen == stamp => error.clone(),
            _ => {
                let error = RuleNames::read(state).err().map(|error| error.to_string());
                *known = Some((stamp, error.clone()));
                error
            }
        }
    }
}
