//! Pools as the API shows them: what each shard should have against what it has, what the last change moved, and how far
//! keys share shards.

use serde::{Deserialize, Serialize};

use crate::placement::{Placement, PoolPlacement, SLOTS};

/// `GET /v1/pools`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pools {
    /// Rises with every generation whose tables differ.
    pub version: u64,
    /// Digest of all tables: equal on nodes that place equally.
    pub digest: String,
    /// By name.
    pub pools: Vec<Pool>,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The version that its tables came with.
    pub since: u64,
    /// Digest of its tables.
    pub digest: String,
    /// The zones of its shards, where they are in any.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub zones: Vec<String>,
    /// Its shards, in the order of their names.
    pub shards: Vec<PoolShard>,
    /// Its tables, narrow ones first.
    pub tables: Vec<PoolTable>,
}

/// A shard of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolShard {
    /// Its name.
    pub name: String,
    /// Its zone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub zone: Option<String>,
    /// Declared weight.
    pub weight: u32,
    /// What part of the slots its weight asks for, from 0 to 1.
    pub share: f64,
    /// Slots of width 1 that it has.
    pub slots: u64,
    /// How many slots these are more than its weight asks for, or fewer.
    pub deviation: f64,
}

/// A table of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolTable {
    /// Shards a row.
    pub width: u16,
    /// Cells.
    pub cells: u64,
    /// Cells whose shard was not in the row before the pool's last change; 0 where there was none before.
    pub moved: u64,
    /// Of these, as many as no table of these shares could do without.
    pub unavoidable: u64,
    /// The most cells that a shard has more than its share, or fewer.
    pub deviation: u64,
    /// What part of pairs of rows have 0, 1, 2 ... shards in common, of a fixed sample; none for width 1.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub overlap: Vec<f64>,
}

/// `POST /v1/placement`: what was taken up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Digest of the tables.
    pub digest: String,
    /// Whether they are those in force: then there is nothing to do.
    pub in_force: bool,
}

impl Pools {
    /// All pools of a placement.
    pub fn of(placement: &Placement) -> Self {
        let pools = placement.pools.iter().map(|(name, pool)| Pool::of(name, pool)).collect();
        Self { version: placement.version, digest: placement.digest(), pools }
    }
}

impl Pool {
    fn of(name: &str, pool: &PoolPlacement) -> Self {
        let weights: u64 = pool.shards.iter().map(|shard| u64::from(shard.weight)).sum();
        let slots = pool.counts(1);
        let shards = pool.shards.iter().zip(slots).map(|(shard, slots)| {
            let share = f64::from(shard.weight) / weights.max(1) as f64;
            PoolShard {
                name: shard.name.clone(),
                zone: shard.zone.clone(),
                weight: shard.weight,
                share,
                slots: slots as u64,
                deviation: slots as f64 - share * f64::from(SLOTS),
            }
        });
        let tables = pool.tables.iter().map(|(width, table)| {
            let had = pool.counts(*width).into_iter().zip(pool.shares(*width));
            PoolTable {
                width: *width,
                cells: table.cells.len() as u64,
                moved: table.moved.cells as u64,
                unavoidable: table.moved.unavoidable as u64,
                deviation: had.map(|(had, share)| had.abs_diff(share)).max().unwrap_or(0) as u64,
                overlap: if *width > 1 { overlap(&table.cells, usize::from(*width)) } else { Vec::new() },
            }
        });
        let zones = pool.zones().map(|zones| zones.names().to_vec()).unwrap_or_default();
        Self {
            name: name.to_owned(),
            since: pool.since,
            digest: pool.digest(),
            zones,
            shards: shards.collect(),
            tables: tables.collect(),
        }
    }
}

/// How many pairs of cells are compared at most, so that wide rows take no longer.
const COMPARED: usize = 4_000_000;

/// What part of pairs of rows of `width` shards have so many in common. The pairs are a fixed sample: a generator's, so that
/// neither rows side by side nor rows at one distance say more than others.
fn overlap(cells: &[u16], width: usize) -> Vec<f64> {
    let rows = cells.len() / width;
    let pairs = (COMPARED / (width * width)).clamp(1_000, 100_000);
    let mut found = vec![0_u32; width + 1];
    let mut state = 0_u64;
    // SplitMix64 (Steele et al. 2014).
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0) % rows.max(1)
    };
    let row = |at: usize| cells.get(at * width..(at + 1) * width).unwrap_or_default();
    let mut compared = 0_u32;
    for _ in 0..pairs {
        let (one, other) = (next(), next());
        if one == other {
            continue;
        }
        let other = row(other);
        let common = row(one).iter().filter(|shard| other.contains(shard)).count();
        if let Some(found) = found.get_mut(common) {
            *found += 1;
        }
        compared += 1;
    }
    found.into_iter().map(|found| f64::from(found) / f64::from(compared.max(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::{Member, Moved, Table, next_one, next_rows};

    #[test]
    fn a_pool_shows_its_balance_and_how_far_rows_overlap() {
        let shards: Vec<Member> =
            (0..100).map(|n| Member { name: format!("shard-{n:03}"), weight: 1, zone: None }).collect();
        let mut pool = PoolPlacement { since: 3, shards, tables: std::collections::BTreeMap::new() };
        let one = next_one(None, &pool.candidates());
        let rows = next_rows(None, &pool.candidates(), None, 4, &one);
        pool.tables.insert(1, Table { cells: one, moved: Moved::default() });
        pool.tables.insert(4, Table { cells: rows, moved: Moved { cells: 7, unavoidable: 5 } });
        let shown = Pool::of("general", &pool);
        assert!(shown.shards.iter().all(|shard| shard.deviation.abs() < 1.0 && shard.share == 0.01));
        assert_eq!(shown.shards.iter().map(|shard| shard.slots).sum::<u64>(), u64::from(SLOTS));
        let wide = &shown.tables[1];
        assert_eq!((wide.width, wide.moved, wide.unavoidable), (4, 7, 5));
        assert!(wide.deviation <= 1);
        // Of two random sets of 4 of 100 these parts have 0 to 2 in common (research: .847 / .146 / .0070).
        for (found, expected) in wide.overlap.iter().zip([0.847, 0.146, 0.007]) {
            assert!((found - expected).abs() < 0.02, "{:?}", wide.overlap);
        }
        assert!((wide.overlap.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(shown.tables[0].overlap.is_empty());
    }
}
