//! Which shards a key's flows go to, before and after, in terms that compare. Shards are told apart by name, never
//! by index: that is another number in another generation.
//!
//! Keys share rows (there are at most 65,536 of a pool and width), so whatever is known of a row is found out once.

use std::collections::HashMap;
use std::sync::Arc;

use keysteer_common::tables::{SLOTS, Slot};

use super::Side;
use super::mixer::Mixed;
use crate::image::KeyInfo;

/// The number of a row; [`NOWHERE`] of a key that is not steered.
pub(super) type RowId = u32;

/// A key that is denied has no row.
pub(super) const NOWHERE: RowId = 0;

/// How flows spread over shards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Spread {
    /// Nowhere.
    None,
    /// Evenly over columns, each a shard, by the upper bits of the flow hash.
    Columns(Box<[u32]>),
    /// By slot, by the lower bits of the flow hash.
    Slots(Box<[u32]>),
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    spread: Spread,
    /// Its shards, and of how many of `whole` flows each takes.
    pub(super) parts: Vec<(u32, u32)>,
    /// All flows.
    pub(super) whole: u32,
}

impl Row {
    /// Whether flows spread over some shards, but not by slot over all of the pool.
    pub(super) fn is_shuffled(&self) -> bool {
        matches!(&self.spread, Spread::Columns(columns) if columns.len() > 1)
    }

    /// Shards in the order of the row; of a whole pool in their own.
    pub(super) fn ordered(&self) -> Vec<u32> {
        match &self.spread {
            Spread::None => Vec::new(),
            Spread::Columns(columns) => columns.to_vec(),
            Spread::Slots(_) => self.parts.iter().map(|(shard, _)| *shard).collect(),
        }
    }
}

/// The rows and shards of both sides.
#[derive(Debug)]
pub(super) struct Rows {
    shards: Vec<String>,
    by_name: HashMap<String, u32>,
    list: Vec<Row>,
    known: HashMap<Spread, RowId>,
    moved: HashMap<(RowId, RowId), f64, Mixed>,
}

impl Rows {
    pub(super) fn new() -> Self {
        let mut rows = Self {
            shards: Vec::new(),
            by_name: HashMap::new(),
            list: Vec::new(),
            known: HashMap::new(),
            moved: HashMap::default(),
        };
        rows.row(Spread::None);
        rows
    }

    /// The number of a shard.
    pub(super) fn shard(&mut self, name: &str) -> u32 {
        if let Some(shard) = self.by_name.get(name) {
            return *shard;
        }
        let shard = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        self.shards.push(name.to_owned());
        self.by_name.insert(name.to_owned(), shard);
        shard
    }

    /// The name of a shard.
    pub(super) fn name(&self, shard: u32) -> &str {
        self.shards.get(shard as usize).map_or("", String::as_str)
    }

    /// How many shards there are on either side.
    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    pub(super) fn get(&self, row: RowId) -> Option<&Row> {
        self.list.get(row as usize)
    }

    fn row(&mut self, spread: Spread) -> RowId {
        if let Some(row) = self.known.get(&spread) {
            return *row;
        }
        let cells: &[u32] = match &spread {
            Spread::None => &[],
            Spread::Columns(cells) | Spread::Slots(cells) => cells,
        };
        let mut sorted = cells.to_vec();
        sorted.sort_unstable();
        let parts = sorted.chunk_by(|a, b| a == b);
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let parts = parts.filter_map(|part| Some((*part.first()?, count(part.len())))).collect();
        let row = count(self.list.len());
        self.list.push(Row { parts, whole: count(cells.len()), spread: spread.clone() });
        self.known.insert(spread, row);
        row
    }

    /// The part of flows that go to another shard when their row changes; exactly 0 when none does.
    pub(super) fn moved(&mut self, before: RowId, after: RowId) -> f64 {
        if before == after || before == NOWHERE || after == NOWHERE {
            return 0.0;
        }
        if let Some(moved) = self.moved.get(&(before, after)) {
            return *moved;
        }
        let moved = match (self.get(before), self.get(after)) {
            (Some(one), Some(other)) => moved(one, other),
            _ => 0.0,
        };
        self.moved.insert((before, after), moved);
        moved
    }
}

fn moved(before: &Row, after: &Row) -> f64 {
    let (stay, whole) = match (&before.spread, &after.spread) {
        (Spread::Columns(before), Spread::Columns(after)) => stay_of_columns(before, after),
        (Spread::Slots(before), Spread::Slots(after)) => {
            (before.iter().zip(after).filter(|(one, other)| one == other).count() as u64, before.len() as u64)
        }
        // The upper and the lower bits of the hash have nothing to do with each other.
        _ => stay_of_parts(before, after),
    };
    if stay >= whole { 0.0 } else { (whole - stay) as f64 / whole as f64 }
}

/// Column i of k takes the flows whose hash is in the i-th of k equal intervals: how much of them overlaps with
/// the same shard's interval after. In units of which there are both numbers' product.
fn stay_of_columns(before: &[u32], after: &[u32]) -> (u64, u64) {
    let (wide, other) = (before.len() as u64, after.len() as u64);
    let (mut stay, mut at) = (0, 0);
    let (mut one, mut two) = (before.iter().zip(1_u64..).peekable(), after.iter().zip(1_u64..).peekable());
    while let (Some((shard, nth)), Some((same, mth))) = (one.peek(), two.peek()) {
        let (end, other_end) = (nth * other, mth * wide);
        let until = end.min(other_end);
        if shard == same {
            stay += until - at;
        }
        at = until;
        if end == until {
            one.next();
        }
        if other_end == until {
            two.next();
        }
    }
    (stay, wide * other)
}

fn stay_of_parts(before: &Row, after: &Row) -> (u64, u64) {
    let after_of: HashMap<u32, u32> = after.parts.iter().copied().collect();
    let part =
        |(shard, part): &(u32, u32)| u64::from(*part) * u64::from(after_of.get(shard).copied().unwrap_or(0));
    (before.parts.iter().map(part).sum(), u64::from(before.whole) * u64::from(after.whole))
}

/// The rows of one side's keys.
pub(super) struct SideRows<'s> {
    side: Side<'s>,
    /// By the address of a row's names, which many keys share, and their number.
    by_names: HashMap<(usize, usize), RowId, Mixed>,
    by_pool: HashMap<String, RowId>,
    /// The last key's, which most often is the next one's, too.
    last: Option<((usize, usize), RowId)>,
}

impl<'s> SideRows<'s> {
    pub(super) fn new(side: Side<'s>) -> Self {
        Self { side, by_names: HashMap::default(), by_pool: HashMap::new(), last: None }
    }

    /// The row of a key.
    pub(super) fn of(&mut self, key: &KeyInfo, rows: &mut Rows) -> RowId {
        if key.denied.is_some() || key.shards.is_empty() {
            return NOWHERE;
        }
        if key.width == 0 {
            return self.pool(&key.pool, rows);
        }
        let address = (Arc::as_ptr(&key.shards).cast::<()>().addr(), key.shards.len());
        if let Some((last, row)) = self.last
            && last == address
        {
            return row;
        }
        let row = match self.by_names.get(&address) {
            Some(row) => *row,
            None => {
                let columns = key.shards.iter().map(|shard| rows.shard(shard)).collect();
                let row = rows.row(Spread::Columns(columns));
                self.by_names.insert(address, row);
                row
            }
        };
        self.last = Some((address, row));
        row
    }

    /// The row of what is spread over all of a pool.
    pub(super) fn pool(&mut self, pool: &str, rows: &mut Rows) -> RowId {
        if let Some(row) = self.by_pool.get(pool) {
            return *row;
        }
        let slots = slots(self.side, pool, rows);
        let row = if slots.is_empty() { NOWHERE } else { rows.row(Spread::Slots(slots)) };
        self.by_pool.insert(pool.to_owned(), row);
        row
    }
}

/// The slots of width 1 of a pool, by shard.
fn slots(side: Side<'_>, pool: &str, rows: &mut Rows) -> Box<[u32]> {
    let Side { names, slots, .. } = side;
    let table = names.tables.iter().find(|table| table.pool == pool && table.width == 1);
    let Some(first) = table.map(|table| table.first as usize) else {
        return Box::default();
    };
    let slots = slots.get(first..first + SLOTS as usize).unwrap_or_default();
    // By index of this side.
    let mut numbers: HashMap<Slot, u32> = HashMap::new();
    let mut number = |index: Slot| {
        *numbers.entry(index).or_insert_with(|| names.shard(index).map_or(u32::MAX, |name| rows.shard(name)))
    };
    slots.iter().map(|slot| number(*slot)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(rows: &mut Rows, cells: &[u32]) -> RowId {
        rows.row(Spread::Columns(cells.into()))
    }

    #[test]
    fn columns_overlap_by_their_intervals() {
        let mut rows = Rows::new();
        let mut moved = |before: &[u32], after: &[u32]| {
            let (before, after) = (columns(&mut rows, before), columns(&mut rows, after));
            rows.moved(before, after)
        };
        assert_eq!(moved(&[1], &[1]), 0.0);
        assert_eq!(moved(&[1], &[2]), 1.0);
        assert_eq!(moved(&[1], &[1, 2]), 0.5);
        assert_eq!(moved(&[1, 2], &[2, 1]), 1.0);
        assert_eq!(moved(&[1, 2], &[1, 3]), 0.5);
        // [1 1 1 2 2 2] and [1 1 2 2 3 3]
        assert!((moved(&[1, 2], &[1, 2, 3]) - 0.5).abs() < 1e-12);
        assert!((moved(&[1, 2, 3], &[1, 2]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn slots_are_compared_one_by_one_and_columns_by_share() {
        let mut rows = Rows::new();
        let even = rows.row(Spread::Slots([1, 2, 1, 2].into()));
        let heavy = rows.row(Spread::Slots([1, 2, 1, 1].into()));
        assert_eq!(rows.moved(even, heavy), 0.25);
        let (one, both) = (columns(&mut rows, &[1]), columns(&mut rows, &[1, 2]));
        assert_eq!(rows.moved(one, heavy), 0.25);
        assert_eq!(rows.moved(heavy, one), 0.25);
        assert_eq!(rows.moved(both, even), 0.5);
        let only = rows.row(Spread::Slots([1, 1].into()));
        assert_eq!(rows.moved(one, only), 0.0);
        assert_eq!(rows.moved(one, NOWHERE), 0.0);
    }

    #[test]
    fn equal_rows_are_one() {
        let mut rows = Rows::new();
        assert_eq!(columns(&mut rows, &[1, 2]), columns(&mut rows, &[1, 2]));
        assert_ne!(columns(&mut rows, &[1, 2]), columns(&mut rows, &[2, 1]));
        assert_eq!(rows.row(Spread::None), NOWHERE);
    }
}
