//! The rules of [`super::monitor`] and [`super::subject`], one by one, and that none of them is ever broken.

mod asked;
mod floor;
mod never;
mod one;
mod words;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::policy::{Check, Probe, Share};

/// Asked every second, for half a second.
pub(crate) fn check() -> Check {
    Check {
        probe: Probe::Tcp { port: 80 },
        address: "203.0.113.10".parse().unwrap(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        rise: 2,
        fall: 3,
        jitter: Share::NONE,
        slow_start: Duration::ZERO,
        damping: None,
    }
}

/// Shards of these weights, all in one pool of this floor, each asked as `check` says.
pub(crate) fn checks(check: &Check, weights: &[u32], floor: &str) -> Arc<Checks> {
    let asked = |index: u16| Asked { index, name: format!("s{index}"), check: check.clone(), mark: None };
    let floor: f64 = floor.strip_suffix('%').unwrap().parse().unwrap();
    Arc::new(Checks {
        shards: (0..).zip(weights).map(|(index, _)| asked(index)).collect(),
        pools: vec![Pool {
            name: "all".to_owned(),
            members: (0..).zip(weights.iter().copied()).collect(),
            floor: Share::of(floor, 100.0),
        }],
    })
}

/// A monitor, and a world in which shards answer or do not, and time passes.
pub(super) struct World {
    pub(super) monitor: Monitor,
    pub(super) now: Moment,
    /// Those that do not answer.
    pub(super) dead: BTreeSet<u16>,
    pub(super) events: Vec<(Moment, Event)>,
    /// When each question was put, and to whom.
    pub(super) asked: Vec<(Moment, u16)>,
}

impl World {
    pub(super) fn new(checks: Arc<Checks>) -> Self {
        Self::with_down(checks, &[])
    }

    pub(super) fn with_down(checks: Arc<Checks>, down: &[u16]) -> Self {
        let (monitor, events) = Monitor::new(checks, 7, Moment::ZERO, &down.iter().copied().collect());
        let events = events.into_iter().map(|event| (Moment::ZERO, event)).collect();
        Self { monitor, now: Moment::ZERO, dead: BTreeSet::new(), events, asked: Vec::new() }
    }

    fn note(&mut self, events: Vec<Event>) {
        self.events.extend(events.into_iter().map(|event| (self.now, event)));
    }

    /// Lets time pass, in which living shards answer at once.
    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(due) = self.monitor.due().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            for step in self.monitor.tick(self.now) {
                match step {
                    Step::Happened(event) => self.note(vec![event]),
                    Step::GiveUp(_) => {}
                    Step::Ask(shard) => {
                        self.asked.push((self.now, shard));
                        if !self.dead.contains(&shard) {
                            let events = self.monitor.came(shard, Outcome::Answered, self.now);
                            self.note(events);
                        }
                    }
                }
            }
        }
        self.now = end;
    }

    /// What happened since it was asked last.
    pub(super) fn happened(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events).into_iter().map(|(_, event)| event).collect()
    }

    pub(super) fn condition(&self, shard: u16) -> Condition {
        self.monitor.conditions().find(|(index, _)| *index == shard).unwrap().1
    }

    /// Those that nothing is sent to.
    pub(super) fn out(&self) -> Vec<u16> {
        let wanted = self.monitor.wanted().into_iter();
        wanted.filter(|(_, wanted)| *wanted == Wanted::Down).map(|(index, _)| index).collect()
    }
}
