//! A name for a namespace under `/run/netns`, where `ip netns exec` and `nsenter --net=` look.
//!
//! `ip netns add` binds a mount there, which would keep the namespace alive when this process is
//! killed. A symbolic link to our descriptor serves the same tools and leads nowhere once we are gone.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Namespace, WorldError};

/// Where names of network namespaces are.
const DIRECTORY: &str = "/run/netns";

/// A name that is removed on drop.
#[derive(Debug)]
pub struct Name {
    path: PathBuf,
}

impl Name {
    /// Where the name is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes a name that a killed process left behind. Anything but a symbolic link is somebody
    /// else's and stays.
    ///
    /// # Errors
    /// The link is there and cannot be removed.
    pub fn remove_leftover(name: &str) -> Result<(), WorldError> {
        let path = Path::new(DIRECTORY).join(name);
        remove_link(&path).map_err(WorldError::at(format_args!("remove {}", path.display())))?;
        remove_directory();
        Ok(())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // What cannot be removed leads nowhere; the next run tries again.
        let _ = remove_link(&self.path);
        remove_directory();
    }
}

impl Namespace {
    /// Names the namespace for other tools, as long as the guard lives.
    ///
    /// # Errors
    /// The name is taken, or `/run/netns` cannot be written.
    pub fn name(&self, name: &str) -> Result<Name, WorldError> {
        let path = Path::new(DIRECTORY).join(name);
        fs::create_dir_all(DIRECTORY)
            .and_then(|()| symlink(self.path(), &path))
            .map_err(WorldError::at(format_args!("name a network namespace {}", path.display())))?;
        Ok(Name { path })
    }
}

/// Removes the directory when it is empty, as we may have found it absent; `ip netns` makes it anew.
fn remove_directory() {
    // Not empty, or mounted on: it stays.
    let _ = fs::remove_dir(DIRECTORY);
}

fn remove_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
