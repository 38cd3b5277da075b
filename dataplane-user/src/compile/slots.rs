//! Slot tables: one for each pool and width that something uses.

use std::collections::HashMap;

use keysteer_common::tables::{SLOTS, SlotWord};

use super::CompileError;
use crate::image::TableInfo;
use crate::placement::{Candidate, table};
use crate::policy::{Policy, Width};

/// Slot tables as they are asked for.
#[derive(Debug)]
pub(super) struct Slots<'p> {
    policy: &'p Policy,
    words: Vec<SlotWord>,
    first: HashMap<(usize, u16), u32>,
    tables: Vec<TableInfo>,
}

impl<'p> Slots<'p> {
    pub(super) fn new(policy: &'p Policy) -> Self {
        Self { policy, words: Vec::new(), first: HashMap::new(), tables: Vec::new() }
    }

    /// Shards per row for a key of this width, and [`keysteer_common::tables::KeyEntry::width`]. Spreading
    /// over all of a pool needs no rows: it is plain load balancing over the table of width 1.
    pub(super) fn width(&self, pool: usize, width: Width) -> (u16, u16) {
        let size = self.policy.pools.get(pool).map_or(0, |pool| pool.shards.len());
        match width {
            Width::Shards(width) if usize::from(width) < size || width == 1 => (width, width),
            _ => (1, keysteer_common::tables::WIDTH_ALL),
        }
    }

    /// The first entry of the table of `pool` with `width` shards per row.
    pub(super) fn table(&mut self, pool: usize, width: u16) -> Result<u32, CompileError> {
        if let Some(first) = self.first.get(&(pool, width)) {
            return Ok(*first);
        }
        let (name, members) =
            self.policy.pools.get(pool).map_or(("", [].as_slice()), |pool| (&pool.name, &pool.shards));
        let shards = members.iter().filter_map(|at| self.policy.shards.get(*at));
        let candidates: Vec<Candidate<'_>> =
            shards.map(|shard| Candidate { name: &shard.name, weight: shard.weight }).collect();
        let first = self.words.len();
        let end = first + SLOTS as usize * usize::from(width);
        let (Ok(first), Ok(_)) = (u32::try_from(first), u32::try_from(end)) else {
            return Err(CompileError::TooLarge { what: "slot tables", entries: end });
        };
        let cells = table(&candidates, usize::from(width));
        self.words.extend(
            cells.iter().map(|cell| members.get(usize::from(*cell)).map_or(0, |shard| *shard as SlotWord)),
        );
        self.first.insert((pool, width), first);
        self.tables.push(TableInfo { first, pool: name.to_owned(), width });
        Ok(first)
    }

    /// All tables, in the order of their first slot.
    pub(super) fn finish(self) -> (Vec<SlotWord>, Vec<TableInfo>) {
        (self.words, self.tables)
    }
}
