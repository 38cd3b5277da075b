//! What is lost when a shard fails and nothing takes over, before and after.

use super::rows::{RowId, Rows};
use super::types::Radius;
use crate::policy::Share;

/// What goes by each row of one side.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    rows: Vec<Going>,
    /// Keys that go by some row.
    pub(super) keys: u64,
    /// Bytes of those, and of classes that go by a row.
    pub(super) bytes: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Going {
    keys: u64,
    bytes: f64,
}

impl Load {
    fn going(&mut self, row: RowId) -> &mut Going {
        let at = row as usize;
        if at >= self.rows.len() {
            self.rows.resize(at + 1, Going::default());
        }
        // Just made, if it was not there.
        &mut self.rows[at]
    }

    /// A key, with its bytes.
    pub(super) fn key(&mut self, row: RowId, bytes: u64) {
        let bytes = bytes as f64;
        let going = self.going(row);
        going.keys += 1;
        going.bytes += bytes;
        self.keys += 1;
        self.bytes += bytes;
    }

    /// A class, with its bytes.
    pub(super) fn class(&mut self, row: RowId, bytes: u64) {
        self.going(row).bytes += bytes as f64;
        self.bytes += bytes as f64;
    }
}

/// What hangs on each shard, by its number in `rows`. `measured` are the bytes that shards were seen to have.
pub(super) fn of(load: &Load, rows: &Rows, with_traffic: bool) -> Vec<Radius> {
    #[derive(Clone, Copy, Default)]
    struct Sum {
        lost: u64,
        hit: u64,
        keys: f64,
        bytes: f64,
    }
    let mut sums = vec![Sum::default(); rows.shards()];
    for (row, going) in (0..).zip(&load.rows).filter(|(_, going)| going.keys > 0 || going.bytes > 0.0) {
        let Some(row) = rows.get(row) else { continue };
        for (shard, part) in &row.parts {
            let Some(sum) = sums.get_mut(*shard as usize) else { continue };
            if *part == row.whole {
                sum.lost += going.keys;
            } else {
                sum.hit += going.keys;
            }
            let part = f64::from(*part) / f64::from(row.whole.max(1));
            sum.keys += going.keys as f64 * part;
            sum.bytes += going.bytes * part;
        }
    }
    let radius = |sum: Sum| Radius {
        lost: sum.lost,
        hit: sum.hit,
        keys: Share::of(sum.keys, load.keys as f64),
        traffic: (with_traffic && load.bytes > 0.0).then(|| Share::of(sum.bytes, load.bytes)),
        measured: None,
    };
    sums.into_iter().map(radius).collect()
}
