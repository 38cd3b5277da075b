//! The overlay as it is kept: what operators said of keys and shards beside the policy. It is of no generation, so that
//! no rollback takes a word back; it survives restarts, and a word may have an end.
//!
//! Keys are named by identity (see [`crate::compile::identity`]), so that renaming a key does not free it; shards by name.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::file::Kind;
use super::{StateError, Timestamp, Who};
use crate::fault::{self, Step};

/// File name inside the state directory.
pub(super) const FILE: &str = "overlay";

const KIND: Kind = Kind {
    name: "overlay",
    version: 1,
    consequence: "what operators said is forgotten: keys that they denied are steered again, shards that they disabled are used \
                  again",
};

/// What can be said of a key. It is stronger than the policy's own `deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyWord {
    /// Its packets are dropped.
    Deny,
    /// It is steered, also where the policy denies it.
    Allow,
}

/// What can be said of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShardWord {
    /// Nothing is sent to it.
    Disabled,
}

/// Something that was said, with its circumstances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Word<W> {
    /// What was said.
    pub word: W,
    /// Why, in the words of who said it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Who said it.
    pub by: Who,
    /// When.
    pub since: Timestamp,
    /// When it ends; without, it stands until it is taken back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
}

impl<W> Word<W> {
    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// All words that stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    keys: BTreeMap<String, Word<KeyWord>>,
    shards: BTreeMap<String, Word<ShardWord>>,
}

/// Words whose time is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Of keys, by identity.
    pub keys: Vec<(String, Word<KeyWord>)>,
    /// Of shards, by name.
    pub shards: Vec<(String, Word<ShardWord>)>,
}

impl Expired {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.shards.is_empty()
    }
}

impl Overlay {
    /// What stands for the key of an identity. Its time may be over: see [`Overlay::expired`].
    pub fn key(&self, identity: &str) -> Option<&Word<KeyWord>> {
        self.keys.get(identity)
    }

    /// What stands for a shard. Its time may be over: see [`Overlay::expired`].
    pub fn shard(&self, name: &str) -> Option<&Word<ShardWord>> {
        self.shards.get(name)
    }

    /// All words of keys, by identity.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (&str, &Word<KeyWord>)> {
        self.keys.iter().map(|(identity, word)| (identity.as_str(), word))
    }

    /// All words of shards, by name.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = (&str, &Word<ShardWord>)> {
        self.shards.iter().map(|(name, word)| (name.as_str(), word))
    }

    /// Says something of the key of an identity; what stood before is returned.
    pub fn set_key(&mut self, identity: &str, word: Word<KeyWord>) -> Option<Word<KeyWord>> {
        self.keys.insert(identity.to_owned(), word)
    }

    /// Takes back what was said of the key of an identity; what stood is returned.
    pub fn clear_key(&mut self, identity: &str) -> Option<Word<KeyWord>> {
        self.keys.remove(identity)
    }

    /// Says something of a shard; what stood before is returned.
    pub fn set_shard(&mut self, name: &str, word: Word<ShardWord>) -> Option<Word<ShardWord>> {
        self.shards.insert(name.to_owned(), word)
    }

    /// Takes back what was said of a shard; what stood is returned.
    pub fn clear_shard(&mut self, name: &str) -> Option<Word<ShardWord>> {
        self.shards.remove(name)
    }

    /// Takes back every word whose time is over.
    pub fn expired(&mut self, now: Timestamp) -> Expired {
        fn take<W>(words: &mut BTreeMap<String, Word<W>>, now: Timestamp) -> Vec<(String, Word<W>)> {
            let over = words.iter().filter(|(_, word)| word.is_over(now));
            let over: Vec<String> = over.map(|(name, _)| name.clone()).collect();
            over.into_iter().filter_map(|name| words.remove_entry(&name)).collect()
        }
        Expired { keys: take(&mut self.keys, now), shards: take(&mut self.shards, now) }
    }

    /// When the next word's time is over.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        let keys = self.keys.values().filter_map(|word| word.until);
        keys.chain(self.shards.values().filter_map(|word| word.until)).min()
    }

    /// The words kept in a state directory; none yet on first use.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        Ok(KIND.read_json(&directory.join(FILE))?.unwrap_or_default())
    }

    /// Writes the words to a state directory. A crash leaves the old file or the new one; after an error either may be there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), StateError> {
        fault::point(Step::BeforeOverlaySaved);
        KIND.write_json(&directory.join(FILE), self)?;
        fault::point(Step::AfterOverlaySaved);
        Ok(())
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
