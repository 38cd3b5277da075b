//! Slot tables: one for each pool and width that something uses.

use std::collections::HashMap;

use keysteer_common::headers::NO_SHARD;
use keysteer_common::tables::{SLOT_TABLES, SLOTS, Slot, SlotTable, WIDTH_ALL};

use super::CompileError;
use crate::image::TableInfo;
use crate::placement::{Candidate, table};
use crate::policy::{Policy, Width};

/// Slot tables as they are asked for.
#[derive(Debug)]
pub(super) struct Slots<'p> {
    policy: &'p Policy,
    slots: Vec<Slot>,
    first: HashMap<(usize, u16), u32>,
    numbers: HashMap<(u32, u32), u16>,
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
    },
    /// By the flow, in a row of this slot table.
    Several {
        /// Its number.
        table: u16,
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
    pub(super) fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            slots: Vec::new(),
            first: HashMap::new(),
            numbers: HashMap::new(),
            list: Vec::new(),
            names: Vec::new(),
        }
    }

    /// How keys of `pool` and `width` find their shard. Spreading over all of a pool needs no rows: it is plain
    /// load balancing over the slots of width 1.
    pub(super) fn way(&mut self, pool: usize, width: Width) -> Result<Way, CompileError> {
        let size = self.policy.pools.get(pool).map_or(0, |pool| pool.shards.len());
        let (columns, width) = match width {
            Width::Shards(1) => return Ok(Way::One { first: self.first(pool, 1)? }),
            Width::Shards(width) if usize::from(width) < size => (width, u32::from(width)),
            _ => (1, WIDTH_ALL),
        };
        let first = self.first(pool, columns)?;
        if let Some(table) = self.numbers.get(&(first, width)) {
            return Ok(Way::Several { table: *table });
        }
        let table = u16::try_from(self.list.len()).unwrap_or(u16::MAX);
        if u32::from(table) >= SLOT_TABLES {
            return Err(CompileError::SlotTables { most: SLOT_TABLES });
        }
        self.list.push(SlotTable { first, width });
        self.numbers.insert((first, width), table);
        Ok(Way::Several { table })
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
        let shards = members.iter().filter_map(|at| self.policy.shards.get(*at));
        let candidates: Vec<Candidate<'_>> =
            shards.map(|shard| Candidate { name: &shard.name, weight: shard.weight }).collect();
        let first = self.slots.len();
        let end = first + SLOTS as usize * usize::from(width);
        let (Ok(first), Ok(_)) = (u32::try_from(first), u32::try_from(end)) else {
            return Err(CompileError::TooLarge { what: "slots", entries: end });
        };
        let cells = table(&candidates, usize::from(width));
        self.slots.extend(cells.iter().map(|cell| {
            let shard = members.get(usize::from(*cell)).and_then(|shard| Slot::try_from(*shard).ok());
            shard.unwrap_or(NO_SHARD)
        }));
        self.first.insert((pool, width), first);
        self.names.push(TableInfo { first, pool: name.to_owned(), width });
        Ok(first)
    }

    /// All tables.
    pub(super) fn finish(self) -> SlotTables {
        SlotTables { slots: self.slots, list: self.list, names: self.names }
    }
}
