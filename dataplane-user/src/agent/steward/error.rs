//! Why a change was not made.

use super::super::meter::Cause;
use crate::plan::Plan;
use crate::state::StateError;

/// A change that was not made; what is said names the next step.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Another change is being made.
    #[error("another change is being made: wait for it, look at `keysteer status`, then plan again")]
    Busy,
    /// The generation in force is not the one that the asker believes.
    #[error("{0}")]
    Conflict(String),
    /// A change is made in steps, and this is another one.
    #[error(
        "generation {0} moves its keys in steps, and the next change waits for that: `keysteer rollout promote --all` ends it now, `keysteer \
         rollback` takes it back"
    )]
    RollingOut(u64),
    /// The policy is not valid, or does not fit this host.
    #[error("{0}")]
    Invalid(String),
    /// The plan is refused.
    #[error("{message}")]
    Refused {
        /// Why, a line for each guard.
        message: String,
        /// The plan.
        plan: Box<Plan>,
    },
    /// No such key, shard or generation.
    #[error("{0}")]
    Unknown(String),
    /// The asker went away before the commit.
    #[error("interrupted before the commit: nothing was changed")]
    Interrupted,
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The kernel refused.
    #[error("{0}; the policy in force is unchanged")]
    Kernel(Cause),
}
