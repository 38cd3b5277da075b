//! Slot tables: one for each pool and width that something uses, and one for each set of shards that keys are pinned to.
//!
//! A set's table has a row for each of its shards, which begins with that one; keys have a row by their slot. It falls back
//! to nowhere, a table without shards that all sets share, so that their keys never leave them: 2 bytes for each pair of a
//! set's shards, and 128 KiB once.

use std::collections::HashMap;

use keysteer_common::headers::NO_SHARD;
use keysteer_common::tables::{SLOT_TABLES, SLOTS, Slot, SlotTable, WIDTH_ALL};

use super::CompileError;
use crate::image::TableInfo;
use crate::placement::Placement;
use crate::policy::{Key, Policy, Width};

/// Slot tables as they are asked for.
#[derive(Debug)]
pub(super) struct Slots<'p> {
    policy: &'p Policy,
    /// The index of each of its shards.
    indices: &'p [u16],
    placement: &'p Placement,
    slots: Vec<Slot>,
    first: HashMap<(usize, u16), u32>,
    numbers: HashMap<(u32, u32), u16>,
    /// The slot table of each set.
    sets: HashMap<&'p [usize], u16>,
    /// Where the slots without shards begin.
    nowhere: Option<u32>,
    list: Vec<SlotTable>,
    names: Vec<TableInfo>,
}

/// How a key finds its shard.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Width 1: by its slot in the table that begins at `first`.
    One {
        /// Its first slot.
        first: u32,
        /// Number of the slot table that spreads over the pool, for fall-backs.
        table: u16,
    },
    /// Width 1: to this shard, whatever the pool's table says.
    Pinned {
        /// Its index.
        shard: u16,
        /// Number of the slot table that spreads over the pool, for fall-backs.
        table: u16,
    },
    /// By the flow, in a row of this slot table.
    Several {
        /// Its number.
        table: u16,
        /// How many rows it has.
        rows: u32,
    },
}

/// All slot tables.
#[derive(Debug)]
pub(super) struct SlotTables {
    pub(super) slots: Vec<Slot>,
    /// By number.
    pub(super) list: Vec<SlotTable>,
    /// In the order of their first slot.
    pub(super) names: Vec<TableInfo>,
}

impl<'p> Slots<'p> {
    pub(super) fn new(policy: &'p Policy, indices: &'p [u16], placement: &'p Placement) -> Self {
        Self {
            policy,
            indices,
            placement,
            slots: Vec::new(),
            first: HashMap::new(),
            numbers: HashMap::new(),
            sets: HashMap::new(),
            nowhere: None,
            list: Vec::new(),
            names: Vec::new(),
        }
    }

    /// How a key of `pool` finds its shard.
    pub(super) fn way_of(&mut self, pool: usize, key: &'p Key) -> Result<Way, CompileError> {
        match key.shards.as_deref() {
            None | Some([]) => self.way(pool, key.width),
            Some([shard]) => {
                let first = self.first(pool, 1)?;
                let shard = self.indices.get(*shard).copied().unwrap_or(NO_SHARD);
                Ok(Way::Pinned { shard, table: self.number(first, WIDTH_ALL, first)? })
            }
            Some(set) => self.set(set),
        }
    }

    /// How keys that are pinned to several shards find theirs.
    fn set(&mut self, set: &'p [usize]) -> Result<Way, CompileError> {
        let rows = u32::try_from(set.len()).unwrap_or(u32::MAX);
        if let Some(table) = self.sets.get(set) {
            return Ok(Way::Several { table: *table, rows });
        }
        let nowhere = match self.nowhere {
            Some(nowhere) => nowhere,
            None => {
                let first = self.begin(SLOTS as usize)?;
                self.slots.resize(self.slots.len() + SLOTS as usize, NO_SHARD);
                self.names.push(TableInfo { first, pool: String::new(), width: 1 });
                *self.nowhere.insert(first)
            }
        };
        let first = self.begin(set.len() * set.len())?;
        let indices: Vec<Slot> =
            set.iter().map(|shard| self.indices.get(*shard).copied().unwrap_or(NO_SHARD)).collect();
        for row in 0..indices.len() {
            self.slots.extend(indices.iter().cycle().skip(row).take(indices.len()));
        }
        let width = u16::try_from(set.len()).unwrap_or(u16::MAX);
        self.names.push(TableInfo { first, pool: String::new(), width });
        let table = self.number(first, rows, nowhere)?;
        self.sets.insert(set, table);
        Ok(Way::Several { table, rows })
    }

    /// Where the next `many` slots begin.
    fn begin(&self, many: usize) -> Result<u32, CompileError> {
        let first = self.slots.len();
        match (u32::try_from(first), u32::try_from(first + many)) {
            (Ok(first), Ok(_)) => Ok(first),
            _ => Err(CompileError::TooLarge { what: "slots", entries: first + many }),
        }
    }

    /// How keys of `pool` and `width` find their shard. Spreading over all of a pool needs no rows: it is plain
    /// load balancing over the slots of width 1.
    pub(super) fn way(&mut self, at: usize, width: Width) -> Result<Way, CompileError> {
        let size = self.policy.pools.get(at).map_or(0, |pool| pool.shards.len());
        let (columns, width) = match width {
            Width::Shards(1) => {
                let first = self.first(at, 1)?;
                return Ok(Way::One { first, table: self.number(first, WIDTH_ALL, first)? });
            }
            Width::Shards(width) if usize::from(width) < size => (width, u32::from(width)),
            _ => (1, WIDTH_ALL),
        };
        let pool = self.first(at, 1)?;
        let first = if columns == 1 { pool } else { self.first(at, columns)? };
        Ok(Way::Several { table: self.number(first, width, pool)?, rows: SLOTS })
    }

    /// The number of a slot table.
    fn number(&mut self, first: u32, width: u32, pool: u32) -> Result<u16, CompileError> {
        if let Some(table) = self.numbers.get(&(first, width)) {
            return Ok(*table);
        }
        let table = u16::try_from(self.list.len()).unwrap_or(u16::MAX);
        if u32::from(table) >= SLOT_TABLES {
            return Err(CompileError::SlotTables { most: SLOT_TABLES });
        }
        self.list.push(SlotTable::new(first, width, pool));
        self.numbers.insert((first, width), table);
        Ok(table)
    }

    /// The shard of a slot of the table of width 1 that begins at `first`.
    pub(super) fn shard(&self, first: u32, slot: u16) -> Slot {
        let at = first as usize + usize::from(slot);
        self.slots.get(at).copied().unwrap_or(NO_SHARD)
    }

    /// The first slot of the table of `pool` with `width` shards per row.
    pub(super) fn first(&mut self, pool: usize, width: u16) -> Result<u32, CompileError> {
        if let Some(first) = self.first.get(&(pool, width)) {
            return Ok(*first);
        }
        let (name, members) =
            self.policy.pools.get(pool).map_or(("", [].as_slice()), |pool| (&pool.name, &pool.shards));
        let missing = || CompileError::Placement { pool: name.to_owned(), width };
        let placed = self.placement.pools.get(name).ok_or_else(missing)?;
        let table = placed.tables.get(&width).ok_or_else(missing)?;
        // Tables have shards by their place among the names.
        let by_name: HashMap<&str, Slot> = members
            .iter()
            .filter_map(|at| Some((self.policy.shards.get(*at)?.name.as_str(), *self.indices.get(*at)?)))
            .collect();
        let shards: Vec<Slot> = placed
            .shards
            .iter()
            .map(|shard| by_name.get(shard.name.as_str()).copied().ok_or_else(missing))
            .collect::<Result<_, _>>()?;
        let first = self.begin(table.cells.len())?;
        self.slots.extend(
            table.cells.iter().map(|cell| shards.get(usize::from(*cell)).copied().unwrap_or(NO_SHARD)),
        );
        self.first.insert((pool, width), first);
        self.names.push(TableInfo { first, pool: name.to_owned(), width });
        Ok(first)
    }

    /// All tables.
    pub(super) fn finish(self) -> SlotTables {
        SlotTables { slots: self.slots, list: self.list, names: self.names }
    }
}
