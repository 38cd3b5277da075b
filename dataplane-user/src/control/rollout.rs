//! What the API says of changes that are made in steps.

use serde::{Deserialize, Serialize};

/// A change whose keys move in steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The generation that they move with.
    pub generation: u64,
    /// The step that is watched, from 1.
    pub step: u64,
    /// Of how many; the rest moves behind the last.
    pub steps: u64,
    /// Who moved with it, as the policy says.
    pub cohort: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// How many seconds it is still watched.
    pub seconds_left: u64,
    /// Keys, and classes that are spread over pools, that have moved.
    pub moved: u64,
    /// Those whose turn has not come.
    pub held: u64,
    /// Flows that opened on the new shards of the step's keys, and have had time to be answered.
    pub flows: u64,
    /// Of these, the ones that were not.
    pub failed: u64,
    /// Those whose opening was sent again.
    pub slow: u64,
    /// Reset connections there.
    pub resets: u64,
    /// Packets of all keys that have moved, since the step began; counted where the policy has a condition on drops.
    pub packets: u64,
    /// Of these, the ones that were dropped.
    pub dropped: u64,
    /// Shards that are down and were not when the change began.
    pub shards_down: u64,
}

/// `POST /v1/rollout/promote`: the next step before its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promote {
    /// Whether all steps.
    #[serde(default)]
    pub all: bool,
}

/// What that did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    /// The generation.
    pub generation: u64,
    /// The step that is watched now, from 1; none where all keys have moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<u64>,
    /// Of how many.
    pub steps: u64,
}
