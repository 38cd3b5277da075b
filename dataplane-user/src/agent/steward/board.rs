//! What changes have done, for whoever only reads: it is not locked while a change is made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::control::types::{GenerationStatus, MigrationStatus, RolloutStatus, SecretStatus, Standing};
use crate::state::Timestamp;
use crate::state::audit::{Event, Outcome};

/// What was posted last.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Operators' words that stand.
    pub words: Arc<[Standing]>,
    /// The secrets of signed keys.
    pub secrets: Arc<[SecretStatus]>,
    /// The generations that are remembered, the newest first.
    pub generations: Arc<[GenerationStatus]>,
    /// What moves, if anything does.
    pub migration: Option<Arc<MigrationStatus>>,
    /// The steps that it is done in, if it is.
    pub rollout: Option<Arc<RolloutStatus>>,
    /// The generation that a rollback makes live.
    pub last: Option<u64>,
    /// When a policy was put in force last.
    pub applied_at: Option<Timestamp>,
    /// How many changes there were since the agent's start, by action and result.
    pub changes: BTreeMap<(String, &'static str), u64>,
    /// How many texts looked personal or secret, of the policies that came into force.
    pub findings: u64,
    /// Whether the policy file as it is now was put in force, or would change nothing.
    pub file_in_force: bool,
}

/// The actions that are shown from the start, so that their first is seen.
const SHOWN: [&str; 3] = ["apply", "rollback", "watch"];

impl Default for Posted {
    fn default() -> Self {
        let results = [Outcome::Ok, Outcome::Failed, Outcome::Refused];
        let none = |action: &'static str| results.map(|result| ((action.to_owned(), result.name()), 0));
        Self {
            words: Arc::new([]),
            secrets: Arc::new([]),
            generations: Arc::new([]),
            migration: None,
            rollout: None,
            last: None,
            applied_at: None,
            changes: SHOWN.into_iter().flat_map(none).collect(),
            findings: 0,
            file_in_force: true,
        }
    }
}

/// Where it is posted.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Posted>);

impl Board {
    /// What stands there now.
    pub(super) fn read(&self) -> Posted {
        self.lock().clone()
    }

    /// Changes what stands there.
    pub(super) fn post(&self, change: impl FnOnce(&mut Posted)) {
        change(&mut self.lock());
    }

    /// Counts a change.
    pub(super) fn count(&self, event: &Event) {
        *self.lock().changes.entry((event.action.clone(), event.result.name())).or_default() += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
