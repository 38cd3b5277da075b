//! All shards together: which questions are due, which answers are late, and what a pool's floor makes of it.
//!
//! **The floor.** Where less of a pool's weight would be left than its floor, it is more likely that this node, or the network
//! between, is at fault than that so many shards died at once. Then the pool is doubted: all of its shards are used, also those that
//! were out before, until enough of them answer. A shard of several pools is used if one of them is doubted. Shards that operators have
//! taken out are no part of the reckoning: their silence says nothing of the network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::subject::Subject;
use super::{Checks, Condition, Event, Failure, Moment, Outcome, Pool, Wanted};

/// What is to be done, or happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This shard is to be asked.
    Ask(u16),
    /// The answer of this shard is not waited for any more.
    GiveUp(u16),
    /// Something happened.
    Happened(Event),
}

/// What is known of all shards that are asked.
#[derive(Clone, Debug)]
pub struct Monitor {
    checks: Arc<Checks>,
    seed: u64,
    subjects: BTreeMap<u16, Subject>,
    /// By pool, whether it is doubted.
    doubted: Vec<bool>,
    /// Those that operators have taken out.
    aside: BTreeSet<u16>,
}

impl Monitor {
    /// Begins to ask. Those that are `down` stay so until they are measured; all others are taken for living.
    pub fn new(checks: Arc<Checks>, seed: u64, now: Moment, down: &BTreeSet<u16>) -> (Self, Vec<Event>) {
        let subject = |index: u16, check| Subject::new(index, check, seed, now, down.contains(&index));
        let subjects = checks.shards.iter().map(|it| (it.index, subject(it.index, &it.check))).collect();
        let doubted = vec![false; checks.pools.len()];
        let mut monitor = Self { checks, seed, subjects, doubted, aside: BTreeSet::new() };
        let mut events = Vec::new();
        monitor.judge(&mut events);
        (monitor, events)
    }

    /// Goes on by another policy: what is known of shards that both have stays, and questions on their way are put anew.
    pub fn by(mut self, checks: Arc<Checks>, now: Moment) -> (Self, Vec<Event>) {
        let mut known = std::mem::take(&mut self.subjects);
        let subjects = checks.shards.iter().map(|it| {
            let subject = match known.remove(&it.index) {
                Some(subject) => subject.by(&it.check, now),
                None => Subject::new(it.index, &it.check, self.seed, now, false),
            };
            (it.index, subject)
        });
        self.subjects = subjects.collect();
        let was: BTreeSet<&str> =
            self.pools().filter(|(_, doubted)| *doubted).map(|(it, _)| &*it.name).collect();
        let doubted = checks.pools.iter().map(|pool| was.contains(pool.name.as_str())).collect();
        (self.doubted, self.checks) = (doubted, checks);
        let mut events = Vec::new();
        self.judge(&mut events);
        (self, events)
    }

    /// Who is asked.
    pub fn checks(&self) -> &Arc<Checks> {
        &self.checks
    }

    /// When something is due next; never where nobody is asked.
    pub fn due(&self) -> Option<Moment> {
        self.subjects.values().map(Subject::due).min()
    }

    /// What is due at `now`: late answers, ends of spans, questions.
    pub fn tick(&mut self, now: Moment) -> Vec<Step> {
        let (mut steps, mut events) = (Vec::new(), Vec::new());
        let before = self.out();
        for (index, subject) in &mut self.subjects {
            if subject.is_late(now) {
                steps.push(Step::GiveUp(*index));
                subject.failed(now, Failure::Timeout, &mut events);
            }
            subject.pass(now, &mut events);
        }
        self.settle(now, &before, &mut events);
        steps.extend(events.into_iter().map(Step::Happened));
        let due = self.subjects.iter_mut().filter_map(|(index, subject)| subject.ask(now).then_some(*index));
        steps.extend(due.map(Step::Ask));
        steps
    }

    /// What came of a question.
    pub fn came(&mut self, shard: u16, outcome: Outcome, now: Moment) -> Vec<Event> {
        let mut events = Vec::new();
        let before = self.out();
        if let Some(subject) = self.subjects.get_mut(&shard) {
            match outcome {
                Outcome::Answered => subject.answered(now, &mut events),
                Outcome::Failed(why) => subject.failed(now, why, &mut events),
                Outcome::Unasked => subject.unasked(now),
            }
        }
        if !events.is_empty() {
            self.settle(now, &before, &mut events);
        }
        events
    }

    /// Those that operators have taken out are no part of the reckoning.
    pub fn set_aside(&mut self, aside: BTreeSet<u16>) -> Vec<Event> {
        let mut events = Vec::new();
        if self.aside != aside {
            self.aside = aside;
            self.judge(&mut events);
        }
        events
    }

    /// Judges the pools, and begins the ramps of those that were out and came back.
    fn settle(&mut self, now: Moment, before: &BTreeSet<u16>, events: &mut Vec<Event>) {
        let came: Vec<u16> = events
            .iter()
            .filter_map(|event| match event {
                Event::Up { shard, .. } if before.contains(shard) => Some(*shard),
                _ => None,
            })
            .collect();
        for shard in came {
            if let Some(subject) = self.subjects.get_mut(&shard) {
                subject.begin_ramp(now);
            }
        }
        self.judge(events);
    }

    /// Compares what is left of each pool with its floor.
    fn judge(&mut self, events: &mut Vec<Event>) {
        let checks = Arc::clone(&self.checks);
        for (at, pool) in checks.pools.iter().enumerate() {
            let doubts = !self.is_enough(pool);
            let Some(doubted) = self.doubted.get_mut(at) else { continue };
            if *doubted != doubts {
                *doubted = doubts;
                events.push(if doubts { Event::Doubt { pool: at } } else { Event::Trust { pool: at } });
            }
        }
    }

    /// Whether as much of a pool's weight is left as must be.
    fn is_enough(&self, pool: &Pool) -> bool {
        let (mut all, mut left) = (0_u64, 0_u64);
        for (index, weight) in pool.members.iter().filter(|(index, _)| !self.aside.contains(index)) {
            all += u64::from(*weight);
            if self.subjects.get(index).is_none_or(|subject| !subject.is_down()) {
                left += u64::from(*weight);
            }
        }
        pool.floor.is_kept_by(left, all)
    }

    /// Whether a pool of a shard's is doubted.
    fn is_doubted(&self, shard: u16) -> bool {
        let doubted = self.pools().filter(|(_, doubted)| *doubted);
        doubted.into_iter().any(|(pool, _)| pool.members.iter().any(|(index, _)| *index == shard))
    }

    /// Those that nothing is to be sent to.
    fn out(&self) -> BTreeSet<u16> {
        let down = self.subjects.iter().filter(|(_, subject)| subject.is_down());
        down.filter(|(index, _)| !self.is_doubted(**index)).map(|(index, _)| *index).collect()
    }

    /// What the kernel is to do, about those of which it is to do something.
    pub fn wanted(&self) -> BTreeMap<u16, Wanted> {
        let any = self.doubted.contains(&true);
        let wanted = |(index, subject): (&u16, &Subject)| {
            let doubted = any && subject.is_down() && self.is_doubted(*index);
            Some((*index, subject.wanted(doubted)?))
        };
        self.subjects.iter().filter_map(wanted).collect()
    }

    /// How each shard is, by its index.
    pub fn conditions(&self) -> impl Iterator<Item = (u16, Condition)> {
        self.subjects.iter().map(|(index, subject)| {
            let doubted = subject.is_down() && self.is_doubted(*index);
            (*index, subject.condition(doubted))
        })
    }

    /// Every pool, and whether it is doubted.
    pub fn pools(&self) -> impl Iterator<Item = (&Pool, bool)> {
        self.checks.pools.iter().zip(self.doubted.iter().copied())
    }

    /// Until when the answer of a shard is waited for.
    #[cfg(test)]
    pub(super) fn deadline(&self, shard: u16) -> Option<Moment> {
        self.subjects.get(&shard)?.deadline()
    }
}
