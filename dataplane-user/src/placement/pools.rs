//! The tables of a policy's pools: what is kept with a generation, and what the next one begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::next::{GONE, Moved, moved, next_one, next_rows};
use super::share::over_rows;
use super::zones::Zones;
use super::{Candidate, ROWS};
use crate::policy::{ClassAction, Policy, Pool, Width};

/// The tables of a policy's pools. They depend on nothing but the policy and the tables before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Rises with every generation whose tables differ from those of the one before; 1 where there was none.
    pub version: u64,
    /// By pool.
    pub pools: BTreeMap<String, Arc<PoolPlacement>>,
}

/// The tables of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolPlacement {
    /// The [`Placement::version`] that they came with.
    pub since: u64,
    /// Its shards, in the order of their names; fewer than 65,536.
    pub shards: Vec<Member>,
    /// By width, from 1; a table is of as many rows as any.
    pub tables: BTreeMap<u16, Table>,
}

/// A shard of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its weight when the tables were made.
    pub weight: u32,
    /// Its zone then.
    pub zone: Option<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// [`super::SLOTS`] rows of as many cells as the table is wide: places in the pool's list of shards.
    pub cells: Vec<u16>,
    /// What the last change of the pool moved.
    pub moved: Moved,
}

impl Placement {
    /// The tables that a policy asks for, as near to `previous` as shares allow; seeds where there is none.
    ///
    /// A pool whose shards, weights and zones are as they were keeps its tables as they are.
    pub fn next(previous: Option<&Self>, policy: &Policy) -> Self {
        let before = previous.map_or(0, |previous| previous.version);
        let version = before + 1;
        let mut changed = previous.is_none();
        let mut pools = BTreeMap::new();
        for (pool, widths) in asked(previous, policy) {
            let old = previous.and_then(|previous| previous.pools.get(&pool.name));
            let members = members(policy, pool);
            let kept = old
                .filter(|old| old.shards == members && old.tables.keys().copied().eq(widths.iter().copied()));
            let next = match kept {
                Some(old) => Arc::clone(old),
                None => {
                    let mut next = next_pool(old.map(Arc::as_ref), members, &widths, version);
                    match old.filter(|old| next.has_tables_of(old)) {
                        // Other weights may come to the same tables.
                        Some(old) => next.since = old.since,
                        None => changed = true,
                    }
                    Arc::new(next)
                }
            };
            pools.insert(pool.name.clone(), next);
        }
        changed |= previous.is_some_and(|previous| previous.pools.len() != pools.len());
        Self { version: if changed { version } else { before }, pools }
    }

    /// Without some pools: their tables are then made from nothing but the policy.
    pub fn without(&self, pools: &BTreeSet<String>) -> Self {
        let kept = self.pools.iter().filter(|(name, _)| !pools.contains(*name));
        let pools = kept.map(|(name, pool)| (name.clone(), Arc::clone(pool))).collect();
        Self { version: self.version, pools }
    }

    /// Whether these are tables that `policy` asks for, so that it can be compiled to them as they are.
    pub fn fits(&self, policy: &Policy) -> bool {
        asked(None, policy).into_iter().all(|(pool, widths)| {
            self.pools.get(&pool.name).is_some_and(|kept| {
                kept.shards == members(policy, pool)
                    && widths.iter().all(|width| kept.tables.contains_key(width))
            })
        })
    }

    /// SHA-256 over every pool's name and digest, in hexadecimal digits: equal on nodes with equal tables.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (name, pool) in &self.pools {
            digest.update(format!("{name} {}\n", pool.digest()));
        }
        hex(&digest.finalize())
    }
}

impl PoolPlacement {
    /// SHA-256 over the shards' names and the tables, in hexadecimal digits: a line `shard NAME` for each shard; for each
    /// table a line `width N` and its cells, 16 bits each, the lower byte first.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for shard in &self.shards {
            digest.update(format!("shard {}\n", shard.name));
        }
        for (width, table) in &self.tables {
            digest.update(format!("width {width}\n"));
            digest.update(bytes(&table.cells));
        }
        hex(&digest.finalize())
    }

    /// The zones of its shards, if they are in any.
    pub fn zones(&self) -> Option<Zones> {
        Zones::new(self.shards.iter().map(|shard| shard.zone.as_deref()))
    }

    /// How many cells of the table of `width` each shard has.
    pub fn counts(&self, width: u16) -> Vec<usize> {
        let mut counts = vec![0; self.shards.len()];
        for cell in self.tables.get(&width).iter().flat_map(|table| &table.cells) {
            if let Some(count) = counts.get_mut(usize::from(*cell)) {
                *count += 1;
            }
        }
        counts
    }

    /// How many cells of a table of `width` each shard should have.
    pub fn shares(&self, width: u16) -> Vec<usize> {
        let width = usize::from(width);
        let zones = self.zones().filter(|zones| width > 1 && zones.count() > 1);
        match zones {
            Some(zones) => zones.shares(&self.candidates(), width),
            None => over_rows(&self.candidates(), width),
        }
    }

    /// The shards' names and weights.
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        self.shards.iter().map(|shard| Candidate { name: &shard.name, weight: shard.weight }).collect()
    }

    fn has_tables_of(&self, other: &Self) -> bool {
        let names = |pool: &Self| pool.shards.iter().map(|shard| shard.name.clone()).collect::<Vec<_>>();
        names(self) == names(other)
            && self
                .tables
                .iter()
                .map(|(width, table)| (width, &table.cells))
                .eq(other.tables.iter().map(|(width, table)| (width, &table.cells)))
    }
}

/// Cells as bytes, the lower byte first.
pub(super) fn bytes(cells: &[u16]) -> Vec<u8> {
    cells.iter().flat_map(|cell| cell.to_le_bytes()).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A pool's shards, in the order of their names.
fn members(policy: &Policy, pool: &Pool) -> Vec<Member> {
    let shards = pool.shards.iter().filter_map(|at| policy.shards.get(*at));
    let mut members: Vec<Member> = shards
        .map(|shard| Member { name: shard.name.clone(), weight: shard.weight, zone: shard.zone.clone() })
        .collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members
}

/// The pools that something of a policy uses, or that are known already, with the widths of their tables.
fn asked<'p>(previous: Option<&Placement>, policy: &'p Policy) -> Vec<(&'p Pool, BTreeSet<u16>)> {
    let mut widths: Vec<BTreeSet<u16>> = vec![BTreeSet::new(); policy.pools.len()];
    let mut ask = |pool: usize, width: u16| {
        if let Some(widths) = widths.get_mut(pool) {
            widths.extend([1, width]);
        }
    };
    let mut last = None;
    for key in &policy.keys {
        // A set has a table of its own; what is pinned to one shard falls back over the pool.
        let width = match key.width {
            Width::Shards(_) if key.shards.as_ref().is_some_and(|shards| shards.len() > 1) => continue,
            width => width,
        };
        let Some(pool) = key.pool else { continue };
        if last.replace((pool, width)) == Some((pool, width)) {
            continue;
        }
        let size = policy.pools.get(pool).map_or(0, |pool| pool.shards.len());
        match width {
            Width::Shards(width) if usize::from(width) < size => ask(pool, width),
            _ => ask(pool, 1),
        }
    }
    for (_, action) in policy.classes.all() {
        if let ClassAction::Pool(pool) = action {
            ask(pool, 1);
        }
    }
    for (pool, widths) in policy.pools.iter().zip(&mut widths) {
        if previous.is_some_and(|previous| previous.pools.contains_key(&pool.name)) {
            widths.insert(1);
        }
    }
    policy.pools.iter().zip(widths).filter(|(_, widths)| !widths.is_empty()).collect()
}

/// The next tables of a pool.
fn next_pool(
    old: Option<&PoolPlacement>,
    shards: Vec<Member>,
    widths: &BTreeSet<u16>,
    since: u64,
) -> PoolPlacement {
    let mut next = PoolPlacement { since, shards, tables: BTreeMap::new() };
    let candidates = next.candidates();
    let zones = next.zones();
    // The old tables, by the places that their shards have now.
    let before = |width: u16| {
        let old = old?;
        let places: Vec<u16> = old
            .shards
            .iter()
            .map(|shard| {
                let at = candidates.binary_search_by(|other| other.name.cmp(&shard.name)).ok();
                at.and_then(|at| u16::try_from(at).ok()).unwrap_or(GONE)
            })
            .collect();
        let renamed = |cell: &u16| places.get(usize::from(*cell)).copied().unwrap_or(GONE);
        Some(old.tables.get(&width)?.cells.iter().map(renamed).collect::<Vec<u16>>())
    };
    // Nothing is another: what is there stays as it is, also where no table could be balanced to the last cell.
    let same = old.filter(|old| old.shards == next.shards);
    let kept = |width: u16| same.and_then(|old| old.tables.get(&width)).cloned();
    let mut tables = BTreeMap::new();
    let narrow = before(1);
    let first = match kept(1) {
        Some(table) => table.cells,
        None => next_one(narrow.as_deref(), &candidates),
    };
    for width in widths.iter().copied().filter(|width| *width > 1) {
        let columns = usize::from(width);
        if let Some(table) = kept(width) {
            tables.insert(width, table);
            continue;
        }
        let wide = before(width);
        // Where a pool has become no larger than the width there are no rows: its keys spread over all of it.
        if columns >= candidates.len() {
            continue;
        }
        let cells = next_rows(wide.as_deref(), &candidates, zones.as_ref(), columns, &first);
        let moved = wide.map_or_else(Moved::default, |wide| moved(&wide, &cells, columns, candidates.len()));
        tables.insert(width, Table { cells, moved });
    }
    let moved = narrow.map_or_else(Moved::default, |narrow| moved(&narrow, &first, 1, candidates.len()));
    tables.insert(1, kept(1).unwrap_or(Table { cells: first, moved }));
    debug_assert!(tables.iter().all(|(width, table)| table.cells.len() == ROWS * usize::from(*width)));
    next.tables = tables;
    next
}
