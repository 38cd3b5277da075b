//! Placement: shards and weights to a slot table of [`SLOTS`] rows.
//!
//! A row holds `width` distinct shards; over all rows each shard comes up as often as its weight says,
//! within rounding. The first column is the width-1 table, so that widening a key keeps its first shard.
//!
//! ```text
//!  share    weights -> how many cells each shard gets            exact, largest remainder
//!  column   shards propose rows, each in its own order, taking   weighted Maglev
//!           turns by share; a row that has the shard is skipped
//!  repair   what is left over is placed by swaps
//! ```
//!
//! A table depends on nothing but the shards' names and weights: not on the order in which they are
//! listed, nor on anything secret, so that every node, and every later version, builds the same one.

mod columns;
mod order;
mod repair;
mod share;

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
    let mut cells = columns::fill(&sorted, width);
    for cell in &mut cells {
        *cell = by_name.get(usize::from(*cell)).map_or(0, |(index, _)| *index);
    }
    cells
}

#[cfg(test)]
mod tests;
