//! Why the agent did not start, or stopped.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::meter::Cause;
use super::privilege::PrivilegeError;
use super::steward::ChangeError;
use crate::control::socket::SocketError;
use crate::state::StateError;

/// Why the agent did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Capabilities are missing.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// The node could not be taken over, or the policy not be applied.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another agent uses the state directory.
    #[error(
        "another agent uses the state directory {}: stop it first, or give this one its own --state-dir; two would give one id to two keys",
        path.display()
    )]
    StateInUse {
        /// The directory.
        path: PathBuf,
    },
    /// The control socket cannot be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The metrics port cannot be had.
    #[error("cannot serve metrics on {address}: {cause}; choose another address with --metrics-address")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// What is pinned cannot be used.
    #[error("{0}")]
    Load(Cause),
    /// The process could not be set up.
    #[error("cannot {operation}: {cause}")]
    Process {
        /// What was tried.
        operation: &'static str,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
}
