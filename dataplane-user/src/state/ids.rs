//! Both registries of what counters are kept by: key ids and shard indices.

use std::path::Path;

use super::{KeyIds, ShardIds, StateError};

/// The ids of keys and the indices of shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// By identity.
    pub keys: KeyIds,
    /// By name.
    pub shards: ShardIds,
}

impl Ids {
    /// The ids kept in a state directory; none yet on first use.
    ///
    /// # Errors
    /// A file cannot be read, or contradicts itself.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        Ok(Self { keys: KeyIds::open(directory)?, shards: ShardIds::open(directory)? })
    }

    /// Writes what is new to a state directory.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&mut self, directory: &Path) -> Result<(), StateError> {
        self.keys.save(directory)?;
        self.shards.save(directory)
    }
}
