//! What outlives the agent, in its state directory (`/var/lib/keysteer`, mode 0700): the secrets that hashes are seeded with,
//! the ids that keys and shards were given, the generations, the overlay and the audit log. `docs/state.md` tells what is in
//! each file.
//!
//! ```text
//!  disk         the operations that change a file; all writes go through it
//!  file         the frame: kind, version, length and checksum before the body; replaced whole
//!  key_ids      identity -> id, a million of them        shard_ids    name -> index
//!  generations  records and bundles                      overlay      what operators said
//!  audit        who changed what: a hash-chained log     secrets      seeds
//!  followed     which policy file was taken up last      part         each of these by itself, to be taken out of the way
//!  time, who    moments and askers
//! ```
//!
//! One process writes at a time (the agent holds the directory's lock); reading needs no lock.

pub mod audit;
#[cfg(test)]
pub(crate) mod crash;
mod disk;
#[cfg(test)]
mod fault_tests;
mod file;
pub mod followed;
pub mod generations;
mod ids;
pub mod key_ids;
pub mod overlay;
mod part;
#[cfg(test)]
mod published_tests;
pub mod secrets;
pub mod shard_ids;
pub mod time;
mod who;

pub use audit::Audit;
pub use generations::Generations;
pub use ids::Ids;
pub use key_ids::KeyIds;
pub use overlay::Overlay;
pub use part::Part;
pub use secrets::Secrets;
pub use shard_ids::ShardIds;
pub use time::Timestamp;
pub use who::Who;

use std::io;
use std::path::{Path, PathBuf};

/// Where the state is, unless the command line says otherwise.
pub const DEFAULT_DIRECTORY: &str = "/var/lib/keysteer";

/// What a policy is compiled with where no agent runs: the secrets and ids of a node's state directory, or secrets of
/// no node ([`Secrets::of_no_node`]) and ids from 1. Nothing is written.
///
/// # Errors
/// The directory cannot be read.
pub fn for_trial(directory: Option<&Path>) -> Result<(Secrets, Ids), StateError> {
    match directory {
        Some(directory) => Ok((Secrets::read(directory)?, Ids::open(directory)?)),
        None => Ok((Secrets::of_no_node()?, Ids::default())),
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
    /// A file is of a version that this build does not know.
    #[error(
        "{} was written by a later keysteer (its version is {found}, this one knows up to {known}): run that one, or restore the state directory as it was before the upgrade",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// A generation cannot be what was asked for.
    #[error("generation {number} {what}; `keysteer status` shows the generations")]
    Generation {
        /// Its number.
        number: u64,
        /// What stands in the way.
        what: String,
    },
}

impl StateError {
    fn generation(number: u64, what: impl Into<String>) -> Self {
        Self::Generation { number, what: what.into() }
    }
}
