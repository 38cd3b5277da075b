//! Generations whose keys are moving: variants that find flows where they are, and their end.

use keysteer_common::migrate::Move;

use super::Steering;
use crate::image::{Image, Moves};
use crate::kernel::KernelError;
use crate::kernel::flows::{Flows, Left, Room};
use crate::kernel::load::Variant;
use crate::kernel::pins::PinError;

/// Which pins are let go, and what they are dated by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Seconds, counted by the agent.
    pub seconds: u32,
    /// Number of the span that flows are counted in.
    pub span: u32,
    /// After how many seconds of silence a proved flow is forgotten.
    pub idle: u32,
    /// And one that was only offered.
    pub handshake: u32,
}

/// What there is to see of moving keys.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How full the memory of flows is.
    pub room: Room,
    /// By unit.
    pub units: Vec<Left>,
}

impl Steering {
    /// Puts a variant of generation `number` in its place in which `moves` are under way, or none.
    ///
    /// # Errors
    /// The kernel refuses; the generation is as it was.
    pub fn set_moves(&mut self, number: u64, moves: Option<Moves>) -> Result<(), KernelError> {
        let old = self.generation(number)?;
        let mut tables = Image { tc: old.about.shape.tc, ..old.tables_in_force()? };
        tables.migrate(moves);
        self.vary(number, &tables)
    }

    /// Puts a variant of generation `number` in its place that has these tables.
    ///
    /// # Errors
    /// As [`Steering::set_moves`].
    pub fn vary(&mut self, number: u64, tables: &Image) -> Result<(), KernelError> {
        let Some((set, it)) = self.sets.iter().next_back() else {
            return Err(KernelError::other("load a variant", "there are no counters"));
        };
        let (set, capacity) = (self.pins.counters(*set), it.capacity);
        let words = self.words()?;
        // A policy may foresee words that are not there yet.
        let overlay = tables.config.overlay != 0 || !words.is_empty();
        let variant = Variant { overlay, counters: Some((&set, capacity)), ..Variant::default() };
        let new = self.generation(number)?.load_like(tables, variant)?;
        self.take_place(number, new)
    }

    /// Whether keys are moving in generation `number`.
    ///
    /// # Errors
    /// There is none.
    pub fn is_migrating(&self, number: u64) -> Result<bool, KernelError> {
        Ok(self.generation(number)?.about.shape.config.migrating != 0)
    }

    /// The moves of generation `number` that are under way: unit and index of each.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn moves(&self, number: u64) -> Result<Vec<(u32, u32)>, KernelError> {
        let moves = self.generation(number)?.moves_in_force()?;
        let moves = (0..).zip(moves.words).map(|(at, word)| (Move(word).unit(), at));
        let mut moves: Vec<_> = moves.filter(|(unit, _)| *unit != 0).collect();
        moves.sort_unstable();
        Ok(moves)
    }

    /// Looks at what moves in generation `number`, and lets flows go that have been silent.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn see_moves(&mut self, number: u64, tick: Tick) -> Result<Seen, KernelError> {
        let Some(mut flows) = Flows::open(&self.pins.flows())? else { return Ok(Seen::default()) };
        flows.set_epoch(tick.seconds, tick.span);
        let stale = |pin: &keysteer_common::pin::Pin, age: u32| {
            age > if pin.proved.is() { tick.idle } else { tick.handshake }
        };
        let room = flows.sweep(stale)?;
        let units = self.generation(number)?.moving(tick.span)?;
        Ok(Seen { room, units })
    }

    /// What flows are dated by: seconds and span, as they were set last.
    ///
    /// # Errors
    /// The kernel does not let the map be mapped.
    pub fn epoch(&self) -> Result<(u32, u32), KernelError> {
        Ok(Flows::open(&self.pins.flows())?.map_or((0, 0), |flows| flows.epoch()))
    }

    /// Ends moves of generation `number`, by their indices.
    ///
    /// # Errors
    /// The kernel does not let the map be mapped.
    pub fn end_moves(&mut self, number: u64, indices: &[u32]) -> Result<(), KernelError> {
        self.generation(number)?.end_moves(indices)
    }

    /// Has the turn of moves of generation `number` come, by their indices.
    ///
    /// # Errors
    /// The kernel does not let the map be mapped.
    pub fn release_moves(&mut self, number: u64, indices: &[u32]) -> Result<(), KernelError> {
        self.generation(number)?.release_moves(indices)
    }

    /// Forgets all flows, once nothing moves.
    ///
    /// # Errors
    /// The pins cannot be removed.
    pub fn forget_flows(&mut self) -> Result<(), KernelError> {
        let path = self.pins.flows();
        self.pins.remove(&path).map_err(|error: PinError| error.into())
    }
}
