//! The demo's files: one directory, one lock, at fixed places, so that a run finds and removes what a
//! killed one left.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::DemoError;

/// Holds the lock and the directory; both are gone when it is dropped.
pub(super) struct Place {
    directory: PathBuf,
    lock: PathBuf,
    /// Last, so that it is let go when everything else is gone.
    _held: Flock<File>,
}

impl Place {
    /// Takes the lock, removes what a killed run left, and makes the directory.
    ///
    /// # Errors
    /// Another demo runs, or the files cannot be made.
    pub(super) fn take() -> Result<Self, DemoError> {
        let run = Path::new("/run");
        let base = if run.is_dir() { run.to_owned() } else { std::env::temp_dir() };
        let lock = base.join("keysteer-demo.lock");
        let held = lock_at(&lock)?;
        let directory = base.join("keysteer-demo");
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(DemoError::at(format_args!("remove {}", directory.display()))(error));
            }
            _ => {}
        }
        // Fails when somebody else makes it meanwhile: what is in it is ours alone.
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(DemoError::at(format_args!("make {}", directory.display())))?;
        Ok(Self { directory, lock, _held: held })
    }

    /// A file in the directory.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run.
        let _ = fs::remove_dir_all(&self.directory);
        let _ = fs::remove_file(&self.lock);
    }
}

fn lock_at(path: &Path) -> Result<Flock<File>, DemoError> {
    let failed = |cause: io::Error| DemoError::at(format_args!("lock {}", path.display()))(cause);
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        let held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => held,
            Err((_, Errno::EWOULDBLOCK)) => return Err(DemoError::Busy { path: path.to_owned() }),
            Err((_, error)) => return Err(failed(error.into())),
        };
        // A run that ended between our open and our lock has removed the file that we hold.
        let ours = held.metadata().map_err(failed)?;
        match fs::metadata(path) {
            Ok(there) if there.ino() == ours.ino() && there.dev() == ours.dev() => return Ok(held),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
