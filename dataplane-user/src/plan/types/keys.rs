//! What changes about keys, and where their flows go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FieldChange, List};
use crate::policy::Share;

/// So many keys, and what they carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// How many.
    pub keys: u64,
    /// Their share of the live traffic.
    pub traffic: Option<Share>,
}

/// What changes about keys. Lists begin with what carries the most traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keys {
    /// Registered keys before.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// All that are added, changed and removed.
    pub added: Totals,
    /// See `added`.
    pub removed: Totals,
    /// See `added`.
    pub changed: Totals,
    /// Keys that are steered before and denied after.
    pub denied: Totals,
    /// Keys that are denied before and steered after.
    pub allowed: Totals,
    /// By field: how many keys it changes of, and what they carry.
    pub fields: BTreeMap<String, Totals>,
    /// The added.
    pub added_list: List<KeyNamed>,
    /// The removed.
    pub removed_list: List<KeyNamed>,
    /// The changed.
    pub changed_list: List<KeyChanged>,
}

/// A key that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyNamed {
    /// Its name.
    pub name: String,
    /// Its field values, and where it goes, in words.
    pub what: String,
    /// Its share of the live traffic.
    pub traffic: Option<Share>,
}

/// A key that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyChanged {
    /// Its name after.
    pub name: String,
    /// What changes.
    pub fields: Vec<FieldChange>,
    /// Its share of the live traffic.
    pub traffic: Option<Share>,
}

/// Which keys' flows go to other shards. Keys that are added, removed, or denied before or after do not move.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moves {
    /// Keys of which at least some flows go to another shard, and all that they carry.
    pub keys: Totals,
    /// Keys that are steered before and after.
    pub of: u64,
    /// The share of the live traffic that goes to another shard, if flows are alike.
    pub traffic: Option<Share>,
    /// The keys, beginning with the one that carries the most.
    pub list: List<Move>,
}

/// A key that moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// Its name after.
    pub name: String,
    /// The share of its flows that go to another shard.
    pub flows: Share,
    /// Its share of the live traffic.
    pub traffic: Option<Share>,
    /// Its shards before, in the order of its row, at most [`super::SHARDS_LISTED`].
    pub before: List<String>,
    /// And after.
    pub after: List<String>,
    /// The shards that it leaves.
    pub leaves: List<String>,
    /// The shards that it comes to.
    pub comes: List<String>,
}

/// A class of packets that changes its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassMove {
    /// Its name.
    pub class: String,
    /// What it meets before: `pass`, `drop` or `pool NAME`.
    pub before: String,
    /// And after.
    pub after: String,
    /// The share of its flows that go elsewhere: of slots, where it is spread before and after.
    pub flows: Share,
    /// Its share of the live traffic.
    pub traffic: Option<Share>,
}
