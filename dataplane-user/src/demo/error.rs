//! Why the demo failed.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use crate::control::client::ClientError;
use crate::world::WorldError;

/// The demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Not root, and no sudo.
    #[error("the demo needs root, and sudo cannot be started ({cause}): run `{command}` as root")]
    NotRoot {
        /// The command, as it was given.
        command: String,
        /// Why there is no sudo.
        #[source]
        cause: io::Error,
    },
    /// Another demo runs.
    #[error("another demo is running (it holds {}): wait until it ends, or stop it with ctrl-C", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// A file or process operation failed.
    #[error("cannot {operation}: {cause}")]
    System {
        /// What was tried.
        operation: String,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// The world failed.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The agent did not start, or ended.
    #[error("the agent {what}; its last words were:\n{log}")]
    Agent {
        /// What it did.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// The agent did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The policy could not be compiled on the host.
    #[error("the host engine cannot compile the demo's policy: {0}")]
    Policy(String),
    /// The wrong table entries could not be planted.
    #[error("cannot plant wrong slots: {0}")]
    Plant(String),
    /// Something that was to be proved does not hold.
    #[error("{failed} of {proofs} proofs failed: what differed is printed above")]
    NotProved {
        /// How many do not hold.
        failed: usize,
        /// How many there are.
        proofs: usize,
    },
    /// A signal asked for the end.
    #[error("interrupted; everything is cleaned up")]
    Interrupted,
}

impl DemoError {
    /// A failed operation, for `map_err`.
    pub(super) fn at<E: Into<io::Error>>(operation: impl Display) -> impl FnOnce(E) -> Self {
        move |cause| Self::System { operation: operation.to_string(), cause: cause.into() }
    }

    /// The exit code that belongs to it.
    pub fn exit_code(&self) -> u8 {
        match self {
            // 128 and the number of SIGINT, as shells have it.
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}
