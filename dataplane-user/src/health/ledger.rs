//! What is known of shards and pools now, and what was counted, for the API and the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Checks, Condition, Failure, Outcome};
use crate::state::Timestamp;

/// What a shard can become, in the order in which it is counted.
const BECOMES: [&str; 3] = ["up", "down", "held"];

/// Where it is written down.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// By name; counters of those that are not asked any more stay, because they may be again.
    shards: BTreeMap<String, Entry>,
    /// By name, whether it is doubted.
    pools: BTreeMap<String, bool>,
}

#[derive(Debug)]
struct Entry {
    asked: bool,
    report: ShardReport,
}

/// What is known of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Shards that are asked, by name.
    pub shards: Vec<ShardReport>,
    /// Pools that have such shards, by name.
    pub pools: Vec<PoolReport>,
}

/// What is known of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardReport {
    /// Its name.
    pub name: String,
    /// How it is asked, in words.
    pub check: String,
    /// How it is.
    pub condition: Condition,
    /// Since when.
    pub since: Timestamp,
    /// Until when it is kept out, where it is.
    pub until: Option<Timestamp>,
    /// How many questions in a row have no right answer.
    pub failures: u32,
    /// Why the last that failed has none.
    pub why: Option<Failure>,
    /// How many questions were put, by what came of them: in the order of [`Outcome::NAMES`].
    pub probes: [u64; Outcome::NAMES.len()],
    /// How often it became what.
    pub transitions: [(&'static str, u64); 3],
}

/// What is known of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolReport {
    /// Its name.
    pub name: String,
    /// Whether so much of it does not answer that the network is doubted.
    pub doubted: bool,
}

impl Report {
    /// What is known of a shard.
    pub fn shard(&self, name: &str) -> Option<&ShardReport> {
        self.shards.iter().find(|shard| shard.name == name)
    }
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down who is asked from now on; new ones are up until they are measured.
    pub fn ask(&self, checks: &Checks, now: Timestamp) {
        let mut book = self.book();
        book.shards.values_mut().for_each(|entry| entry.asked = false);
        for asked in &checks.shards {
            let new = || Entry { asked: true, report: ShardReport::new(&asked.name, now) };
            let entry = book.shards.entry(asked.name.clone()).or_insert_with(new);
            (entry.asked, entry.report.check) = (true, asked.check.to_string());
        }
        let with = checks
            .pools
            .iter()
            .filter(|pool| pool.members.iter().any(|(index, _)| checks.shard(*index).is_some()));
        let pools =
            with.map(|pool| (pool.name.clone(), book.pools.get(&pool.name).copied().unwrap_or_default()));
        let pools = pools.collect();
        book.pools = pools;
    }

    /// Nobody is asked any more.
    pub fn end(&self) {
        let mut book = self.book();
        for entry in book.shards.values_mut() {
            entry.asked = false;
            (entry.report.condition, entry.report.until, entry.report.failures) = (Condition::Up, None, 0);
        }
        book.pools.clear();
    }

    /// Counts a question.
    pub fn count(&self, shard: &str, outcome: Outcome) {
        let mut book = self.book();
        let Some(Entry { report, .. }) = book.shards.get_mut(shard) else { return };
        let counted = report.probes.iter_mut().zip(Outcome::NAMES).find(|(_, name)| *name == outcome.name());
        if let Some((count, _)) = counted {
            *count += 1;
        }
        match outcome {
            Outcome::Answered => report.failures = 0,
            Outcome::Failed(why) => {
                (report.failures, report.why) = (report.failures.saturating_add(1), Some(why));
            }
            Outcome::Unasked => {}
        }
    }

    /// Counts that a shard became something.
    pub fn became(&self, shard: &str, what: &str) {
        let mut book = self.book();
        let Some(Entry { report, .. }) = book.shards.get_mut(shard) else { return };
        if let Some((_, count)) = report.transitions.iter_mut().find(|(name, _)| *name == what) {
            *count += 1;
        }
    }

    /// Writes down how a shard is.
    pub fn is(&self, shard: &str, condition: Condition, until: Option<Timestamp>) {
        let mut book = self.book();
        let Some(Entry { report, .. }) = book.shards.get_mut(shard) else { return };
        if report.condition.name() != condition.name() {
            report.since = Timestamp::now();
        }
        (report.condition, report.until) = (condition, until);
    }

    /// Writes down whether a pool is doubted.
    pub fn doubt(&self, pool: &str, doubted: bool) {
        if let Some(entry) = self.book().pools.get_mut(pool) {
            *entry = doubted;
        }
    }

    /// All of it; nothing where nobody is asked.
    pub fn report(&self) -> Option<Report> {
        let book = self.book();
        let shards: Vec<ShardReport> =
            book.shards.values().filter(|entry| entry.asked).map(|entry| entry.report.clone()).collect();
        let pool = |(name, doubted): (&String, &bool)| PoolReport { name: name.clone(), doubted: *doubted };
        (!shards.is_empty()).then(|| Report { shards, pools: book.pools.iter().map(pool).collect() })
    }
}

impl ShardReport {
    fn new(name: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            check: String::new(),
            condition: Condition::Up,
            since: now,
            until: None,
            failures: 0,
            why: None,
            probes: [0; Outcome::NAMES.len()],
            transitions: BECOMES.map(|what| (what, 0)),
        }
    }
}
