//! The state directory of a running agent: private, and used by one agent at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::AgentError;
use crate::state::StateError;

/// The file whose lock says that the directory is in use. The lock ends with the process, however it
/// ends.
const LOCK: &str = "lock";

/// An open state directory; in use by this process until dropped.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    _lock: File,
}

impl StateDirectory {
    /// Opens the directory, and makes it with mode 0700 on first use.
    ///
    /// # Errors
    /// It cannot be made or written, or another agent uses it.
    pub fn open(path: &Path) -> Result<Self, AgentError> {
        let failed =
            |operation| move |cause: io::Error| StateError::Io { operation, path: path.to_owned(), cause };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create"))?;
        let lock = File::create(path.join(LOCK)).map_err(failed("write in"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(AgentError::StateInUse { path: path.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(failed("lock")(cause).into()),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_private_and_has_one_user() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = StateDirectory::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(StateDirectory::open(&path), Err(AgentError::StateInUse { .. })));
        drop(first);
        assert!(StateDirectory::open(&path).is_ok());
    }
}
