//! What the image's numbers are called, for people.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use keysteer_common::tables::{Slot, WIDTH_ALL};

use super::keys::Placed;
use super::slots::SlotTables;

use crate::display::Veil;
use crate::health::Checks;
use crate::image::{FieldInfo, KeyInfo, Names, SchemaInfo, ShardInfo, TableInfo};
use crate::policy::{Field, Key, Mode, Policy, Schema, Shard, Target, mac_text};

/// The names of some of the policy's keys. `entries` are those of all of them, in its order.
pub(super) fn keys(
    policy: &Policy,
    indices: &[u16],
    entries: &[Placed],
    tables: &SlotTables,
    which: Range<usize>,
) -> Vec<KeyInfo> {
    let mut held = Held::new(policy, indices, entries);
    let keys = policy.keys.iter().zip(entries).take(which.end).skip(which.start);
    keys.map(|(key, entry)| held.key(key, entry, tables)).collect()
}

/// The names of everything: those of the keys and of the slot tables are given.
pub(super) fn names(
    policy: &Policy,
    indices: &[u16],
    mut keys: Vec<KeyInfo>,
    tables: Vec<TableInfo>,
    veil: Veil,
) -> Names {
    keys.sort_unstable_by_key(|key| key.id);
    Names {
        policy: policy.name.clone(),
        environment: policy.environment.clone(),
        observe: policy.mode == Mode::Observe,
        interfaces: policy.interfaces.iter().map(|interface| interface.name.clone()).collect(),
        schemas: policy.schemas.iter().map(|schema| schema_info(policy, schema)).collect(),
        residency: policy.residency.clone(),
        veil,
        keys,
        shards: by_index(policy, indices, ShardInfo::default(), shard_info),
        tables,
        health: Checks::of(policy, indices).map(Arc::new),
    }
}

/// What `each` says of every shard of the policy, by index; `none` where the policy has no such shard.
fn by_index<T: Clone>(
    policy: &Policy,
    indices: &[u16],
    none: T,
    each: impl Fn(&Policy, usize, &Shard) -> T,
) -> Vec<T> {
    let length = indices.iter().max().map_or(0, |most| usize::from(*most) + 1);
    let mut all = vec![none; length];
    for ((at, shard), index) in policy.shards.iter().enumerate().zip(indices) {
        if let Some(to) = all.get_mut(usize::from(*index)) {
            *to = each(policy, at, shard);
        }
    }
    all
}

fn schema_info(policy: &Policy, schema: &Schema) -> SchemaInfo {
    SchemaInfo {
        version: schema.version,
        fields: schema.fields.iter().map(|field| field_info(policy, field)).collect(),
        levels: schema.levels.clone(),
        deprecated: schema.deprecated,
    }
}

fn field_info(policy: &Policy, field: &Field) -> FieldInfo {
    let table = field.table.and_then(|at| policy.tables.get(at));
    let labels =
        table.map(|table| std::iter::once(String::new()).chain(table.labels.iter().cloned()).collect());
    FieldInfo {
        name: field.name.clone(),
        carrier: field.carrier,
        source: field.source(),
        range: field.range(),
        bits: field.bits,
        table: table.map(|table| table.name.clone()),
        values_of: values_of(policy, field).to_owned(),
        labels: labels.unwrap_or_default(),
        values: field.values.clone(),
        display: field.display,
    }
}

/// What values of a field are values of; see [`FieldInfo::values_of`].
fn values_of<'p>(policy: &'p Policy, field: &'p Field) -> &'p str {
    let same = policy.schemas.iter().flat_map(|schema| &schema.fields).filter(|it| it.name == field.name);
    let mut tables = std::iter::once(field).chain(same).filter_map(|it| policy.tables.get(it.table?));
    tables.next().map_or(field.name.as_str(), |table| &table.name)
}

/// What keys have in common, to be held once.
struct Held<'p> {
    policy: &'p Policy,
    /// The index of each of its shards.
    indices: &'p [u16],
    /// The entries of all keys.
    entries: &'p [Placed],
    pools: Vec<Arc<str>>,
    tiers: Vec<Arc<str>>,
    shards: Vec<Arc<str>>,
    /// By pool: the names of all of its shards.
    whole: Vec<Option<Arc<[Arc<str>]>>>,
    /// By shard: the names of a row of it alone.
    single: Vec<Arc<[Arc<str>]>>,
    /// The names of the shards of a longer row.
    rows: HashMap<Box<[Slot]>, Arc<[Arc<str>]>>,
    nothing: Arc<str>,
}

impl<'p> Held<'p> {
    fn new(policy: &'p Policy, indices: &'p [u16], entries: &'p [Placed]) -> Self {
        let shards: Vec<Arc<str>> =
            by_index(policy, indices, "".into(), |_, _, shard| shard.name.as_str().into());
        Self {
            policy,
            indices,
            entries,
            pools: policy.pools.iter().map(|pool| pool.name.as_str().into()).collect(),
            tiers: policy.tiers.iter().map(|tier| tier.name.as_str().into()).collect(),
            single: shards.iter().map(|shard| [Arc::clone(shard)].into()).collect(),
            shards,
            whole: vec![None; policy.pools.len()],
            rows: HashMap::new(),
            nothing: "".into(),
        }
    }

    fn key(&mut self, key: &Key, placed: &Placed, tables: &SlotTables) -> KeyInfo {
        let (width, shards) = self.row(key, placed, tables);
        let pool = key.pool.and_then(|pool| self.pools.get(pool)).unwrap_or(&self.nothing);
        let tier = key.tier.and_then(|tier| self.tiers.get(tier));
        KeyInfo {
            id: placed.entry.id,
            name: key.name.clone(),
            key: key.key,
            level: usize::from(key.level),
            also: key.also.clone(),
            alias_of: key.alias_of.and_then(|of| self.entries.get(of)).map(|placed| placed.entry.id),
            pool: Arc::clone(pool),
            width,
            tier: tier.cloned(),
            shards,
            pinned: key.shards.is_some(),
            owner: key.owner.clone(),
            cost_centre: key.cost_centre.clone(),
            account: key.account.clone(),
            region: key.region.clone(),
            vip: key.vip,
            denied: key.denied.clone(),
            sources: key.sources.clone(),
        }
    }

    /// A key's width, and the names of the shards that it may use.
    fn row(&mut self, key: &Key, placed: &Placed, tables: &SlotTables) -> (u16, Arc<[Arc<str>]>) {
        let entry = placed.entry;
        let Some(pool) = key.pool else { return (1, Arc::default()) };
        if entry.meta.is_direct() {
            return (1, self.single.get(usize::from(entry.place)).cloned().unwrap_or_default());
        }
        let named = |shards: &mut dyn Iterator<Item = usize>| -> Arc<[Arc<str>]> {
            shards.filter_map(|at| self.shards.get(at).cloned()).collect()
        };
        let table = tables.list.get(entry.meta.table() as usize).copied().unwrap_or_default();
        if table.width == WIDTH_ALL {
            let members = self.policy.pools.get(pool).map_or(&[][..], |pool| pool.shards.as_slice());
            let Some(whole) = self.whole.get_mut(pool) else { return (0, Arc::default()) };
            return (
                0,
                Arc::clone(whole.get_or_insert_with(|| {
                    named(
                        &mut members
                            .iter()
                            .filter_map(|at| self.indices.get(*at))
                            .map(|index| usize::from(*index)),
                    )
                })),
            );
        }
        let width = table.width as usize;
        let first = table.first as usize + usize::from(entry.place) * width;
        let row = tables.slots.get(first..first + width).unwrap_or_default();
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        if let Some(held) = self.rows.get(row) {
            return (width, Arc::clone(held));
        }
        let names = named(&mut row.iter().map(|shard| usize::from(*shard)));
        self.rows.insert(row.into(), Arc::clone(&names));
        (width, names)
    }
}

fn shard_info(policy: &Policy, index: usize, shard: &Shard) -> ShardInfo {
    let pools = policy.pools.iter().filter(|pool| pool.shards.contains(&index));
    ShardInfo {
        name: shard.name.clone(),
        weight: shard.weight,
        target: match &shard.target {
            Target::Pass => "pass".to_owned(),
            Target::Drop => "drop".to_owned(),
            Target::Cpu(cpu) => format!("cpu {cpu}"),
            Target::Interface { interface, mac, nat: None } => {
                format!("interface {interface} {}", mac_text(*mac))
            }
            Target::Interface { interface, mac, nat: Some(nat) } => {
                format!("interface {interface} {}, translated to {}", mac_text(*mac), nat.text())
            }
            Target::NextHop { interface, mac } => format!("next hop {} by {interface}", mac_text(*mac)),
        },
        pools: pools.map(|pool| pool.name.clone()).collect(),
    }
}
