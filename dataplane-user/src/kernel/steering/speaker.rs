//! Words of shards, said at once: also while a change is made, which has [`super::Steering`] for itself meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aya::maps::{Array, Map, MapData};

use super::Steering;
use crate::kernel::KernelError;
use crate::kernel::counter_set::open_map;
use crate::kernel::pins;

/// The name of the map, in the object and among the pins.
const WORDS: &str = "SHARD_WORDS";

/// Says words to all counter sets that are pinned when it speaks.
#[derive(Clone, Debug)]
pub struct Speaker(PathBuf);

impl Speaker {
    /// Sets the words of some shards; an index beyond a set is left out there. Words of keys, and of other shards, stay.
    ///
    /// # Errors
    /// The kernel does not let a map be written.
    pub fn say(&self, words: &BTreeMap<u32, u64>) -> Result<(), KernelError> {
        for set in pins::counter_sets(&self.0)? {
            let path = set.join(WORDS);
            // One that is just being made gets its words by whoever makes it, and again after that.
            if !path.exists() {
                continue;
            }
            let (map, entries) = open_map(&path, WORDS, Some(size_of::<u64>()))?;
            let Map::Array(data) = map else { continue };
            let mut map: Array<MapData, u64> = Map::Array(data)
                .try_into()
                .map_err(|error| KernelError::other("use the words of shards", error))?;
            for (index, word) in words.range(..entries) {
                map.set(*index, *word, 0)
                    .map_err(|error| KernelError::other("write a word of a shard", error))?;
            }
        }
        Ok(())
    }
}

impl Steering {
    /// Who says words of shards at once.
    pub fn speaker(&self) -> Speaker {
        Speaker(self.pins.root().to_owned())
    }
}
