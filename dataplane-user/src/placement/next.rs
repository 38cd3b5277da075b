//! The next table of a pool, from the one before.

use super::arrange::arrange;
use super::columns::{FREE, fill};
use super::settle::{Wish, settle};
use super::share::{divide, over_rows};
use super::zones::{Lattice, Zones};
use super::{Candidate, ROWS};

/// No shard: what a cell of a previous table has whose shard is gone.
pub const GONE: u16 = FREE;

/// The table of width 1 that follows `previous`, or the seed where there is none. `shards` are in the order of their
/// names, and cells are indices into them; [`GONE`] in `previous`.
///
/// Each shard has exactly its share of slots, and so many slots have another shard than before as that takes: for every
/// shard those by which it had more than its share, or all where it is gone.
pub fn next_one(previous: Option<&[u16]>, shards: &[Candidate<'_>]) -> Vec<u16> {
    let Some(previous) = previous else { return fill(shards, 1, None) };
    let weights: Vec<u64> = shards.iter().map(|shard| u64::from(shard.weight)).collect();
    let names: Vec<&str> = shards.iter().map(|shard| shard.name).collect();
    let shares = divide(&weights, ROWS);
    let wish = Wish { names: &names, shares: &shares, width: 1, lengths: None, fixed: &[], order: 0 };
    settle(&wish, previous, 1)
}

/// The table of `width` distinct shards a row, of a pool whose table of width 1 is `first`. As [`next_one`]; `width` is
/// under the number of shards.
pub fn next_rows(
    previous: Option<&[u16]>,
    shards: &[Candidate<'_>],
    zones: Option<&Zones>,
    width: usize,
    first: &[u16],
) -> Vec<u16> {
    let before = previous.unwrap_or_default();
    if let Some(zones) = zones.filter(|zones| zones.count() > 1) {
        let parts = Lattice { zones, shards, width, first }.settle(before);
        let begin = |row: usize| first.get(row).and_then(|shard| zones.of.get(usize::from(*shard)));
        let members = |row: usize, to: &mut Vec<u16>| parts.row(row, begin(row).copied().unwrap_or(0), to);
        return arrange(members, first, before, width);
    }
    if previous.is_none() {
        return fill(shards, width, Some(first));
    }
    let names: Vec<&str> = shards.iter().map(|shard| shard.name).collect();
    let shares = over_rows(shards, width);
    let wish = Wish { names: &names, shares: &shares, width, lengths: None, fixed: first, order: 1 };
    let rows = settle(&wish, before, width);
    let members = |row: usize, to: &mut Vec<u16>| {
        to.extend(rows.get(row * width..(row + 1) * width).unwrap_or_default());
    };
    arrange(members, first, before, width)
}

/// How many cells of a table changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Cells whose shard was not in the row before.
    pub cells: usize,
    /// Of these, as many as no table with these shares could do without.
    pub unavoidable: usize,
}

/// What changed between two tables of `shards` shards, `width` cells a row; [`GONE`] in `before` for shards that are none
/// of these.
pub fn moved(before: &[u16], after: &[u16], width: usize, shards: usize) -> Moved {
    let width = width.max(1);
    let rows = before.chunks(width).zip(after.chunks(width));
    let cells = rows.map(|(old, new)| new.iter().filter(|shard| !old.contains(shard)).count()).sum();
    let count = |cells: &[u16]| {
        let mut counts = vec![0_usize; shards];
        for cell in cells {
            if let Some(count) = counts.get_mut(usize::from(*cell)) {
                *count += 1;
            }
        }
        counts
    };
    let (old, new) = (count(before), count(after));
    let gone = before.iter().filter(|cell| usize::from(**cell) >= shards).count();
    let more: usize = old.iter().zip(&new).map(|(old, new)| old.saturating_sub(*new)).sum();
    Moved { cells, unavoidable: gone + more }
}
