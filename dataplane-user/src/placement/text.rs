//! A placement as bytes: a line of JSON that says what there is, and after it the cells of all tables, 16 bits each, the
//! lower byte first, in the order of the line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ROWS;
use super::next::Moved;
use super::pools::{Member, Placement, PoolPlacement, Table, bytes};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    version: u64,
    pools: Vec<PoolIndex>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolIndex {
    name: String,
    since: u64,
    shards: Vec<ShardIndex>,
    tables: Vec<TableIndex>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShardIndex {
    name: String,
    weight: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    zone: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableIndex {
    width: u16,
    moved: usize,
    unavoidable: usize,
}

impl Placement {
    /// All of it, as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let pools = self.pools.iter().map(|(name, pool)| PoolIndex {
            name: name.clone(),
            since: pool.since,
            shards: pool
                .shards
                .iter()
                .map(|it| ShardIndex { name: it.name.clone(), weight: it.weight, zone: it.zone.clone() })
                .collect(),
            tables: pool
                .tables
                .iter()
                .map(|(width, it)| TableIndex {
                    width: *width,
                    moved: it.moved.cells,
                    unavoidable: it.moved.unavoidable,
                })
                .collect(),
        });
        let index = Index { version: self.version, pools: pools.collect() };
        // An index of names and numbers has nothing that JSON cannot say.
        let mut all = serde_json::to_vec(&index).unwrap_or_default();
        all.push(b'\n');
        for table in self.pools.values().flat_map(|pool| pool.tables.values()) {
            all.extend(bytes(&table.cells));
        }
        all
    }

    /// What [`Placement::to_bytes`] made.
    ///
    /// # Errors
    /// What is wrong with it: it is none, or its tables are not whole.
    pub fn from_bytes(all: &[u8]) -> Result<Self, String> {
        let end = all.iter().position(|byte| *byte == b'\n').ok_or("it does not begin with an index")?;
        let (line, cells) = all.split_at(end);
        let index: Index = serde_json::from_slice(line).map_err(|error| format!("its index: {error}"))?;
        let mut cells = cells.get(1..).unwrap_or_default();
        let mut pools = BTreeMap::new();
        for pool in index.pools {
            let name = pool.name.clone();
            let wrong = |what: &str| format!("pool {name}: {what}");
            let PoolIndex { since, shards, tables, .. } = pool;
            let shards: Vec<Member> = shards
                .into_iter()
                .map(|it| Member { name: it.name, weight: it.weight, zone: it.zone })
                .collect();
            if shards.is_empty()
                || shards.len() > usize::from(u16::MAX)
                || !shards.is_sorted_by(|a, b| a.name < b.name)
            {
                return Err(wrong("its shards are not in the order of their names, each once"));
            }
            if shards.iter().any(|shard| shard.weight == 0) {
                return Err(wrong("a shard has no weight"));
            }
            let mut read = BTreeMap::new();
            for TableIndex { width, moved, unavoidable } in tables {
                let columns = usize::from(width);
                if columns == 0 || columns > shards.len() {
                    return Err(wrong("a table has no cells, or more a row than the pool has shards"));
                }
                let (these, rest) = cells
                    .split_at_checked(columns * ROWS * 2)
                    .ok_or_else(|| wrong("its tables are cut off"))?;
                cells = rest;
                let these: Vec<u16> = these
                    .chunks_exact(2)
                    .map(|pair| pair.iter().rev().fold(0, |all, byte| all << 8 | u16::from(*byte)))
                    .collect();
                sound(&these, columns, shards.len()).map_err(&wrong)?;
                read.insert(width, Table { cells: these, moved: Moved { cells: moved, unavoidable } });
            }
            let Some(first) = read.get(&1).map(|table| &table.cells) else {
                return Err(wrong("it has no table of width 1"));
            };
            let begins =
                |(width, table): (&u16, &Table)| table.cells.iter().step_by(usize::from(*width)).eq(first);
            if !read.iter().all(begins) {
                return Err(wrong("a table does not begin with that of width 1"));
            }
            if pools.insert(name.clone(), Arc::new(PoolPlacement { since, shards, tables: read })).is_some() {
                return Err(wrong("it is there twice"));
            }
        }
        if !cells.is_empty() {
            return Err(format!("{} bytes follow its tables", cells.len()));
        }
        Ok(Self { version: index.version, pools })
    }

    /// What keeps this from being the tables of the pools of `live`, if anything: the pools and the names of their shards
    /// must be the same.
    ///
    /// # Errors
    /// The first pool that is another.
    pub fn fits_those_of(&self, live: &Self) -> Result<(), String> {
        let names = |pool: &PoolPlacement| -> BTreeSet<String> {
            pool.shards.iter().map(|shard| shard.name.clone()).collect()
        };
        for (name, pool) in &live.pools {
            let Some(other) = self.pools.get(name) else {
                return Err(format!("pool {name}, which is in force here, is not in it"));
            };
            let (here, there) = (names(pool), names(other));
            if let Some(shard) = here.symmetric_difference(&there).next() {
                let (has, lacks) = if here.contains(shard) { ("here", "there") } else { ("there", "here") };
                return Err(format!("pool {name} has shard {shard} {has} and not {lacks}"));
            }
        }
        match self.pools.keys().find(|name| !live.pools.contains_key(*name)) {
            Some(name) => Err(format!("pool {name} is in it, and not in force here")),
            None => Ok(()),
        }
    }
}

/// Whether all cells are shards, and no row has one twice.
pub(super) fn sound(cells: &[u16], width: usize, shards: usize) -> Result<(), &'static str> {
    for row in cells.chunks(width) {
        for (at, shard) in row.iter().enumerate() {
            if usize::from(*shard) >= shards {
                return Err("a cell names no shard");
            }
            if row.iter().take(at).any(|other| other == shard) {
                return Err("a row has a shard twice");
            }
        }
    }
    Ok(())
}
