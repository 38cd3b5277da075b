//! From one table to the next: what is there stays, unless it must go.
//!
//! A cell is **open** when nobody is in it, or a shard that has more cells than its share. Shards that have fewer take
//! turns, by how much they lack; each takes the next row of its own order ([`super::order`]) that has an open cell and is
//! without it. So a change takes as many cells as shards lack, and no more; from a table without shards it is what the
//! seed is. What a shard gives back is decided in the same way by those who take, so that no change is special.
//!
//! ```text
//!  carry   what stays of each row; what must be in a row is put there     fixed shards, rows that became shorter
//!  take    turns: an open cell for each that a shard lacks                nothing moves beyond these
//!  mend    rows that have the shard already: by a swap with another row   one cell more, each
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::ROWS;
use super::columns::FREE;
use super::order::Order;

/// So many open cells are tried for a shard that is in all of their rows, before balance gives way.
const TRIED: usize = 256;

/// What rows should hold.
pub(super) struct Wish<'a> {
    /// The names of the shards, in ascending order.
    pub(super) names: &'a [&'a str],
    /// How many cells each should have, all together as many as there are.
    pub(super) shares: &'a [usize],
    /// Cells of the longest row.
    pub(super) width: usize,
    /// Cells of each row, where they are not all as long; none longer than `width`.
    pub(super) lengths: Option<&'a [u16]>,
    /// The shard that must be in a row, or [`FREE`]; empty: none must.
    pub(super) fixed: &'a [u16],
    /// Which of a shard's orders it takes rows in.
    pub(super) order: usize,
}

/// Rows in the making: `width` cells each, of which a row may use fewer. A fixed shard is in a row's first cell.
struct Rows<'a> {
    wish: &'a Wish<'a>,
    cells: Vec<u16>,
    counts: Vec<usize>,
}

/// Rows of distinct shards, `width` cells each ([`FREE`] behind the end of shorter ones), as near to `previous` as the
/// shares allow. `previous` has `before` cells a row: shards, each once in a row, or [`FREE`].
pub(super) fn settle(wish: &Wish<'_>, previous: &[u16], before: usize) -> Vec<u16> {
    if wish.names.is_empty() || wish.width == 0 {
        return Vec::new();
    }
    let mut rows = Rows { wish, cells: vec![FREE; ROWS * wish.width], counts: vec![0; wish.names.len()] };
    rows.carry(previous, before);
    let taken = rows.take();
    rows.mend(&taken);
    rows.cells
}

impl Rows<'_> {
    fn length(&self, row: usize) -> usize {
        let most = self.wish.width;
        self.wish.lengths.map_or(most, |lengths| lengths.get(row).map_or(0, |it| usize::from(*it)).min(most))
    }

    fn row(&self, row: usize) -> &[u16] {
        let first = row * self.wish.width;
        self.cells.get(first..first + self.length(row)).unwrap_or_default()
    }

    fn fixed(&self, row: usize) -> Option<u16> {
        self.wish.fixed.get(row).copied().filter(|shard| *shard != FREE)
    }

    fn share(&self, shard: u16) -> usize {
        self.wish.shares.get(usize::from(shard)).copied().unwrap_or(0)
    }

    fn count(&self, shard: u16) -> usize {
        self.counts.get(usize::from(shard)).copied().unwrap_or(0)
    }

    /// By how many cells a shard has more than its share.
    fn surplus(&self, shard: u16) -> usize {
        self.count(shard).saturating_sub(self.share(shard))
    }

    /// Puts a shard into a cell, and out of it who was there.
    fn set(&mut self, row: usize, column: usize, shard: u16) {
        let Some(cell) = self.cells.get_mut(row * self.wish.width + column) else { return };
        let there = std::mem::replace(cell, shard);
        if let Some(count) = self.counts.get_mut(usize::from(there)) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.counts.get_mut(usize::from(shard)) {
            *count += 1;
        }
    }

    /// What stays of each row. Where a row has no room for all, those go that have most beyond their share.
    fn carry(&mut self, previous: &[u16], before: usize) {
        let mut counts = vec![0_usize; self.wish.names.len()];
        for shard in previous {
            if let Some(count) = counts.get_mut(usize::from(*shard)) {
                *count += 1;
            }
        }
        let beyond = |counts: &[usize], shard: u16| {
            let count = counts.get(usize::from(shard)).copied().unwrap_or(0);
            (count as u64).saturating_sub(self.share(shard) as u64)
        };
        let mut plan: Vec<u16> = Vec::with_capacity(self.wish.width.max(before) + 1);
        let mut carried = Vec::with_capacity(self.cells.len());
        for row in 0..ROWS {
            let members = previous.get(row * before..(row + 1) * before).unwrap_or_default();
            let fixed = self.fixed(row);
            plan.clear();
            plan.extend(members.iter().copied().filter(|shard| *shard != FREE && Some(*shard) != fixed));
            let room = self.length(row).saturating_sub(usize::from(fixed.is_some()));
            while plan.len() > room {
                let most = plan.iter().enumerate().max_by_key(|(at, shard)| (beyond(&counts, **shard), *at));
                let Some((at, shard)) = most.map(|(at, shard)| (at, *shard)) else { break };
                if let Some(count) = counts.get_mut(usize::from(shard)) {
                    *count -= 1;
                }
                plan.remove(at);
            }
            if let Some(fixed) = fixed.filter(|fixed| !members.contains(fixed))
                && let Some(count) = counts.get_mut(usize::from(fixed))
            {
                *count += 1;
            }
            carried.extend(fixed.into_iter().chain(plan.iter().copied()));
            carried.resize((row + 1) * self.wish.width, FREE);
        }
        self.cells = carried;
        self.counts = counts;
    }

    /// The cell of a row that a shard which is not in it may take: a free one, else that of the shard with the most
    /// beyond its share.
    fn open(&self, row: usize) -> Option<usize> {
        let begin = usize::from(self.fixed(row).is_some());
        let mut best = None;
        for (column, shard) in self.row(row).iter().enumerate().skip(begin) {
            if *shard == FREE {
                return Some(column);
            }
            let surplus = self.surplus(*shard);
            if surplus > best.map_or(0, |(most, _)| most) {
                best = Some((surplus, column));
            }
        }
        best.map(|(_, column)| column)
    }

    /// Shards take turns, until they have their shares or their orders have no row for them. Says which cells were taken.
    fn take(&mut self) -> Vec<(usize, usize)> {
        let names = self.wish.names;
        let lacks: Vec<usize> = (0..FREE)
            .zip(names)
            .map(|(shard, _)| self.share(shard).saturating_sub(self.count(shard)))
            .collect();
        let mut orders: Vec<Option<Order>> = names
            .iter()
            .zip(&lacks)
            .map(|(name, lack)| (*lack > 0).then(|| Order::new(name, self.wish.order)))
            .collect();
        let mut placed = vec![0_usize; names.len()];
        let mut taken = Vec::with_capacity(lacks.iter().sum());
        // As in a column of the seed: turn n of a shard that lacks s comes at (n + 1) / s of the way.
        let time = |turn: usize, lack: usize| ((turn as u64 + 1) << 32) / lack.max(1) as u64;
        let mut turns: BinaryHeap<Reverse<(u64, u16)>> = (0..FREE)
            .zip(&lacks)
            .filter(|(_, lack)| **lack > 0)
            .map(|(shard, lack)| Reverse((time(0, *lack), shard)))
            .collect();
        while let Some(Reverse((_, shard))) = turns.pop() {
            let at = usize::from(shard);
            let Some(order) = orders.get_mut(at).and_then(Option::as_mut) else { continue };
            let found = order.find_map(|row| {
                if self.row(row).contains(&shard) { None } else { Some((row, self.open(row)?)) }
            });
            let (Some((row, column)), Some(placed), Some(lack)) = (found, placed.get_mut(at), lacks.get(at))
            else {
                continue;
            };
            self.set(row, column, shard);
            taken.push((row, column));
            *placed += 1;
            if *placed < *lack {
                turns.push(Reverse((time(*placed, *lack), shard)));
            }
        }
        taken
    }

    /// Open cells are left only in rows that have the shards already that lack cells. Such a shard takes the cell of a
    /// third one in another row, which takes the open one; of those that came by this change first, as they move anyway.
    fn mend(&mut self, taken: &[(usize, usize)]) {
        let mut missing: Vec<u16> = Vec::new();
        for (shard, _) in (0..FREE).zip(self.wish.names) {
            let lack = self.share(shard).saturating_sub(self.count(shard));
            missing.extend(std::iter::repeat_n(shard, lack));
        }
        let mut cursor = 0;
        let mut tried = 0;
        while cursor < ROWS && !missing.is_empty() {
            let Some(column) = self.open(cursor) else {
                cursor += 1;
                continue;
            };
            match self.mend_one(cursor, column, &missing, taken) {
                Some(at) => {
                    missing.swap_remove(at);
                }
                None if tried < TRIED => {
                    tried += 1;
                    cursor += 1;
                }
                None => break,
            }
        }
        // Rows must be whole and distinct: where no swap helps, the balance gives way by one.
        for row in 0..ROWS {
            while let Some(column) = self.row(row).iter().position(|shard| *shard == FREE) {
                let Some(shard) = self.lightest(row) else { break };
                self.set(row, column, shard);
            }
        }
    }

    /// Fills one open cell. Says which of `missing` has one cell more.
    fn mend_one(
        &mut self,
        row: usize,
        column: usize,
        missing: &[u16],
        taken: &[(usize, usize)],
    ) -> Option<usize> {
        if let Some(at) = missing.iter().position(|shard| !self.row(row).contains(shard)) {
            self.set(row, column, *missing.get(at)?);
            return Some(at);
        }
        let mut last = None;
        for (at, shard) in missing.iter().enumerate() {
            // Equal ones stand side by side, and what did not help one does not help the next.
            if last.replace(*shard) == Some(*shard) {
                continue;
            }
            if let Some((other, there)) = self.swap_for(row, *shard, taken) {
                let third = self.row(other).get(there).copied()?;
                self.set(other, there, *shard);
                self.set(row, column, third);
                return Some(at);
            }
        }
        None
    }

    /// The cell of a shard that `row` lacks and that is not to give way itself, in a row that lacks `shard`.
    fn swap_for(&self, row: usize, shard: u16, taken: &[(usize, usize)]) -> Option<(usize, usize)> {
        let fits = |other: usize, column: usize| {
            let has = self.row(other).get(column).copied().unwrap_or(FREE);
            has != FREE
                && other != row
                && !(column == 0 && self.fixed(other).is_some())
                && !self.row(row).contains(&has)
                && !self.row(other).contains(&shard)
        };
        let came = || taken.iter().copied().find(|(other, column)| fits(*other, *column));
        let any = || {
            (1..ROWS).map(|step| (row + step) % ROWS).find_map(|other| {
                (0..self.length(other)).find(|column| fits(other, *column)).map(|column| (other, column))
            })
        };
        came().or_else(any)
    }

    /// The shard that is least over its share, of those that `row` lacks.
    fn lightest(&self, row: usize) -> Option<u16> {
        (0..FREE)
            .zip(self.wish.names)
            .map(|(shard, _)| shard)
            .filter(|shard| !self.row(row).contains(shard))
            .min_by_key(|shard| (self.surplus(*shard), usize::MAX - self.share(*shard)))
    }
}
