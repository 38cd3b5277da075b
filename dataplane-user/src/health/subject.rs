//! One shard: asked, judged by answers and failures in a row, kept out where it comes and goes, let back in by and by.

use std::collections::VecDeque;

use crate::policy::{Check, Damping};

use super::schedule::{first, hurried, steady};
use super::{Condition, Event, Failure, Moment, Wanted};

/// In how many steps a share grows.
const STEPS: u32 = 32;
/// How often the time that a shard is kept out is doubled, at most.
const DOUBLED: u32 = 4;

/// What is known of one shard.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    index: u16,
    seed: u64,
    check: Check,
    /// Whether it is down, and since when it is as it is.
    down: bool,
    since: Moment,
    /// Answers, and failures, in a row.
    answers: u32,
    failures: u32,
    /// When it went down, within the time that counts.
    flaps: VecDeque<Moment>,
    /// How often it was kept out in a row.
    holds: u32,
    /// Until when it is kept out.
    held: Option<Moment>,
    /// Since when its share grows, and how many steps of it it has.
    ramp: Option<(Moment, u32)>,
    /// When the question was put whose answer is waited for.
    asked: Option<Moment>,
    /// When the next one is due.
    next: Moment,
    /// How many questions were put.
    turn: u64,
}

impl Subject {
    /// A shard that is taken for living, or for dead, until it is measured.
    pub(super) fn new(index: u16, check: &Check, seed: u64, now: Moment, down: bool) -> Self {
        Self {
            index,
            seed,
            check: check.clone(),
            down,
            since: now,
            answers: 0,
            failures: 0,
            flaps: VecDeque::new(),
            holds: 0,
            held: None,
            ramp: None,
            asked: None,
            next: now + first(check, seed, index),
            turn: 0,
        }
    }

    /// The same shard under another policy: what is known of it stays. A question on its way is put anew.
    pub(super) fn by(mut self, check: &Check, now: Moment) -> Self {
        if self.check != *check {
            (self.answers, self.failures) = (0, 0);
            self.next = now + first(check, self.seed, self.index);
            self.check = check.clone();
        }
        if self.check.damping.is_none() {
            self.held = None;
        }
        if self.asked.take().is_some() {
            self.next = now;
        }
        self
    }

    /// When something is due.
    pub(super) fn due(&self) -> Moment {
        let question = self.asked.map_or(self.next, |asked| asked + self.check.timeout);
        let held = self.held.filter(|_| self.is_back());
        let ramp = self.ramp.map(|ramp| self.grows(ramp));
        [held, ramp].into_iter().flatten().fold(question, Moment::min)
    }

    /// Whether the answer that is waited for is late.
    pub(super) fn is_late(&self, now: Moment) -> bool {
        self.asked.is_some_and(|asked| asked + self.check.timeout <= now)
    }

    /// Puts the next question, if it is due.
    pub(super) fn ask(&mut self, now: Moment) -> bool {
        let due = self.asked.is_none() && self.next <= now;
        if due {
            self.asked = Some(now);
            self.turn += 1;
        }
        due
    }

    /// Ends the question on its way; the next comes an interval after it, or sooner where it is `urgent`.
    fn end(&mut self, now: Moment, urgent: bool) {
        let Some(asked) = self.asked.take() else { return };
        let wait =
            if urgent { hurried(&self.check) } else { steady(&self.check, self.seed, self.index, self.turn) };
        self.next = now.max(asked + wait);
    }

    /// The question could not be put.
    pub(super) fn unasked(&mut self, now: Moment) {
        self.end(now, false);
    }

    /// A right answer came.
    pub(super) fn answered(&mut self, now: Moment, events: &mut Vec<Event>) {
        if self.asked.is_none() {
            return;
        }
        self.answers = self.answers.saturating_add(1);
        self.failures = 0;
        self.end(now, false);
        self.come_back(now, events);
    }

    /// None came.
    pub(super) fn failed(&mut self, now: Moment, why: Failure, events: &mut Vec<Event>) {
        if self.asked.is_none() {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.answers = 0;
        if !self.down && self.failures >= self.check.fall {
            events.push(Event::Down { shard: self.index, why, failures: self.failures });
            self.go_down(now, events);
        }
        self.end(now, !self.down);
    }

    fn go_down(&mut self, now: Moment, events: &mut Vec<Event>) {
        let up_for = now.saturating_sub(self.since);
        (self.down, self.since, self.ramp) = (true, now, None);
        let Some(Damping { flaps, within, hold }) = self.check.damping else { return };
        if up_for >= within.max(hold) {
            self.holds = 0;
        }
        self.flaps.push_back(now);
        while self.flaps.front().is_some_and(|flap| now.saturating_sub(*flap) > within) {
            self.flaps.pop_front();
        }
        if self.flaps.len() >= usize::try_from(flaps).unwrap_or(usize::MAX) {
            let span = hold.saturating_mul(1 << self.holds.min(DOUBLED));
            self.holds = self.holds.saturating_add(1);
            self.held = Some(now.saturating_add(span));
            self.flaps.clear();
            events.push(Event::Held { shard: self.index, span });
        }
    }

    /// Whether it has answered often enough to be used again.
    fn is_back(&self) -> bool {
        self.down && self.answers >= self.check.rise
    }

    /// Ends what is over, and lets it back in where it may come.
    pub(super) fn pass(&mut self, now: Moment, events: &mut Vec<Event>) {
        if let Some((since, had)) = self.ramp {
            let steps = self.steps(since, now);
            if steps != had {
                self.ramp = (steps <= STEPS).then_some((since, steps));
                events.push(Event::Ramp { shard: self.index, share: share(steps) });
            }
        }
        self.come_back(now, events);
    }

    fn come_back(&mut self, now: Moment, events: &mut Vec<Event>) {
        if self.held.is_some_and(|until| until <= now) {
            self.held = None;
        }
        if !self.is_back() || self.held.is_some() {
            return;
        }
        let after = now.saturating_sub(self.since);
        (self.down, self.since) = (false, now);
        events.push(Event::Up { shard: self.index, answers: self.answers, after });
    }

    /// Begins with a small share: it was out, and is not any more.
    pub(super) fn begin_ramp(&mut self, now: Moment) {
        if !self.check.slow_start.is_zero() {
            self.ramp = Some((now, 1));
        }
    }

    /// How many steps of its share a shard has at `now` that came back at `since`; one more than all of them once that is over.
    fn steps(&self, since: Moment, now: Moment) -> u32 {
        let passed = now.saturating_sub(since);
        if passed >= self.check.slow_start {
            return STEPS + 1;
        }
        let step = (self.check.slow_start / STEPS).as_nanos();
        let steps = passed.as_nanos().checked_div(step).and_then(|steps| u32::try_from(steps).ok());
        steps.map_or(STEPS, |steps| steps.saturating_add(1).min(STEPS))
    }

    /// When a shard that has so many steps has one more.
    fn grows(&self, (since, steps): (Moment, u32)) -> Moment {
        let span = self.check.slow_start;
        since + if steps < STEPS { span / STEPS * steps } else { span }
    }

    /// Whether it is down.
    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// How it is; `doubted` where a pool of its is.
    pub(super) fn condition(&self, doubted: bool) -> Condition {
        match (self.down, doubted, self.held, self.ramp) {
            (true, true, ..) => Condition::Doubted,
            (true, false, Some(until), _) => Condition::Held { until },
            (true, false, None, _) => Condition::Down,
            (false, _, _, Some((_, steps))) => Condition::Ramp { share: share(steps) },
            (false, _, _, None) => Condition::Up,
        }
    }

    /// What the kernel is to do about it; `doubted` where a pool of its is.
    pub(super) fn wanted(&self, doubted: bool) -> Option<Wanted> {
        match self.condition(doubted) {
            Condition::Down | Condition::Held { .. } => Some(Wanted::Down),
            Condition::Ramp { share } => Some(Wanted::Recovering { share }),
            Condition::Up | Condition::Doubted => None,
        }
    }

    /// Until when an answer is waited for.
    #[cfg(test)]
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.asked.map(|asked| asked + self.check.timeout)
    }
}

/// So many steps of a share, of 255.
fn share(steps: u32) -> u8 {
    u8::try_from(steps * u32::from(u8::MAX) / STEPS).unwrap_or(u8::MAX)
}
