//! Why the agent did not start, or stopped.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::meter::Cause;
use super::privilege::PrivilegeError;
use crate::control::socket::SocketError;
use crate::state::StateError;

/// Why the agent did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Capabilities are missing.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// The policy is not valid; the cause lists every problem, one a line.
    #[error("{0}")]
    Policy(Cause),
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
    /// The policy does not fit this host.
    #[error("{0}")]
    Compile(Cause),
    /// The kernel did not take the program or its maps.
    #[error("{0}")]
    Load(Cause),
    /// The program could not be attached; the cause names the interface.
    #[error("{0}; nothing is left attached")]
    Attach(Cause),
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
