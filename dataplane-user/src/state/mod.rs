//! What outlives the agent, in its state directory (`/var/lib/keysteer`, mode 0700): the secrets that
//! hashes are seeded with, and the ids that keys were given.

pub mod key_ids;
pub mod secrets;

pub use key_ids::KeyIds;
pub use secrets::Secrets;

use std::io;
use std::path::{Path, PathBuf};

/// Where the state is, unless the command line says otherwise.
pub const DEFAULT_DIRECTORY: &str = "/var/lib/keysteer";

/// What a policy is compiled with where no agent runs: the secrets and ids of a node's state directory, or fixed secrets of
/// no node and ids from 1. Nothing is written.
///
/// # Errors
/// The directory cannot be read.
pub fn for_trial(directory: Option<&Path>) -> Result<(Secrets, KeyIds), StateError> {
    match directory {
        Some(directory) => Ok((Secrets::read(directory)?, KeyIds::open(directory)?)),
        None => Ok((Secrets::from_bytes(&[0; 32]), KeyIds::default())),
    }
}

/// The state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory operation failed.
    #[error("cannot {operation} {}: {cause}; check that the directory exists and is writable by this user, or choose another with --state-dir", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged: {what}; restore it from a copy, or move it away to start anew ({consequence})", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What starting anew means.
        consequence: &'static str,
    },
}
