//! The few file operations that the state is changed by. Everything that writes goes through here, so that tests can stop
//! before each of them, and can work out what a power cut leaves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::StateError;

/// One operation; it counts as done when it returns, and is on the disk once what it touched was synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation<'b> {
    /// A file is made, or made empty, and written.
    Create(&'b Path, &'b [&'b [u8]]),
    /// Bytes are put to the end of a file, which is made if need be.
    Append(&'b Path, &'b [u8]),
    /// A file is cut.
    Truncate(&'b Path, u64),
    /// A file's content is on the disk when this returns.
    Sync(&'b Path),
    /// A file takes the place of another.
    Rename(&'b Path, &'b Path),
    /// A file goes.
    Remove(&'b Path),
    /// A directory is made.
    MakeDirectory(&'b Path),
    /// A directory's entries are on the disk when this returns.
    SyncDirectory(&'b Path),
}

/// Whether an operation is to be done; tests can think otherwise.
#[cfg(not(test))]
fn about_to(_: &Operation<'_>) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
use super::crash::about_to;

fn perform(operation: &Operation<'_>) -> io::Result<()> {
    if !about_to(operation)? {
        return Ok(());
    }
    match *operation {
        Operation::Create(path, parts) => {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
            parts.iter().try_for_each(|part| file.write_all(part))
        }
        Operation::Append(path, bytes) => {
            OpenOptions::new().append(true).create(true).mode(0o600).open(path)?.write_all(bytes)
        }
        Operation::Truncate(path, length) => OpenOptions::new().write(true).open(path)?.set_len(length),
        Operation::Sync(path) | Operation::SyncDirectory(path) => File::open(path)?.sync_all(),
        Operation::Rename(from, to) => fs::rename(from, to),
        Operation::Remove(path) => fs::remove_file(path),
        Operation::MakeDirectory(path) => fs::DirBuilder::new().recursive(true).mode(0o700).create(path),
    }
}

fn run(verb: &'static str, path: &Path, operation: &Operation<'_>) -> Result<(), StateError> {
    perform(operation).map_err(|cause| StateError::Io { operation: verb, path: path.to_owned(), cause })
}

/// The directory that a file is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Where a file's new content is before it takes the file's place. What a crash leaves there means nothing.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Puts `parts` into the file `path`, mode 0600. A crash at any moment leaves the old content or the new; when this returns
/// the new is on the disk.
pub(super) fn replace(path: &Path, parts: &[&[u8]]) -> Result<(), StateError> {
    let new = temporary(path);
    let written = run("write", &new, &Operation::Create(&new, parts))
        .and_then(|()| run("sync", &new, &Operation::Sync(&new)))
        .and_then(|()| run("replace", path, &Operation::Rename(&new, path)));
    if written.is_err() {
        // A full disk is not to be kept full by what nobody will read.
        let _ = perform(&Operation::Remove(&new));
    }
    written?;
    sync_directory(parent(path))
}

/// Puts `bytes` to the end of the file `path`, which is made if need be, and on the disk.
pub(super) fn append(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let is_new = !path.exists();
    run("append to", path, &Operation::Append(path, bytes))?;
    run("sync", path, &Operation::Sync(path))?;
    if is_new { sync_directory(parent(path)) } else { Ok(()) }
}

/// Takes a file or directory out of the way: it keeps its name, with `suffix` behind. Says where it is now; `None` where
/// there is none.
pub(super) fn set_aside(path: &Path, suffix: &str) -> Result<Option<PathBuf>, StateError> {
    if !path.exists() {
        return Ok(None);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    let aside = PathBuf::from(name);
    run("move aside", path, &Operation::Rename(path, &aside))?;
    sync_directory(parent(path))?;
    Ok(Some(aside))
}

/// Cuts the file `path` to `length` bytes, on the disk.
pub(super) fn truncate(path: &Path, length: u64) -> Result<(), StateError> {
    run("cut", path, &Operation::Truncate(path, length))?;
    run("sync", path, &Operation::Sync(path))
}

/// Removes a file; that it is gone already is no error. Not synced: for what nobody would miss or mind.
pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    match run("remove", path, &Operation::Remove(path)) {
        Err(StateError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes a directory with mode 0700, where there is none.
pub(super) fn make_directory(path: &Path) -> Result<(), StateError> {
    if path.is_dir() {
        return Ok(());
    }
    run("make the directory", path, &Operation::MakeDirectory(path))?;
    sync_directory(parent(path))
}

fn sync_directory(path: &Path) -> Result<(), StateError> {
    run("sync the directory", path, &Operation::SyncDirectory(path))
}

/// The content of a file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(StateError::Io { operation: "read", path: path.to_owned(), cause }),
    }
}
