//! Records of a node that steers by generations which its records do not know: they were lost, or are an older copy.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::bundles::bundles;
use super::{Body, DIRECTORY, FILE, Generations, RECORDS, Status};
use crate::state::{StateError, disk};

impl Generations {
    /// Begins without records: the next generation is `next`, or above any whose bundle is there. The records that are
    /// there are replaced; bundles stay readable until the next pruning.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn anew(state: &Path, next: u64) -> Result<Self, StateError> {
        let directory = state.join(DIRECTORY);
        let most = bundles(&directory)?.into_iter().filter_map(|(number, _)| number).max();
        let next = next.max(most.map_or(1, |most| most.saturating_add(1)));
        disk::make_directory(&directory)?;
        RECORDS.write_json(&directory.join(FILE), &Body { next, records: Vec::new() })?;
        Ok(Self { directory, next, records: BTreeMap::new() })
    }

    /// Goes on above generations that the records do not know: what they call live steers no more. The next generation is
    /// `next`, unless it was above that before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn overtake(&mut self, next: u64) -> Result<(), StateError> {
        self.change(self.next.max(next), |records| {
            for record in records.values_mut() {
                if matches!(record.status, Status::Live | Status::Last | Status::Prepared) {
                    record.status = Status::Retired;
                }
            }
            Ok(())
        })
    }

    /// The bundle of a generation, whatever the records say of it.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn bundle_of<T: DeserializeOwned>(state: &Path, number: u64) -> Result<T, StateError> {
        let unread = Self { directory: state.join(DIRECTORY), next: 1, records: BTreeMap::new() };
        unread.bundle(number)
    }

    /// How many ids of keys and indices of shards were given when a generation was made, at most.
    pub fn given(&self) -> (u32, u16) {
        self.iter().fold((0, 0), |(keys, shards), it| (keys.max(it.key_ids), shards.max(it.shard_ids)))
    }
}
