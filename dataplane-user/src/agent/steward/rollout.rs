//! Changes that are made in steps: whose turn it is, what is counted of them, and whether that goes on or back.
//!
//! ```text
//!  apply ─> stage: moves whose turn has not come are held ─> step 0 ─> watched ─> step 1 ─> ... ─> the rest
//!                                                                 └─> turned back: the rollback that operators have
//! ```
//! A step is recorded before its moves are released, so that an agent that ends in between is followed by one that releases them. A host
//! that is started anew amid the steps, or an agent that cannot take the programs over, begins with the policy before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keysteer_common::migrate::Move;
use keysteer_common::vocabulary::CLASSES;

use super::moves::UnderWay;
use super::planning::Draft;
use super::{ChangeError, Desk, Steward};
use crate::agent::meter::{Cause, Source as _};
use crate::control::types::{Promoted, RolloutStatus};
use crate::image::Names;
use crate::migration::Turn;
use crate::policy::{Bundle, Rollout};
use crate::rollout::{Counted, Turns, judge};
use crate::state::audit::{Event, Outcome};
use crate::state::generations::{Record, Rolling};
use crate::state::{StateError, Timestamp, Who};

/// How long a flow that opened has to be answered: an opening that is lost is sent again after a second (RFC 6298).
const ANSWERED: Duration = Duration::from_secs(3);
/// How often drops are read.
const DROPS: Duration = Duration::from_secs(2);
/// After how long it is tried again to go back, where that failed.
const AGAIN: Duration = Duration::from_secs(30);

/// The steps of the change that is made.
#[derive(Debug)]
pub(super) struct Steps {
    number: u64,
    rollout: Rollout,
    turns: Turns,
    rolling: Rolling,
    /// Flows of the step's keys that had opened by a moment: the oldest is [`ANSWERED`] ago.
    opened: VecDeque<(Instant, u64)>,
    drops: Drops,
    counted: Counted,
    failed: Option<Instant>,
}

/// Packets and drops of the keys that have moved.
#[derive(Debug, Default)]
struct Drops {
    /// When the step began, or this agent.
    first: Option<(u64, u64)>,
    /// How often they were read since.
    reads: u32,
    looked: Option<Instant>,
}

impl Steps {
    fn new(number: u64, rollout: Rollout, turns: Turns, rolling: Rolling) -> Self {
        Self {
            number,
            rollout,
            turns,
            rolling,
            opened: VecDeque::new(),
            drops: Drops::default(),
            counted: Counted::default(),
            failed: None,
        }
    }

    /// The generation.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How long the step has been watched, and how long it is to be.
    fn watched(&self) -> (Duration, Duration) {
        let lasts = self.rollout.steps.get(self.rolling.step).map_or(Duration::ZERO, |step| step.lasts);
        (Timestamp::now().since(self.rolling.since), lasts)
    }

    /// Whether it has been watched for long enough, drops included.
    fn is_over(&self) -> bool {
        let (watched, lasts) = self.watched();
        watched >= lasts && (self.rollout.abort_if.drops.is_none() || self.drops.reads > 1)
    }

    /// Whose turn has come.
    fn turn(&self, at: u32) -> Turn {
        match self.turns.of(at) {
            step if step > self.rolling.step => Turn::Held,
            step if step == self.rolling.step => Turn::Watched,
            _ => Turn::Free,
        }
    }

    /// Begins a step, which is recorded and whose keys are released.
    fn begin(&mut self, rolling: Rolling) {
        self.rolling = rolling;
        self.opened.clear();
        (self.drops, self.counted) = (Drops::default(), Counted::default());
    }

    /// Takes what was counted of the flows of the step's keys.
    fn count(&mut self, moving: &UnderWay) {
        let units = moving.progress.units().iter().filter(|unit| unit.turn() == Turn::Watched);
        let (mut opened, mut proved) = (0, 0);
        let counted = &mut self.counted;
        (counted.slow, counted.resets) = (0, 0);
        for unit in units.map(|unit| unit.counted) {
            opened += unit.pinned;
            proved += unit.proved;
            counted.slow += unit.again;
            counted.resets += unit.resets;
        }
        let now = Instant::now();
        // A program in the place of the one before, for an operator's first word, counts from nothing.
        if self.opened.back().is_some_and(|(_, before)| opened < *before) {
            self.opened.clear();
        }
        self.opened.push_back((now, opened));
        while self.opened.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= ANSWERED) {
            self.opened.pop_front();
        }
        let settled = self.opened.front().filter(|(at, _)| now.duration_since(*at) >= ANSWERED);
        counted.flows = settled.map_or(0, |(_, opened)| *opened);
        counted.failed = counted.flows.saturating_sub(proved);
    }

    fn status(&self) -> RolloutStatus {
        let (watched, lasts) = self.watched();
        let step = self.rolling.step;
        let moved = self.turns.until(step).count();
        RolloutStatus {
            generation: self.number,
            step: step as u64 + 1,
            steps: self.rollout.steps.len() as u64,
            cohort: self.rollout.steps.get(step).map_or_else(String::new, |step| step.cohort.text()),
            since: self.rolling.since.to_string(),
            seconds_left: lasts.saturating_sub(watched).as_secs(),
            moved: moved as u64,
            held: (self.turns.all() - moved) as u64,
            flows: self.counted.flows,
            failed: self.counted.failed,
            slow: self.counted.slow,
            resets: self.counted.resets,
            packets: self.counted.packets,
            dropped: self.counted.dropped,
            shards_down: self.counted.down.into(),
        }
    }
}

/// The name of the key that a move is of.
fn key_of(names: &Names, at: u32) -> Option<&str> {
    names.key(at.checked_sub(CLASSES as u32)?).map(|key| key.name.as_str())
}

impl Desk {
    /// Records how the steps of generation `number` ended, if it had any.
    pub(super) fn end_steps(&mut self, number: u64, how: &str) -> Result<(), StateError> {
        let Some(record) = self.generations.get(number) else { return Ok(()) };
        let mut record = record.clone();
        match &mut record.rollout {
            Some(rolling) if rolling.ended.is_none() => rolling.ended = Some(how.to_owned()),
            _ => return Ok(()),
        }
        self.generations.put(record)
    }
}

/// The bundle that is loaded in place of generation `number`, whose programs are not there: its own, or, amid its steps, that of the
/// generation before.
pub(super) fn without_steps(desk: &mut Desk, number: u64, bundle: Bundle) -> Result<Bundle, ChangeError> {
    let rolling = desk.generations.get(number).and_then(|record| record.rollout.as_ref());
    let (Some(last), true) = (desk.generations.last(), rolling.is_some_and(|it| it.ended.is_none())) else {
        return Ok(bundle);
    };
    let last = last.number;
    if desk.live() != Some(number) {
        return Ok(bundle);
    }
    let before: Bundle = desk.generations.bundle(last)?;
    let why = "its programs were gone before its steps were over";
    desk.end_steps(number, why)?;
    desk.generations.swap()?;
    desk.placement = desk.generations.placement(last)?.map(Arc::new);
    desk.journal(Event {
        from: Some(number),
        to: Some(last),
        reason: Some(why.to_owned()),
        ..Event::new(Who::this(), "rollback", Outcome::Ok)
    })?;
    Ok(before)
}

impl Steward {
    /// Holds the moves of a change back whose turn does not come at once, where its policy has steps and anything moves.
    pub(super) fn stage(&self, draft: &mut Draft) {
        let Some(rollout) = &draft.policy.rollout else { return };
        let image = &mut draft.compiled.image;
        let moving = || (0_u32..).zip(&image.moves.words).filter(|(_, word)| **word != 0).map(|(at, _)| at);
        if moving().next().is_none() {
            return;
        }
        let named = moving().map(|at| (at, key_of(&image.names, at)));
        let (turns, bounds) = Turns::new(rollout, &draft.digest, named);
        let first = (0..=rollout.steps.len()).find(|step| turns.at(*step) > 0).unwrap_or_default();
        // Where none of the steps has anybody, all is the rest.
        if first == rollout.steps.len() {
            return;
        }
        for (at, word) in (0_u32..).zip(&mut image.moves.words) {
            *word = if *word == 0 { 0 } else { Move(*word).held(turns.of(at) > first).0 };
        }
        let down = self.down().into_iter().collect();
        let rolling = Rolling { step: first, since: Timestamp::now(), bounds, down, ended: None };
        draft.rollout = Some((rolling, turns));
    }

    /// Takes up the steps of generation `number`, which has just come into force.
    pub(super) fn take_up_steps(&self, desk: &mut Desk, number: u64, rolling: Rolling, turns: Turns) {
        let rollout = desk.policy.as_ref().and_then(|policy| policy.rollout.clone());
        let (Some(rollout), Some(moving)) = (rollout, &mut desk.moving) else { return };
        let steps = Steps::new(number, rollout, turns, rolling);
        moving.progress.turn(Duration::ZERO, |at| steps.turn(at));
        tracing::info!(
            generation = number,
            step = steps.rolling.step + 1,
            keys = steps.turns.until(steps.rolling.step).count(),
            of = steps.turns.all(),
            "keys move in steps"
        );
        desk.rolling = Some(steps);
        self.post_steps(desk);
    }

    /// Goes on with the steps of generation `number`, which was taken over.
    pub(super) fn resume_steps(&self, desk: &mut Desk, number: u64) -> Result<(), ChangeError> {
        let record = desk.generations.get(number);
        let rolling = record.and_then(|record| Some((record.rollout.clone()?, record.bundle.clone())));
        let Some((rolling, salt)) = rolling.filter(|(rolling, _)| rolling.ended.is_none()) else {
            return Ok(());
        };
        let Some(rollout) = desk.policy.as_ref().and_then(|policy| policy.rollout.as_ref()) else {
            return Ok(());
        };
        let moves = self.ground().moves(number).map_err(ChangeError::Kernel)?;
        let names = &self.node().names;
        let named = moves.iter().map(|(_, at)| (*at, key_of(names, *at)));
        let turns = Turns::again(rollout, &salt, &rolling.bounds, named);
        let released: Vec<u32> = turns.until(rolling.step).map(|(at, _)| at).collect();
        self.ground().release_moves(number, &released).map_err(ChangeError::Kernel)?;
        self.take_up_steps(desk, number, rolling, turns);
        Ok(())
    }

    /// Shows how far it is.
    pub(super) fn post_steps(&self, desk: &Desk) {
        let status = desk.rolling.as_ref().map(|steps| Arc::new(steps.status()));
        self.board.post(|posted| posted.rollout = status);
    }

    /// Whether a change is made in steps, which the next one waits for.
    pub fn is_rolling_out(&self) -> bool {
        self.board.read().rollout.is_some()
    }

    /// Looks at what was counted: turns the change back, or has the next step's turn come.
    pub(super) fn look_at_steps(&self, desk: &mut Desk) {
        let (Some(steps), Some(moving)) = (&mut desk.rolling, &desk.moving) else { return };
        if steps.failed.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        steps.count(moving);
        if let Err(error) = self.count_drops(steps) {
            tracing::error!(%error, "the drops of keys that have moved cannot be read");
        }
        let down = self.down();
        let news = down.iter().filter(|shard| !steps.rolling.down.contains(shard)).count();
        steps.counted.down = u32::try_from(news).unwrap_or(u32::MAX);
        if let Some(why) = judge(&steps.rollout, &steps.counted) {
            let step = steps.rolling.step + 1;
            self.turn_back(desk, &format!("step {step}: {why}"));
        } else if steps.is_over()
            && let Err(error) = self.next_step(desk, &Who::this(), "its time is over")
        {
            tracing::error!(%error, "the next keys cannot be moved");
        }
        self.post_steps(desk);
    }

    fn count_drops(&self, steps: &mut Steps) -> Result<(), Cause> {
        if steps.rollout.abort_if.drops.is_none() || steps.drops.looked.is_some_and(|at| at.elapsed() < DROPS)
        {
            return Ok(());
        }
        steps.drops.looked = Some(Instant::now());
        let counted = self.ground().counted();
        let snapshot = counted.all()?;
        let ids = steps.turns.until(steps.rolling.step).filter_map(|(at, _)| at.checked_sub(CLASSES as u32));
        let (mut packets, mut dropped) = (0, 0);
        for id in ids.map(|id| id as usize) {
            packets += snapshot.keys.get(id).map_or(0, |key| key.packets);
            let drops = snapshot.events.get(id).map(|events| &events.drops);
            dropped += drops.into_iter().flatten().map(|drops| drops.packets).sum::<u64>();
        }
        let first = *steps.drops.first.get_or_insert((packets, dropped));
        steps.drops.reads += 1;
        steps.counted.packets = packets.saturating_sub(first.0);
        steps.counted.dropped = dropped.saturating_sub(first.1);
        Ok(())
    }

    /// Goes back to the generation before.
    pub(super) fn turn_back(&self, desk: &mut Desk, why: &str) {
        let Some(number) = desk.rolling.as_ref().map(Steps::number) else { return };
        tracing::error!(generation = number, why, "a change that is made in steps is taken back");
        if let Err(error) = self.go_back(desk, &Who::this(), Some(why)) {
            tracing::error!(%error, "it cannot be taken back");
            if let Some(steps) = &mut desk.rolling {
                steps.failed = Some(Instant::now());
            }
        }
    }

    /// Has the next step's turn come.
    fn next_step(&self, desk: &mut Desk, who: &Who, why: &str) -> Result<(), ChangeError> {
        let (Some(steps), Some(moving)) = (&mut desk.rolling, &mut desk.moving) else { return Ok(()) };
        let (number, all) = (steps.number, steps.rollout.steps.len());
        // A step that takes nobody along is none.
        let next = (steps.rolling.step + 1..all).find(|step| steps.turns.at(*step) > 0).unwrap_or(all);
        let done = next == all;
        let ended = done.then(|| "all keys have moved".to_owned());
        let rolling = Rolling { step: next, since: Timestamp::now(), ended, ..steps.rolling.clone() };
        let released: Vec<(u32, usize)> = steps.turns.until(next).collect();
        if let Some(record) = desk.generations.get(number).cloned() {
            desk.generations.put(Record { rollout: Some(rolling.clone()), ..record })?;
        }
        let indices: Vec<u32> = released.iter().map(|(at, _)| *at).collect();
        // Those that are over have no word any more, and a word of nothing stays one.
        self.ground().release_moves(number, &indices).map_err(ChangeError::Kernel)?;
        // Only now: where one of these failed, the step before is still the one that is watched, and the next look tries again.
        steps.begin(rolling);
        moving.progress.turn(moving.began.elapsed(), |at| if done { Turn::Free } else { steps.turn(at) });
        let news = released.iter().filter(|(_, step)| *step == next).count();
        let detail = if done {
            format!("all keys move: {news} more ({why})")
        } else {
            format!("step {} of {all}: {news} keys more ({why})", next + 1)
        };
        tracing::info!(generation = number, "{detail}");
        if done {
            desk.rolling = None;
        }
        self.post_steps(desk);
        self.post(desk);
        desk.journal(Event {
            to: Some(number),
            detail: Some(detail),
            ..Event::new(who.clone(), if done { "rolled-out" } else { "rollout-step" }, Outcome::Ok)
        })?;
        Ok(())
    }

    /// Has the next step's turn come before its time, or that of all.
    ///
    /// # Errors
    /// No change is made in steps, or it cannot be recorded or released.
    pub fn promote(&self, who: &Who, all: bool) -> Result<Promoted, ChangeError> {
        let mut desk = self.free_desk()?;
        let Some(steps) = &desk.rolling else {
            let none = "no change is made in steps: `keysteer status` shows what is in force";
            return Err(ChangeError::Unknown(none.to_owned()));
        };
        let (generation, many) = (steps.number, steps.rollout.steps.len() as u64);
        while desk.rolling.is_some() {
            self.next_step(&mut desk, who, "an operator says so")?;
            if !all {
                break;
            }
        }
        let step = desk.rolling.as_ref().map(|steps| steps.rolling.step as u64 + 1);
        Ok(Promoted { generation, step, steps: many })
    }
}
