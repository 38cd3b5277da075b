//! The end of a column: a few rows are free, and the shards that should fill them are in these rows
//! already. Each is placed by a swap with a row that can do without what it has.

use super::ROWS;
use super::columns::{FREE, Table};

/// Fills what is free in `column`. `placed` counts the cells of each shard towards `shares`.
pub(super) fn repair(table: &mut Table, column: usize, shares: &[usize], placed: &mut [usize]) {
    let free: Vec<usize> = (0..ROWS).filter(|row| table.get(*row, column) == FREE).collect();
    let mut missing: Vec<u16> = Vec::with_capacity(free.len());
    for ((shard, share), placed) in (0..FREE).zip(shares).zip(placed.iter()) {
        missing.extend(std::iter::repeat_n(shard, share.saturating_sub(*placed)));
    }
    for row in free {
        let direct = missing.iter().position(|shard| !table.row(row).contains(shard));
        let swap =
            || (0..missing.len()).find_map(|at| Some((at, swap_for(table, row, column, *missing.get(at)?)?)));
        let (at, shard) = match direct {
            Some(at) => (Some(at), missing.get(at).copied()),
            None => match swap() {
                Some((at, (other, other_column))) => {
                    // The other row takes what is left over, this one takes what the other had.
                    let freed = table.get(other, other_column);
                    if let Some(shard) = missing.get(at) {
                        table.set(other, other_column, *shard);
                        count(placed, *shard);
                    }
                    missing.swap_remove(at);
                    table.set(row, column, freed);
                    continue;
                }
                // No swap can help: rows must differ, so the balance gives way by one.
                None => (None, lightest(table, row, shares, placed)),
            },
        };
        if let Some(shard) = shard {
            table.set(row, column, shard);
            count(placed, shard);
        }
        if let Some(at) = at {
            missing.swap_remove(at);
        }
    }
}

fn count(placed: &mut [usize], shard: u16) {
    if let Some(placed) = placed.get_mut(usize::from(shard)) {
        *placed += 1;
    }
}

/// A cell beyond the first column whose shard `row` lacks, in a row that lacks `shard`: in this column
/// if there is one, else in an earlier one. The search begins after `row`, so that swaps spread.
fn swap_for(table: &Table, row: usize, column: usize, shard: u16) -> Option<(usize, usize)> {
    let lacks = |row: usize, shard: u16| !table.row(row).contains(&shard);
    (1..=column).rev().find_map(|column| {
        (1..ROWS).map(|step| (row + step) % ROWS).find_map(|other| {
            let has = table.get(other, column);
            (has != FREE && lacks(row, has) && lacks(other, shard)).then_some((other, column))
        })
    })
}

/// The shard that is least over its share, of those that `row` lacks.
fn lightest(table: &Table, row: usize, shares: &[usize], placed: &[usize]) -> Option<u16> {
    (0..FREE)
        .zip(shares.iter().zip(placed))
        .filter(|(shard, _)| !table.row(row).contains(shard))
        .min_by_key(|(_, (share, placed))| (placed.saturating_sub(**share), ROWS - **share))
        .map(|(shard, _)| shard)
}
