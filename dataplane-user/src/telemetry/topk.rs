//! Which keys have series of their own, so that a scrape is bounded however many keys there are.
//!
//! Naively, `other = total - Σ top` falls whenever a key enters the top, and a fall reads as a reset.
//! So what is shared out is the *delta* since the last reading: it goes to the key's own series if the
//! key has one, else to `other`. From that follow the invariants, at every reading:
//!
//! 1. no series ever falls, `other` included, nor does a key's series over a time without one: it
//!    resumes where it stopped;
//! 2. `Σ series + withdrawn + other` is exactly the sum of the keys' counters, where `withdrawn` is what
//!    series hold that are not shown now.
//!
//! ```text
//!  rank <= K ──> pending ──(a scrape shows its base)──> shown ──(room needed, beyond rank 2K for
//!     ^                                                   │       COLD_WINDOWS windows)
//!     └───────────────────── withdrawn <──────────────────┘
//! ```
//! At most 2K keys are shown. While there is room a key that cools keeps its series, which costs less
//! than one that comes and goes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keysteer_common::account::Counter;

use super::tally::{Reading, Tally};
use crate::counters::Snapshot;

/// For how many windows on end a key must rank beyond 2K before its series may be withdrawn.
pub const COLD_WINDOWS: u32 = 6;

/// The keys that are shown, and what was attributed to them and to the rest.
#[derive(Debug)]
pub struct TopKeys {
    /// K.
    top: usize,
    /// Whether every key is shown for good: there are no more than K.
    all: bool,
    /// The latest reading, by key id.
    last: Vec<Reading>,
    /// What was sent by then, by key id; none as long as nothing was.
    sent: Vec<Counter>,
    /// Packets at the beginning of the current window, by key id.
    window: Vec<u64>,
    /// Keys with a series, by id.
    shown: BTreeMap<u32, Series>,
    /// Keys that get one at the next scrape.
    pending: BTreeSet<u32>,
    /// What the series held that were taken away.
    withdrawn: HashMap<u32, Tally>,
    other: Tally,
}

/// A key's series.
#[derive(Clone, Copy, Debug, Default)]
struct Series {
    tally: Tally,
    /// Windows on end beyond rank 2K.
    cold: u32,
}

/// What a scrape shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Key ids with what their series hold, by ascending id.
    pub keys: Vec<(u32, Tally)>,
    /// What was attributed to no key.
    pub other: Tally,
    /// What series hold that are not shown now.
    pub withdrawn: Tally,
}

impl TopKeys {
    /// Shows up to rank `top` of the keys `ids`; all of them, for good, if there are no more.
    pub fn new(top: usize, ids: impl Iterator<Item = u32>) -> Self {
        let ids: Vec<u32> = ids.collect();
        let all = ids.len() <= top;
        let shown =
            if all { ids.into_iter().map(|id| (id, Series::default())).collect() } else { BTreeMap::new() };
        Self {
            top,
            all,
            last: Vec::new(),
            sent: Vec::new(),
            window: Vec::new(),
            shown,
            pending: BTreeSet::new(),
            withdrawn: HashMap::new(),
            other: Tally::default(),
        }
    }

    /// The keys of the policy are `ids` from now on. The series of others are withdrawn; new keys are shown if all are.
    pub fn register(&mut self, ids: impl Iterator<Item = u32>) {
        let ids: BTreeSet<u32> = ids.collect();
        let gone: Vec<u32> = self.shown.keys().copied().filter(|id| !ids.contains(id)).collect();
        for id in gone {
            if let Some(series) = self.shown.remove(&id) {
                self.withdrawn.insert(id, series.tally);
            }
        }
        self.pending.retain(|id| ids.contains(id));
        self.all = self.all && ids.len() <= self.top;
        if self.all {
            self.pending.extend(ids.into_iter().filter(|id| !self.shown.contains_key(id)));
        }
    }

    /// Shows `ids`, which were never counted before, at once as long as they rank among the first `top`.
    pub fn meet(&mut self, ids: impl Iterator<Item = u32>) {
        for id in ids {
            if self.shown.len() + self.pending.len() >= self.top {
                break;
            }
            self.shown.entry(id).or_default();
        }
    }

    /// Attributes what was counted since the last reading.
    pub fn attribute(&mut self, snapshot: &Snapshot) {
        self.attribute_from(snapshot.keys.len(), |id| Tally::of(snapshot, id));
    }

    /// [`TopKeys::attribute`] of ids under `count`, whose counters are `now`.
    pub fn attribute_from(&mut self, count: usize, now: impl Fn(u32) -> Tally) {
        if self.last.len() < count {
            self.last.resize(count, Reading::default());
            self.window.resize(count, 0);
        }
        for (id, last) in (0u32..).zip(&mut self.last) {
            let now = now(id);
            let mut before = last.with(self.sent.get(id as usize).copied().unwrap_or_default());
            let delta = now.since(&before);
            if delta == Tally::default() {
                continue;
            }
            match self.shown.get_mut(&id) {
                Some(series) => series.tally.add(&delta),
                None => self.other.add(&delta),
            }
            before.add(&delta);
            *last = Reading::of(&before);
            if delta.sent != Counter::default() {
                if self.sent.len() < count {
                    self.sent.resize(count, Counter::default());
                }
                if let Some(sent) = self.sent.get_mut(id as usize) {
                    *sent = before.sent;
                }
            }
        }
    }

    /// Ends a window: decides by the packets in it who gets a series, and who may lose it.
    pub fn rank(&mut self) {
        if self.all || self.top == 0 {
            return;
        }
        let room = self.top.saturating_mul(2);
        let ranked = self.busiest(room);
        let warm: BTreeSet<u32> = ranked.iter().copied().collect();
        for (id, series) in &mut self.shown {
            series.cold = if warm.contains(id) { 0 } else { series.cold.saturating_add(1) };
        }
        self.pending.retain(|id| warm.contains(id));
        for id in ranked.into_iter().take(self.top) {
            if self.shown.contains_key(&id) || self.pending.contains(&id) {
                continue;
            }
            if self.shown.len() + self.pending.len() >= room && !self.withdraw_coldest() {
                break;
            }
            self.pending.insert(id);
        }
    }

    /// What to show now. A key shown for the first time shows 0, and is attributed to from here on, so
    /// that a scraper sees its first increment.
    pub fn show(&mut self) -> Shares {
        for id in std::mem::take(&mut self.pending) {
            let tally = self.withdrawn.remove(&id).unwrap_or_default();
            self.shown.insert(id, Series { tally, cold: 0 });
        }
        let mut withdrawn = Tally::default();
        self.withdrawn.values().for_each(|tally| withdrawn.add(tally));
        let keys = self.shown.iter().map(|(id, series)| (*id, series.tally)).collect();
        Shares { keys, other: self.other, withdrawn }
    }

    /// The `count` keys with the most packets in the window that ends now, busiest first.
    fn busiest(&mut self, count: usize) -> Vec<u32> {
        let mut busy: Vec<(u64, u32)> = Vec::new();
        for ((id, last), begun) in (0u32..).zip(&self.last).zip(&mut self.window) {
            let packets = last.packets.saturating_sub(*begun);
            *begun = last.packets;
            if packets > 0 {
                busy.push((packets, id));
            }
        }
        let order = |a: &(u64, u32), b: &(u64, u32)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
        if busy.len() > count {
            busy.select_nth_unstable_by(count, order);
            busy.truncate(count);
        }
        busy.sort_unstable_by(order);
        busy.into_iter().map(|(_, id)| id).collect()
    }

    /// Takes the series of the key that was cold the longest; false when none was cold long enough.
    fn withdraw_coldest(&mut self) -> bool {
        let coldest = self
            .shown
            .iter()
            .filter(|(_, series)| series.cold >= COLD_WINDOWS)
            .max_by_key(|(_, series)| series.cold)
            .map(|(id, series)| (*id, series.tally));
        let Some((id, tally)) = coldest else { return false };
        self.shown.remove(&id);
        self.withdrawn.insert(id, tally);
        true
    }
}

#[cfg(test)]
#[path = "topk_tests.rs"]
mod tests;
