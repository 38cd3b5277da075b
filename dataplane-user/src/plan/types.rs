//! What a plan says, and how it is asked for: part of the local API, and of saved plans. Every field is part of
//! the contract: add, never change.

mod changes;
mod keys;
mod radius;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::policy::Bundle;
use crate::state::Timestamp;

pub use changes::{Changed, Changes, Difference, FieldChange, Named};
pub use keys::{ClassMove, KeyChanged, KeyNamed, Keys, Move, Moves, Totals};
pub use radius::{Histogram, Overlap, Radius, ShardRadius};

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
    /// A version of the schema goes before its dual-accept time is over
    DualAccept,
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
            Self::DualAccept => "dual-accept",
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
