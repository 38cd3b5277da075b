//! What is recorded of a generation, and which records can stand side by side.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::Shares;
use crate::state::{Timestamp, Who};

/// What became of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Status {
    /// Its bundle is kept; it is not live yet.
    Prepared,
    /// It steers, or will as soon as the agent has rolled forward.
    Live,
    /// It steered before the live one, and a rollback makes it live again.
    Last,
    /// It steered once.
    Retired,
    /// It never steered.
    Failed {
        /// Why not.
        why: String,
    },
}

impl Status {
    /// Whether the bundle is still needed.
    pub(super) fn needs_bundle(&self) -> bool {
        matches!(self, Self::Prepared | Self::Live | Self::Last)
    }

    pub(super) fn text(&self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Live => "live",
            Self::Last => "last",
            Self::Retired => "retired",
            Self::Failed { .. } => "failed",
        }
    }
}

/// A generation, in figures and digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its number, from 1; never used again.
    pub number: u64,
    /// The generation that was live when this one was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<u64>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Who asked for it.
    pub by: Who,
    /// By what: `apply`, or what the agent did by itself, such as `watch`.
    pub action: String,
    /// `metadata.name` of its policy.
    pub policy: String,
    /// Digest of its bundle.
    pub bundle: String,
    /// Version of what crosses into the kernel.
    pub abi: u32,
    /// Interfaces that it attaches to.
    pub interfaces: Vec<String>,
    /// Version of its schema.
    pub schema: u32,
    /// How many keys it has.
    pub keys: u64,
    /// How many shards it has.
    pub shards: u64,
    /// How many key ids were given when it was made: the registry can never hold fewer.
    pub key_ids: u32,
    /// How many shard indices were given when it was made.
    pub shard_ids: u16,
    /// Digest of the plan that it carries out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<String>,
    /// What operators said of its shards' shares.
    #[serde(skip_serializing_if = "Shares::is_empty", default)]
    pub shares: Shares,
    /// How far it is, where its keys move in steps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<Rolling>,
    /// What became of it.
    pub status: Status,
}

/// A generation whose keys move in steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rolling {
    /// The step that is watched, from 0.
    pub step: usize,
    /// Since when.
    pub since: Timestamp,
    /// What the steps that are shares end with: see [`crate::rollout::Turns::again`].
    pub bounds: Vec<u64>,
    /// The shards that were down when it began, by index.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub down: Vec<u16>,
    /// How it ended, once it has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended: Option<String>,
}

/// The records file's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Body {
    /// The next number to give.
    pub(super) next: u64,
    /// By ascending number.
    pub(super) records: Vec<Record>,
}

/// Whether records are as the transitions make them.
pub(super) fn check(next: u64, records: &BTreeMap<u64, Record>) -> Result<(), String> {
    let most = records.keys().next_back().copied().unwrap_or_default();
    if next <= most || records.contains_key(&0) {
        return Err(format!("number {most} is not below the next, {next}, or a number is 0"));
    }
    let many = |status: &Status| records.values().filter(|record| record.status == *status).count();
    let (live, last) = (many(&Status::Live), many(&Status::Last));
    if live > 1 || last > 1 || last > live {
        return Err(format!("{live} generations are live, and {last} the last before"));
    }
    Ok(())
}
