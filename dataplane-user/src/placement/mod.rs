//! Placement: shards and weights to a slot table of [`SLOTS`] rows.
//!
//! A row holds `width` distinct shards; over all rows each shard comes up as often as its weight says,
//! within rounding. The first column is the width-1 table, so that widening a key keeps its first shard.
//!
//! ```text
//!  share    weights -> how many cells each shard gets            exact, largest remainder
//!  seed     columns: shards propose rows, each in its own        weighted Maglev
//!           order, taking turns by share; repair by swaps
//!  next     settle: what is there stays; who has too much        minimal moves from the table before
//!           gives to who has too little, by the same turns
//!  zones    a row takes shards from zones in turn                a lattice, width > 1
//!  pools    the tables of a policy's pools, by name              versioned, kept, carried from node to node
//! ```
//!
//! A table depends on nothing but the shards' names, weights and zones, and the table before: not on the order in which
//! they are listed, nor on anything secret, so that every node, and every later version, builds the same one.
//!
//! Who takes a freed cell is decided by turns over the shards' own orders of rows, and not by a score of each shard for
//! each freed cell (rendezvous): it is as uniform, costs no more than the seed however much changes at once (13 ms when
//! half of 1,000 shards are replaced, where 30,000 cells times 500 scores take above 100 ms), and is one mechanism with
//! the seed: a table without shards is settled to exactly that.

mod arrange;
mod columns;
mod next;
mod order;
mod pools;
mod readback;
mod repair;
mod settle;
mod share;
mod text;
mod zones;

pub use next::{GONE, Moved, moved, next_one, next_rows};
pub use pools::{Member, Placement, PoolPlacement, Table};
pub use zones::Zones;

pub use keysteer_common::tables::SLOTS;

/// Rows as an index.
pub(crate) const ROWS: usize = SLOTS as usize;

/// A shard that a table places on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its name, which decides which rows it prefers.
    pub name: &'a str,
    /// Its share relative to the others, from 1.
    pub weight: u32,
}

/// A table of [`SLOTS`] rows of `width` distinct shards, row after row, as indices into `shards`.
///
/// A width beyond the number of shards gives rows of all of them. No shards give an empty table. Names
/// must differ, and there must be fewer than 65,536.
pub fn table(shards: &[Candidate<'_>], width: usize) -> Vec<u16> {
    // By name from here on, so that the order of the list means nothing.
    let mut by_name: Vec<(u16, Candidate<'_>)> = (0..=u16::MAX).zip(shards.iter().copied()).collect();
    by_name.sort_by_key(|(_, shard)| shard.name);
    let width = width.min(by_name.len());
    let sorted: Vec<Candidate<'_>> = by_name.iter().map(|(_, shard)| *shard).collect();
    let mut cells = columns::fill(&sorted, width, None);
    for cell in &mut cells {
        *cell = by_name.get(usize::from(*cell)).map_or(0, |(index, _)| *index);
    }
    cells
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod next_tests;

#[cfg(test)]
mod pools_tests;
