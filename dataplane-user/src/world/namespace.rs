//! A network namespace held by a file descriptor. The caller's own namespace never changes: what has
//! to happen inside happens on a thread of its own, or in a child before it becomes its program.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns, unshare};

use super::WorldError;
use super::tune::up_loopback;

/// An anonymous network namespace. It lives until the last descriptor, thread and process in it is gone.
#[derive(Clone, Debug)]
pub struct Namespace {
    held: Arc<File>,
    label: String,
}

impl Namespace {
    /// A new namespace, with `lo` up. `label` is what error messages call it.
    ///
    /// # Errors
    /// The process may not make one, or the kernel has no namespaces.
    pub fn new(label: &str) -> Result<Self, WorldError> {
        let make = || -> io::Result<File> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let held = File::open("/proc/thread-self/ns/net")?;
            up_loopback()?;
            Ok(held)
        };
        let thread = thread::Builder::new().name(format!("new {label}")).spawn(make);
        let held = thread
            .and_then(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .map_err(WorldError::at(format_args!("make the network namespace `{label}`")))?;
        Ok(Self { held: Arc::new(held), label: label.to_owned() })
    }

    /// What error messages call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The descriptor that holds it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }

    /// Runs `work` inside, on a thread of its own, and waits for it. A panic inside goes on outside.
    ///
    /// # Errors
    /// The thread cannot be made or cannot enter.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, WorldError> {
        thread::scope(|scope| {
            thread::Builder::new()
                .name(self.label.clone())
                .spawn_scoped(scope, || self.enter().map(|()| work()))
                .and_then(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
        .map_err(WorldError::at(format_args!("enter the network namespace `{}`", self.label)))
    }

    /// Runs a future inside, on a runtime and a thread of its own, and waits for it. The sockets that
    /// the future opens belong to the namespace.
    ///
    /// # Errors
    /// The thread or the runtime cannot be made, or the thread cannot enter.
    pub fn block_on<F>(&self, make: impl FnOnce() -> F + Send) -> Result<F::Output, WorldError>
    where
        F: Future<Output: Send>,
    {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok::<_, io::Error>(runtime.block_on(make()))
        })?
        .map_err(WorldError::at(format_args!("start a runtime in `{}`", self.label)))
    }

    /// Runs `work` inside, on a thread that goes on by itself.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<JoinHandle<io::Result<T>>, WorldError> {
        let inside = self.clone();
        thread::Builder::new()
            .name(self.label.clone())
            .spawn(move || inside.enter().and_then(|()| work()))
            .map_err(WorldError::at(format_args!("start a thread in `{}`", self.label)))
    }

    /// Makes `command` start inside.
    pub fn put<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let held = Arc::clone(&self.held);
        // SAFETY: between fork and exec the closure makes one system call on a descriptor that it
        // owns; it takes no lock and allocates nothing (an `Errno` becomes an `io::Error` by number).
        unsafe { command.pre_exec(move || Ok(setns(held.as_fd(), CloneFlags::CLONE_NEWNET)?)) }
    }

    /// The path by which other processes can open it while this one lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.held.as_raw_fd())
    }

    fn enter(&self) -> io::Result<()> {
        Ok(setns(self.fd(), CloneFlags::CLONE_NEWNET)?)
    }
}
