//! Migrations: what moves with a change, and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keysteer_common::account::Counter;
use keysteer_common::migrate::shard_unit;
use keysteer_common::vocabulary::{CLASSES, Class};

use super::{ChangeError, Desk, Made, Steward};
use crate::agent::ground::Ground;
use crate::agent::meter::{Cause, Source as _};
use crate::control::types::{KeyMoving, MigrationStatus};
use crate::image::{Image, Moves, Names};
use crate::kernel::flows::{Left, Room};
use crate::kernel::{Seen, Tick};
use crate::migration::{Ended, Progress, Settings, Unit, begin, units_of_shards};
use crate::policy::{Bundle, Migration, Policy, Udp};
use crate::state::audit::{Event, Outcome};
use crate::state::{Timestamp, Who};

/// After how many seconds a flow is forgotten that was opened and never went on.
const HANDSHAKE: u32 = 10;

/// How many keys that move are shown one by one.
const SHOWN: usize = 100;

/// A migration under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    number: u64,
    pub(super) progress: Progress,
    settings: Migration,
    since: Timestamp,
    pub(super) began: Instant,
    /// What flows are dated by at that moment.
    epoch: (u32, u32),
    room: Room,
    looked: Instant,
    /// By index the shards that are back.
    returns: BTreeMap<u32, Return>,
}

/// A shard that is back.
#[derive(Clone, Copy, Debug)]
struct Return {
    /// Since when.
    since: Duration,
    /// What went elsewhere of what it had lost.
    left: Counter,
    /// Since when nothing does.
    quiet_since: Duration,
}

impl UnderWay {
    /// Goes on with what moves in generation `number`, of which `spent` has passed.
    pub(super) fn resume(
        ground: &dyn Ground,
        number: u64,
        settings: Migration,
        since: Timestamp,
        spent: Duration,
    ) -> Result<Self, ChangeError> {
        let moves = ground.moves(number).map_err(ChangeError::Kernel)?;
        let deadline = settings.deadline.saturating_sub(spent);
        let now = Instant::now();
        Ok(Self {
            number,
            progress: Progress::new(moves, settings.idle, deadline),
            settings,
            since,
            began: now,
            epoch: ground.epoch().map_err(ChangeError::Kernel)?,
            room: Room::default(),
            looked: now,
            returns: BTreeMap::new(),
        })
    }

    fn tick(&self) -> Tick {
        let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let idle = seconds(self.settings.idle).max(1);
        let passed = seconds(self.began.elapsed());
        let (before, span) = self.epoch;
        Tick {
            seconds: before.wrapping_add(passed),
            span: span.wrapping_add(passed / idle),
            idle,
            handshake: HANDSHAKE,
        }
    }

    fn status(&self, names: &Names) -> MigrationStatus {
        let remaining = self.progress.remaining();
        let units = self.progress.units();
        let sum = |part: fn(&Left) -> u64| units.iter().map(|unit| part(&unit.counted)).sum();
        let mut moving: Vec<&Unit> = self.progress.moving().collect();
        moving.sort_by_key(|unit| std::cmp::Reverse((unit.counted.flows(), unit.counted.left.packets)));
        let keys = moving.iter().take(SHOWN).map(|unit| KeyMoving {
            key: name(names, unit.at),
            left: unit.counted.left.into(),
            flows: unit.counted.flows(),
            pinned: unit.counted.pinned,
            without_room: unit.counted.full,
        });
        MigrationStatus {
            generation: self.number,
            since: self.since.to_string(),
            moving: remaining.moving as u64,
            of: remaining.of as u64,
            flows: remaining.flows,
            left: Counter { packets: sum(|it| it.left.packets), bytes: sum(|it| it.left.bytes) }.into(),
            pinned: sum(|it| it.pinned),
            without_room: sum(|it| it.full),
            pins: self.room.used,
            room: self.room.room,
            cut: self.progress.cut(),
            seconds_at_least: remaining.at_least.as_secs(),
            seconds_at_most: remaining.at_most.as_secs(),
            keys: keys.collect(),
        }
    }
}

/// What a move is called.
fn name(names: &Names, at: u32) -> String {
    match at.checked_sub(CLASSES as u32) {
        None => Class::from_number(at as u8).map_or("_fragments", Class::name).to_owned(),
        Some(id) => names.key(id).map_or_else(|| format!("key {id}"), |key| key.name.clone()),
    }
}

/// What moves when `image`, of `policy`, takes the place of `live`; it then has that under way.
///
/// Where shards are `unwell` it finds flows where they are in any case, so that they can come back.
pub(super) fn migrate(
    live: &Image,
    policy: &Policy,
    image: &mut Image,
    exists: &dyn Fn(u32) -> bool,
    unwell: bool,
) {
    let Some(Migration { pins, .. }) = policy.migration else { return };
    let holding: Vec<u32> = image
        .names
        .tables
        .iter()
        .filter(|table| policy.pools.iter().any(|pool| pool.name == table.pool && pool.udp == Udp::Hold))
        .map(|table| table.first)
        .collect();
    let holds = |first: u32| holding.contains(&first);
    let moves = begin(live, image, &Settings { pins, holds: &holds, exists });
    let none = || Moves { units: units_of_shards(live, image), pins, ..Moves::default() };
    let moves = moves.or_else(|| unwell.then(none));
    image.migrate(moves);
}

impl Steward {
    /// Whether there is an interface of an index.
    pub(super) fn has_interface(&self) -> Result<impl Fn(u32) -> bool + use<>, ChangeError> {
        let now = self.platform.interfaces().map_err(ChangeError::Kernel)?;
        Ok(move |index| now.iter().any(|interface| interface.index == index))
    }

    /// Takes up what moves in generation `number`, which has just come into force, if anything does.
    pub(super) fn take_up_moves(&self, desk: &mut Desk, number: u64) -> Result<(), ChangeError> {
        let mut ground = self.ground();
        let settings = desk.policy.as_ref().and_then(|policy| policy.migration);
        self.finds_flows(settings.is_some() && ground.is_migrating(number).map_err(ChangeError::Kernel)?);
        desk.moving = match settings {
            Some(settings) if ground.is_migrating(number).map_err(ChangeError::Kernel)? => {
                let (now, none) = (Timestamp::now(), Duration::ZERO);
                Some(UnderWay::resume(&**ground, number, settings, now, none)?)
            }
            _ => {
                if desk.moving.is_some() {
                    ground.forget_flows().map_err(ChangeError::Kernel)?;
                }
                None
            }
        };
        desk.rolling = None;
        self.post_steps(desk);
        self.post_moves(desk);
        Ok(())
    }

    /// Shows how far it is.
    pub(super) fn post_moves(&self, desk: &Desk) {
        // What only waits for a shard to come back moves no key.
        let moving = desk.moving.as_ref().filter(|it| it.progress.moving().next().is_some());
        let status = moving.map(|it| Arc::new(it.status(&self.node().names)));
        self.board.post(|posted| posted.migration = status);
    }

    /// Looks at what moves: ends what is quiet, and the whole once all is.
    pub(super) fn look_at_moves(&self, desk: &mut Desk) {
        if let Err(error) = self.ready_for_returns(desk) {
            tracing::error!(%error, "shards that come back will take their flows from others: no program can be loaded that leaves them");
        }
        let Some(moving) = &mut desk.moving else { return };
        if moving.looked.elapsed() < EVERY {
            return;
        }
        moving.looked = Instant::now();
        let number = moving.number;
        let looked = {
            let mut ground = self.ground();
            let tick = moving.tick();
            ground.see_moves(number, tick).and_then(|Seen { room, units }| {
                moving.room = room;
                self.look_at_returns(moving, &units)?;
                let ended = moving.progress.look(moving.began.elapsed(), &units);
                if !ended.moves.is_empty() {
                    ground.end_moves(number, &ended.moves)?;
                }
                Ok(ended)
            })
        };
        let Ended { moves, cut, all } = match looked {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "keys that move cannot be looked at");
                return;
            }
        };
        if !moves.is_empty() {
            tracing::info!(
                generation = number,
                keys = moves.len(),
                cut,
                "moved: nothing is left on shards before"
            );
        }
        self.look_at_steps(desk);
        if all && self.unwell().is_empty() {
            match self.end_migration(desk) {
                Ok(()) => {}
                // As it is, nothing moves any more; only the steady program is not there yet.
                Err(error) => tracing::error!(%error, "a migration cannot be ended"),
            }
        }
        self.post_moves(desk);
    }

    /// Has a program in force that finds flows where they are, while shards are unwell: then they can come back without taking flows from others.
    fn ready_for_returns(&self, desk: &mut Desk) -> Result<(), ChangeError> {
        let settings = desk.policy.as_ref().and_then(|policy| policy.migration);
        let (Some(settings), Some(number), None) = (settings, desk.live(), &desk.moving) else {
            return Ok(());
        };
        if self.unwell().is_empty() {
            return Ok(());
        }
        let mut ground = self.ground();
        let shards = u32::try_from(ground.tables(number).map_err(ChangeError::Kernel)?.shards.len());
        let units = shards.unwrap_or(u32::MAX - 1) + 1;
        let moves = Moves { units, pins: settings.pins, ..Moves::default() };
        ground.set_moves(number, Some(moves)).map_err(ChangeError::Kernel)?;
        let (now, none) = (Timestamp::now(), Duration::ZERO);
        desk.moving = Some(UnderWay::resume(&**ground, number, settings, now, none)?);
        self.finds_flows(true);
        Ok(())
    }

    /// Lets shards be whole again whose lost flows have been quiet elsewhere, or have had the time that moves have.
    fn look_at_returns(&self, moving: &mut UnderWay, units: &[Left]) -> Result<(), Cause> {
        let now = moving.began.elapsed();
        let returned = self.returned();
        moving.returns.retain(|index, _| returned.contains(index));
        for index in returned {
            let unit = u16::try_from(index).map_or(0, shard_unit);
            let left = units.get(unit as usize).map_or_else(Counter::default, |unit| unit.left);
            let back = moving.returns.entry(index).or_insert(Return { since: now, left, quiet_since: now });
            if back.left != left {
                (back.left, back.quiet_since) = (left, now);
            }
            let Migration { idle, deadline, .. } = moving.settings;
            if now.saturating_sub(back.quiet_since) >= idle || now.saturating_sub(back.since) >= deadline {
                self.is_whole(index)?;
            }
        }
        Ok(())
    }

    /// Puts the steady program in the place of the one that moves keys.
    pub(super) fn end_migration(&self, desk: &mut Desk) -> Result<(), ChangeError> {
        let Some(moving) = &desk.moving else { return Ok(()) };
        let (number, cut) = (moving.number, moving.progress.cut());
        let moved = !moving.progress.units().is_empty();
        let bundle: Bundle = desk.generations.bundle(number)?;
        let Made { mut compiled, .. } = self.compile_at(desk, number, &bundle)?;
        compiled.image.heed(self.heeds(desk.words()));
        {
            let mut ground = self.ground();
            ground.vary(number, &compiled.image).map_err(ChangeError::Kernel)?;
            ground.forget_flows().map_err(ChangeError::Kernel)?;
        }
        desk.moving = None;
        self.finds_flows(false);
        if !moved {
            return Ok(());
        }
        desk.journal(Event {
            to: Some(number),
            detail: Some(match cut {
                0 => "no flow was cut off".to_owned(),
                cut => format!("about {cut} flows were cut off at the deadline"),
            }),
            ..Event::new(Who::this(), "migrated", Outcome::Ok)
        })?;
        Ok(())
    }

    /// Makes generation `number` ready to be gone back to: flows stay where they are. Nothing is loaded where nothing moves.
    pub(super) fn ready_to_go_back(&self, desk: &mut Desk, number: u64) -> Result<(), ChangeError> {
        let graceful = desk.policy.as_ref().is_some_and(|policy| policy.migration.is_some());
        let Some(live) = desk.live().filter(|_| graceful) else { return Ok(()) };
        let live = self.ground().tables(live).map_err(ChangeError::Kernel)?;
        let exists = self.has_interface()?;
        let quick = {
            let ground = self.ground();
            let mut there = ground.tables(number).map_err(ChangeError::Kernel)?;
            let settings = Settings { pins: 1, holds: &|_| false, exists: &exists };
            let moves: Option<Moves> = begin(&live, &mut there, &settings);
            moves.is_none()
                && self.unwell().is_empty()
                && !ground.is_migrating(number).map_err(ChangeError::Kernel)?
        };
        if quick {
            return Ok(());
        }
        let bundle: Bundle = desk.generations.bundle(number)?;
        let Made { policy, mut compiled, .. } = self.compile_at(desk, number, &bundle)?;
        compiled.image.heed(self.heeds(desk.words()));
        migrate(&live, &policy, &mut compiled.image, &exists, !self.unwell().is_empty());
        self.ground().vary(number, &compiled.image).map_err(ChangeError::Kernel)
    }
}

/// How often keys that move are looked at.
const EVERY: Duration = Duration::from_millis(900);
