//! Directories that other users may not change. A user with write access could remove or replace
//! pins and locks.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;
const OTHERS: u32 = 0o077;

/// Creates a directory that only this user may access, unless it exists, and checks that no other
/// user can change it or a directory above it.
///
/// # Errors
/// With the path, the problem, and the command that corrects it.
pub fn make_private(path: &Path) -> Result<(), String> {
    make(path, 0o700)?;
    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if metadata.mode() & OTHERS != 0 {
        // An earlier version created it with this mode. Other users could not write to it.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(|error| format!("cannot make it private: {error}"))?;
    }
    Ok(())
}

/// As [`make_private`], but other users may read the directory.
///
/// # Errors
/// As [`make_private`].
pub fn make_public(path: &Path) -> Result<(), String> {
    make(path, 0o755)
}

fn make(path: &Path, mode: u32) -> Result<(), String> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    // The directories above are checked before anything is created in them.
    check(&path)?;
    let made = DirBuilder::new().recursive(true).mode(mode).create(&path);
    made.map_err(|error| format!("cannot create it: {error}"))?;
    check(&path)
}

/// Checks every component of the path that exists.
fn check(path: &Path) -> Result<(), String> {
    let mut at = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            return Err(format!(
                "{} contains ..; use a path without it",
                path.display()
            ));
        }
        at.push(component);
        match fs::symlink_metadata(&at) {
            Ok(metadata) => check_component(&at, &metadata, at == path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("{}: {error}", at.display())),
        }
    }
    Ok(())
}

/// A path, quoted as an argument of a shell command.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

fn check_component(path: &Path, metadata: &Metadata, is_last: bool) -> Result<(), String> {
    let shown = path.display();
    if metadata.file_type().is_symlink() {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        return Err(format!(
            "{shown} is a symbolic link, which can be redirected; use its target: {}",
            target.display()
        ));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(format!(
            "{shown} belongs to user {owner}, who can change its contents; correct it with: chown \
             root: {}",
            quoted(path)
        ));
    }
    // In a sticky directory other users can create files, but not remove or rename ours.
    let open = metadata.mode() & OTHERS_WRITE != 0;
    if open && (is_last || metadata.mode() & STICKY == 0) {
        return Err(format!(
            "{shown} is writable by other users (mode {:04o}); correct it with: chmod go-w {}",
            metadata.mode() & 0o7777,
            quoted(path)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn directories_that_others_can_change_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(directory.path()).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let own = base.join("a/b");
        make_private(&own).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().mode() & 0o7777, 0o700);
        mode(&own, 0o755);
        make_private(&own).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().mode() & 0o7777, 0o700);
        mode(&own, 0o770);
        assert!(make_private(&own).unwrap_err().contains("chmod go-w"));
        mode(&own, 0o700);
        mode(&base.join("a"), 0o777);
        assert!(make_private(&own).unwrap_err().contains("chmod go-w"));
        mode(&base.join("a"), 0o1777);
        make_private(&own).unwrap();
        symlink(&own, base.join("link")).unwrap();
        let error = make_public(&base.join("link/c")).unwrap_err();
        assert!(error.contains("is a symbolic link"), "{error}");
        assert!(make_public(&base.join("a/../a/b")).is_err());
    }
}
