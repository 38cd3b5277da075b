//! Fills a table column by column: shards take turns, each claiming the next free row of its order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::order::Order;
use super::repair::repair;
use super::share::{divide, over_rows};
use super::{Candidate, ROWS};

/// A cell without a shard; there are fewer shards than this.
pub(super) const FREE: u16 = u16::MAX;

/// The cells of a table, row after row, as indices into `shards`, which are in the order of their names. The first column
/// is `column`, where there is one.
pub(super) fn fill(shards: &[Candidate<'_>], width: usize, column: Option<&[u16]>) -> Vec<u16> {
    if shards.is_empty() || width == 0 {
        return Vec::new();
    }
    let weights: Vec<u64> = shards.iter().map(|shard| u64::from(shard.weight)).collect();
    let mut table = Table { cells: vec![FREE; ROWS * width], width };
    let first = divide(&weights, ROWS);
    match column {
        Some(column) => column.iter().enumerate().for_each(|(row, shard)| table.set(row, 0, *shard)),
        None => drop(table.fill_column(shards, 0, &first)),
    }

    let total = over_rows(shards, width);
    let mut left: Vec<usize> =
        total.iter().zip(&first).map(|(total, first)| total.saturating_sub(*first)).collect();
    table.fill_full(&total, &mut left);
    for column in 1..width {
        let free = table.free_in(column);
        let later: usize = (column..width).map(|column| table.free_in(column)).sum();
        let shares = share_of(&left, free, later);
        let placed = table.fill_column(shards, column, &shares);
        for (left, placed) in left.iter_mut().zip(placed) {
            *left = left.saturating_sub(placed);
        }
    }
    table.cells
}

/// What of `left`, the cells that each shard still gets in `later` free ones, belongs to the next `free`.
fn share_of(left: &[usize], free: usize, later: usize) -> Vec<usize> {
    if free == later {
        return left.to_vec();
    }
    let weights: Vec<u64> = left.iter().map(|left| *left as u64).collect();
    divide(&weights, free)
}

/// A table in the making.
pub(super) struct Table {
    pub(super) cells: Vec<u16>,
    pub(super) width: usize,
}

impl Table {
    /// The shards of a row.
    pub(super) fn row(&self, row: usize) -> &[u16] {
        self.cells.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }

    /// The shard in a cell.
    pub(super) fn get(&self, row: usize, column: usize) -> u16 {
        self.cells.get(row * self.width + column).copied().unwrap_or(FREE)
    }

    /// Puts a shard into a cell.
    pub(super) fn set(&mut self, row: usize, column: usize, shard: u16) {
        if let Some(cell) = self.cells.get_mut(row * self.width + column) {
            *cell = shard;
        }
    }

    fn free_in(&self, column: usize) -> usize {
        self.cells.iter().skip(column).step_by(self.width).filter(|cell| **cell == FREE).count()
    }

    /// Shards that belong into every row take the last free cells of the rows that lack them.
    fn fill_full(&mut self, total: &[usize], left: &mut [usize]) {
        let full: Vec<u16> =
            (0..FREE).zip(total).filter(|(_, total)| **total == ROWS).map(|(shard, _)| shard).collect();
        for row in 0..ROWS {
            let mut column = self.width;
            for shard in full.iter().rev() {
                if !self.row(row).contains(shard) {
                    column -= 1;
                    self.set(row, column, *shard);
                }
            }
        }
        for shard in full {
            if let Some(left) = left.get_mut(usize::from(shard)) {
                *left = 0;
            }
        }
    }

    /// Fills the free cells of a column with `shares` of each shard, no shard twice in a row; gives how
    /// many cells each shard got.
    fn fill_column(&mut self, shards: &[Candidate<'_>], column: usize, shares: &[usize]) -> Vec<usize> {
        let mut orders: Vec<Order> = shards.iter().map(|shard| Order::new(shard.name, column)).collect();
        let mut placed = vec![0; shards.len()];
        // Turn n of a shard with share s comes at (n + 1) / s of the way, so that a heavy shard does not
        // come first to all it wants. In 2^-32ths, which no share is fine enough to confuse.
        let time = |turn: usize, share: usize| ((turn as u64 + 1) << 32) / share.max(1) as u64;
        let mut turns: BinaryHeap<Reverse<(u64, u16)>> = (0..FREE)
            .zip(shares)
            .filter(|(_, share)| **share > 0)
            .map(|(shard, share)| Reverse((time(0, *share), shard)))
            .collect();
        while let Some(Reverse((_, shard))) = turns.pop() {
            let at = usize::from(shard);
            let Some(order) = orders.get_mut(at) else { continue };
            let found = order.find(|row| self.get(*row, column) == FREE && !self.row(*row).contains(&shard));
            // Without a row the shard's turns end; the repair places the rest.
            let (Some(row), Some(placed), Some(share)) = (found, placed.get_mut(at), shares.get(at)) else {
                continue;
            };
            self.set(row, column, shard);
            *placed += 1;
            if *placed < *share {
                turns.push(Reverse((time(*placed, *share), shard)));
            }
        }
        repair(self, column, shares, &mut placed);
        placed
    }
}
