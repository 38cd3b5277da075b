//! Registries out of what was found: no id is given twice, whatever is not known of those that were given.

use std::collections::{BTreeMap, HashSet};

use keysteer_common::account::{Counter, ShardCounter};

use super::kernel;
use super::source::Names;
use crate::agent::ground::Ground;
use crate::agent::steward::ChangeError;
use crate::image::Words;
use crate::kernel::Pinned;
use crate::state::{Generations, KeyIds, ShardIds};

/// What was given already, at least: the highest key id, and the number of shard indices.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Above {
    pub(super) keys: u32,
    pub(super) shards: u16,
}

impl Above {
    /// By the pinned tables, and by everything that was ever counted.
    pub(super) fn of(survey: &[Pinned], ground: &dyn Ground) -> Result<Self, ChangeError> {
        let counted = ground.counted().all().map_err(kernel)?;
        let mut by_key = counted.keys.iter().zip(&counted.events);
        let last = by_key
            .rposition(|(key, events)| {
                *key != Counter::default()
                    || events.flows != 0
                    || events.drops.iter().any(|drop| *drop != Counter::default())
            })
            .unwrap_or_default();
        let shards = counted.shards.iter().rposition(|shard| *shard != ShardCounter::default());
        let keys = survey.iter().flat_map(|pinned| &pinned.tables.keys).map(|entry| entry.id).max();
        let tables = survey.iter().map(|pinned| pinned.tables.config.shards).max().unwrap_or_default();
        Ok(Self {
            keys: keys.unwrap_or_default().max(u32::try_from(last).unwrap_or(u32::MAX)),
            shards: index(tables.max(shards.map_or(0, |last| index(last + 1).into()))),
        })
    }

    /// By operators' words and records, too.
    pub(super) fn and(self, words: &Words, generations: Option<&Generations>) -> Self {
        let (keys, shards) = generations.map_or((0, 0), Generations::given);
        let last_key = words.keys.keys().next_back().copied().unwrap_or_default();
        let last_shard = words.shards.keys().next_back().map_or(0, |last| index(last.saturating_add(1)));
        Self { keys: self.keys.max(keys).max(last_key), shards: self.shards.max(shards).max(last_shard) }
    }
}

/// A number of shard indices: there are no more than 65,535.
fn index(number: impl TryInto<u16>) -> u16 {
    number.try_into().unwrap_or(u16::MAX)
}

/// The ids that were found, and of those that the registry had all that do not contradict them.
pub(super) fn key_ids(found: &Names, known: &KeyIds, above: u32) -> KeyIds {
    let mut by_id = BTreeMap::new();
    let mut named = HashSet::new();
    let found = found.keys.iter().map(|(identity, id)| (identity.as_str(), *id));
    for (identity, id) in found.chain(known.iter()) {
        if !by_id.contains_key(&id) && named.insert(identity) {
            by_id.insert(id, identity.to_owned());
        }
    }
    KeyIds::found(by_id, above.max(known.given()))
}

/// The same of shards.
pub(super) fn shard_ids(found: &Names, known: &ShardIds, above: u16) -> ShardIds {
    let mut by_index = BTreeMap::new();
    let mut named = HashSet::new();
    let found = found.shards.iter().map(|(name, index)| (name.as_str(), *index));
    for (name, index) in found.chain(known.iter()) {
        if !by_index.contains_key(&index) && named.insert(name) {
            by_index.insert(index, name.to_owned());
        }
    }
    ShardIds::found(by_index, above.max(known.given()))
}
