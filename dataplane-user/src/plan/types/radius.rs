//! What hangs on shards, and what they have in common.

use serde::{Deserialize, Serialize};

use crate::policy::Share;

/// What hangs on a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardRadius {
    /// Its name.
    pub shard: String,
    /// Before; none where it is new.
    pub before: Option<Radius>,
    /// After; none where it goes.
    pub after: Option<Radius>,
}

/// What is lost when a shard fails and nothing takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Radius {
    /// Keys that lose everything: all of their flows go there.
    pub lost: u64,
    /// Keys that lose some of their flows: 1/k of them, where they have k shards.
    pub hit: u64,
    /// The share of all steered keys that this is, keys that lose a part counted by that part.
    pub keys: Share,
    /// The same of the live traffic that is steered, with that of classes, if flows are alike.
    pub traffic: Option<Share>,
    /// The share of the steered live traffic that the shard was seen to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Share>,
}

/// How many shards pairs of a pool's keys have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    /// The pool.
    pub pool: String,
    /// Before; none where it has fewer than two such keys.
    pub before: Option<Histogram>,
    /// After.
    pub after: Option<Histogram>,
}

/// How many pairs of keys have 0, 1, ... shards in common. Of keys that have more than one shard, and not all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Histogram {
    /// How many keys there are.
    pub keys: u64,
    /// By number of shards in common: so many pairs.
    pub pairs: Vec<u64>,
    /// Whether every pair was counted. Otherwise: evenly chosen keys, each with all others.
    pub exact: bool,
    /// The most shards that two keys have in common.
    pub most: u64,
    /// Two keys that have so many in common.
    pub example: Option<[String; 2]>,
}
