//! What a plan says, and how it is asked for: part of the local API, and of saved plans. Every field is part of
//! the contract: add, never change.

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::policy::{Bundle, Share};
use crate::state::Timestamp;

/// The version of [`Plan`] that this program makes and reads.
pub const VERSION: u32 = 1;

/// How many items of a list are given; how many there are is always said.
pub const LISTED: usize = 10_000;

/// How many shards of one key are given.
pub const SHARDS_LISTED: usize = 16;

/// `POST /v1/plan`: what would change if this policy were applied? Answered with a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The policy.
    pub bundle: Bundle,
    /// Guards that are lifted.
    #[serde(default)]
    pub allow: Vec<Guard>,
    /// The generation that the asker believes to be in force; another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
}

/// The generation that a plan starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Base {
    /// Its number.
    pub generation: u64,
    /// [`Bundle::digest`] of its policy.
    pub digest: String,
}

/// Why a plan can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// More hangs on a shard than `spec.blastRadius` allows
    BlastRadius,
    /// Keys leave the region of their pool
    Residency,
    /// A VIP's key comes to a lower tier
    VipTier,
    /// The schema that keys are read by changes
    Schema,
    /// Another generation is in force than the plan starts from
    #[value(skip)]
    BaseMoved,
}

impl Guard {
    /// Its name, on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlastRadius => "blast-radius",
            Self::Residency => "residency",
            Self::VipTier => "vip-tier",
            Self::Schema => "schema",
            Self::BaseMoved => "base-moved",
        }
    }

    /// Whether it can be lifted: a plan that starts from what is not there cannot be carried out.
    pub const fn can_be_lifted(self) -> bool {
        !matches!(self, Self::BaseMoved)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What applying a policy would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// The generation in force; none where there is none, or where another file was compared with.
    pub base: Option<Base>,
    /// The name of the policy that it is compared with; none where nothing is in force.
    pub from: Option<String>,
    /// The name of the new policy.
    pub policy: String,
    /// [`Bundle::digest`] of the new policy.
    pub bundle: String,
    /// Guards that are lifted, each once.
    pub allow: Vec<Guard>,
    /// The live traffic that shares of traffic are of; none where none was read.
    pub traffic: Option<Live>,
    /// What changes, but for keys.
    pub changes: Changes,
    /// What changes about keys.
    pub keys: Keys,
    /// Which keys' flows go to other shards.
    pub moves: Moves,
    /// The classes whose action changes, or whose flows go to other shards.
    pub classes: Vec<ClassMove>,
    /// What hangs on each shard, before and after.
    pub shards: Vec<ShardRadius>,
    /// By pool: how many shards pairs of its wider keys have in common.
    pub overlap: Vec<Overlap>,
    /// Why it may not be applied; lifted ones, too.
    pub refusals: Vec<Refusal>,
    /// Operators' words that hold over the new policy, or are on what it removes; no part of the change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Overruled>,
    /// What a reader should know of the figures.
    pub notes: Vec<String>,
}

/// An operator's word that holds over a policy, or loses its ground by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overruled {
    /// `key` or `shard`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `deny`, `allow` or `disable`.
    pub word: String,
    /// Why, in the words of who said it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    /// What that means under the new policy.
    pub effect: String,
}

/// A reading of traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// Frames that are ours.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// In how many milliseconds they came.
    pub milliseconds: u64,
}

/// Items of a list: all, or the first [`LISTED`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// How many there are.
    pub total: u64,
    /// Those that are given.
    pub items: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { total: 0, items: Vec::new() }
    }
}

impl<T> List<T> {
    /// Adds an item, which is made only if there is room.
    pub(super) fn add(&mut self, most: usize, make: impl FnOnce() -> T) {
        self.total += 1;
        if self.items.len() < most {
            self.items.push(make());
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many are not given.
    pub fn omitted(&self) -> u64 {
        self.total.saturating_sub(self.items.len() as u64)
    }
}

/// What changes, but for keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// Fields of the policy that have one value.
    pub settings: Vec<FieldChange>,
    /// Where the program is attached.
    pub interfaces: Difference,
    /// Destinations and their services.
    pub scope: Difference,
    /// Prefixes of prefix tables, each called by its table and itself.
    pub prefixes: Difference,
    /// Version, fields and levels of the schema.
    pub schema: Vec<FieldChange>,
    /// Shards.
    pub shards: Difference,
    /// Pools.
    pub pools: Difference,
    /// Tiers.
    pub tiers: Difference,
}

impl Changes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        let Self { settings, interfaces, scope, prefixes, schema, shards, pools, tiers } = self;
        settings.is_empty()
            && schema.is_empty()
            && [interfaces, scope, prefixes, shards, pools, tiers].iter().all(|it| it.is_empty())
    }
}

/// What of a list of named things changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// New ones.
    pub added: List<Named>,
    /// Those that go.
    pub removed: List<Named>,
    /// Those that are there before and after, and not the same.
    pub changed: List<Changed>,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// A named thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub what: String,
}

/// A named thing that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// What changes.
    pub fields: Vec<FieldChange>,
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Its name, as in the policy.
    pub field: String,
    /// Its value before; none where it had none.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
}

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
    /// Its shards before, in the order of its row, at most [`SHARDS_LISTED`].
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

/// Why a plan may not be applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Its name.
    pub name: Guard,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub next: String,
    /// Whether it is lifted.
    pub allowed: bool,
    /// The keys concerned.
    pub keys: Option<Totals>,
    /// What is concerned: keys, shards.
    pub of: List<String>,
}
