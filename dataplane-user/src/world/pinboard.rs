//! A BPF file system of a world's own, for what an agent in it pins: in a mount namespace that is held by a descriptor, so
//! that the pins vanish with the process that made the world, also after `kill -9`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::WorldError;

/// A mount namespace with a BPF file system of its own.
#[derive(Clone, Debug)]
pub struct Pinboard {
    held: Arc<File>,
    directory: PathBuf,
}

impl Pinboard {
    /// Mounts a BPF file system over `directory`, which is there, in a new mount namespace that only this and what is put
    /// inside see.
    ///
    /// # Errors
    /// The process may not mount.
    pub fn new(directory: &Path) -> Result<Self, WorldError> {
        let target = directory.to_owned();
        let make = move || -> io::Result<File> {
            unshare(CloneFlags::CLONE_NEWNS)?;
            let nothing = None::<&str>;
            mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
            mount(Some("bpf"), &target, Some("bpf"), MsFlags::empty(), Some("mode=0700"))?;
            File::open("/proc/thread-self/ns/mnt")
        };
        let held = thread::Builder::new()
            .name("new pinboard".to_owned())
            .spawn(make)
            .and_then(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .map_err(WorldError::at("mount a BPF file system"))?;
        Ok(Self { held: Arc::new(held), directory: directory.to_owned() })
    }

    /// Where the file system is, inside.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes `command` start inside.
    pub fn put<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let held = Arc::clone(&self.held);
        // SAFETY: between fork and exec the closure makes one system call on a descriptor that it owns; it takes no lock
        // and allocates nothing.
        unsafe { command.pre_exec(move || Ok(setns(held.as_fd(), CloneFlags::CLONE_NEWNS)?)) }
    }

    /// Runs `work` inside, on a thread of its own, and waits for it. A panic inside goes on outside.
    ///
    /// # Errors
    /// The thread cannot be made or cannot enter.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, WorldError> {
        let enter = || -> io::Result<()> {
            // A thread that shares its root directory with others cannot enter another mount namespace.
            unshare(CloneFlags::CLONE_FS)?;
            Ok(setns(self.held.as_fd(), CloneFlags::CLONE_NEWNS)?)
        };
        thread::scope(|scope| {
            thread::Builder::new()
                .name("pinboard".to_owned())
                .spawn_scoped(scope, || enter().map(|()| work()))
                .and_then(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
        .map_err(WorldError::at("enter the mount namespace of a pinboard"))
    }
}
