//! How a change moves keys step by step: whose turn comes when, and what turns it back.

use std::collections::BTreeSet;
use std::time::Duration;

use super::share::Share;

/// `spec.rollout`; without it all keys of a change move together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The steps, at least one. What none of them takes along moves after the last.
    pub steps: Vec<RolloutStep>,
    /// What turns the change back.
    pub abort_if: AbortIf,
    /// How many flows, or packets, a share is judged from; of fewer it says nothing.
    pub least: u64,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutStep {
    /// Who moves with it, of those who have not moved.
    pub cohort: Cohort,
    /// How long it is watched before the next.
    pub lasts: Duration,
}

/// Keys that move together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cohort {
    /// A share of the keys that the change moves, the first ones by an order that every change has of its own: at least one.
    Percent(Share),
    /// Those that the policy names.
    Named {
        /// The cohort's name.
        name: String,
        /// Its keys' names.
        keys: BTreeSet<String>,
    },
    /// Those of a tier.
    Tier {
        /// Its name.
        name: String,
        /// Its keys' names.
        keys: BTreeSet<String>,
    },
}

impl Cohort {
    /// As messages call it.
    pub fn text(&self) -> String {
        match self {
            Self::Percent(share) => share.to_string(),
            Self::Named { name, .. } => format!("cohort {name}"),
            Self::Tier { name, .. } => format!("tier {name}"),
        }
    }
}

/// What turns a change back, once there is more of it than this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbortIf {
    /// Dropped packets, of those of the keys that have moved.
    pub drops: Option<Share>,
    /// Reset connections, of the flows that opened on the new shards of the step's keys.
    pub resets: Option<Share>,
    /// Of those, the ones that were not answered.
    pub failed_handshakes: Option<Share>,
    /// And the ones whose opening had to be sent again.
    pub slow_handshakes: Option<Share>,
    /// Shards that are found down by their probes and were not when it began.
    pub shards_down: Option<u32>,
}

impl Rollout {
    /// How many steps are possible.
    pub const STEPS: usize = 16;
    /// How long a step is watched unless the policy says so.
    pub const LASTS: Duration = Duration::from_secs(600);
    /// What [`Rollout::least`] is unless the policy says so.
    pub const LEAST: u32 = 100;

    /// The shares that turn a change back, by their names in the policy.
    pub fn shares(&self) -> [(&'static str, Option<Share>); 4] {
        let AbortIf { drops, resets, failed_handshakes, slow_handshakes, .. } = self.abort_if;
        [
            ("drops", drops),
            ("resets", resets),
            ("failedHandshakes", failed_handshakes),
            ("slowHandshakes", slow_handshakes),
        ]
    }
}
