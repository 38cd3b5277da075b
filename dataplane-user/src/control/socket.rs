//! The socket file: made so that nobody but its owner can ever connect, and so that an agent that runs
//! is never displaced by a second one.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket, sockopt,
};

/// How many clients may wait to be accepted.
const WAITING: i32 = 64;

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// An agent answers there.
    #[error(
        "another agent{} already listens on {}; stop it first, or give this one its own --socket and --state-dir",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path.display()
    )]
    Live {
        /// The socket.
        path: PathBuf,
        /// Who listens, where the kernel tells.
        pid: Option<i32>,
    },
    /// Something else has that name.
    #[error("{} exists and is not a socket; move it away, or choose another place with --socket", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// An operation failed.
    #[error("cannot {operation} {}: {cause}; choose another place with --socket", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
}

/// A socket that listens; its file is removed on drop, unless somebody else's has taken its place.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
}

impl Socket {
    /// Listens at `path`, with mode 0600. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// Another agent listens there, the name is taken, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed =
            |operation| move |cause: io::Error| SocketError::Io { operation, path: path.to_owned(), cause };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o755).create(parent).map_err(failed("make the directory of"))?;
        }
        clear(path)?;
        // A socket that is bound and does not listen yet refuses everybody: there is no moment at which
        // it could be connected to with the mode that the umask gave it.
        let none = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, none, None)
            .map_err(|errno| failed("make the socket")(errno.into()))?;
        let address = UnixAddr::new(path).map_err(|errno| failed("name the socket")(errno.into()))?;
        bind(fd.as_raw_fd(), &address).map_err(|errno| failed("bind")(errno.into()))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("look at"))?;
        let identity = (metadata.dev(), metadata.ino());
        // From here on a failure removes the file again.
        let bound = Self { listener: UnixListener::from(fd), path: path.to_owned(), identity };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed("protect"))?;
        let backlog = Backlog::new(WAITING).map_err(|errno| failed("listen on")(errno.into()))?;
        listen(&bound.listener, backlog).map_err(|errno| failed("listen on")(errno.into()))?;
        Ok(bound)
    }

    /// A second handle of the listener, for the server; the file stays this one's to remove.
    ///
    /// # Errors
    /// Too many open files.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket's file could not be removed");
        }
    }
}

/// Makes way for a new socket at `path`: removes one that nobody listens on.
fn clear(path: &Path) -> Result<(), SocketError> {
    let failed =
        |operation| move |cause: io::Error| SocketError::Io { operation, path: path.to_owned(), cause };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed("look at")(cause)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(stream) => Err(SocketError::Live { path: path.to_owned(), pid: peer(&stream) }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::warn!(path = %path.display(), "replacing the socket of an agent that died");
            fs::remove_file(path).map_err(failed("remove the stale socket"))
        }
        Err(cause) => Err(failed("connect to")(cause)),
    }
}

/// The process that listens at the other end. The kernel is asked, not the agent: one that hangs is to
/// be named as well. It is 0 for a process of another pid namespace.
fn peer(stream: &UnixStream) -> Option<i32> {
    getsockopt(stream, sockopt::PeerCredentials).ok().map(|peer| peer.pid()).filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_private_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/agent.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_names_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _socket = Socket::bind(&path).unwrap();
        let error = Socket::bind(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        assert!(error.contains("--socket"), "{error}");
    }

    #[test]
    fn a_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_successors_socket_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let first = Socket::bind(&path).unwrap();
        fs::rename(&path, directory.path().join("old")).unwrap();
        let _second = Socket::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }
}
