//! What the image's numbers are called, for people.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use keysteer_common::tables::{KeyEntry, SlotWord, WIDTH_ALL};

use crate::image::{FieldInfo, KeyInfo, Names, ShardInfo, TableInfo};
use crate::policy::{Field, Key, Mode, Policy, Shard, Target, mac_text};

/// The names of everything. `entries` are those of the policy's keys, in its order.
pub(super) fn names(
    policy: &Policy,
    entries: &[KeyEntry],
    slots: &[SlotWord],
    tables: Vec<TableInfo>,
) -> Names {
    let mut held = Held::default();
    let mut keys: Vec<KeyInfo> = policy
        .keys
        .iter()
        .zip(entries)
        .map(|(key, entry)| key_info(policy, key, entry, slots, &mut held))
        .collect();
    keys.sort_unstable_by_key(|key| key.id);
    Names {
        policy: policy.name.clone(),
        environment: policy.environment.clone(),
        observe: policy.mode == Mode::Observe,
        interfaces: policy.interfaces.iter().map(|interface| interface.name.clone()).collect(),
        fields: policy.schema.fields.iter().map(|field| field_info(policy, field)).collect(),
        levels: policy.schema.levels.clone(),
        keys,
        shards: policy.shards.iter().enumerate().map(|(at, shard)| shard_info(policy, at, shard)).collect(),
        tables,
    }
}

fn field_info(policy: &Policy, field: &Field) -> FieldInfo {
    let table = field.table.and_then(|at| policy.tables.get(at));
    let labels =
        table.map(|table| std::iter::once(String::new()).chain(table.labels.iter().cloned()).collect());
    FieldInfo {
        name: field.name.clone(),
        carrier: field.carrier,
        bits: field.bits,
        table: table.map(|table| table.name.clone()),
        labels: labels.unwrap_or_default(),
    }
}

/// What keys have in common, to be held once.
#[derive(Default)]
struct Held {
    texts: HashSet<Arc<str>>,
    rows: HashMap<Vec<usize>, Arc<[Arc<str>]>>,
}

impl Held {
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(held) = self.texts.get(text) {
            return Arc::clone(held);
        }
        let held: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&held));
        held
    }

    /// The names of shards.
    fn shards(&mut self, policy: &Policy, row: Vec<usize>) -> Arc<[Arc<str>]> {
        if let Some(held) = self.rows.get(&row) {
            return Arc::clone(held);
        }
        let named = row.iter().filter_map(|at| policy.shards.get(*at));
        let names: Arc<[Arc<str>]> = named.map(|shard| self.text(&shard.name)).collect();
        self.rows.insert(row, Arc::clone(&names));
        names
    }
}

fn key_info(policy: &Policy, key: &Key, entry: &KeyEntry, slots: &[SlotWord], held: &mut Held) -> KeyInfo {
    let schema = &policy.schema;
    let level = usize::from(key.level);
    let fields = schema.levels.get(level).into_iter().flatten().filter_map(|at| schema.fields.get(*at));
    let values = fields
        .map(|field| (held.text(&field.name), held.text(&field.text(&policy.tables, field.value(key.key)))))
        .collect();
    let pool = key.pool.and_then(|at| policy.pools.get(at));
    let row: Vec<usize> = match pool {
        None => Vec::new(),
        Some(pool) if entry.width == WIDTH_ALL => pool.shards.clone(),
        Some(_) => {
            let width = usize::from(entry.width);
            let first = entry.slots as usize + usize::from(entry.slot) * width;
            let row = slots.get(first..first + width).unwrap_or_default();
            row.iter().map(|word| usize::from(*word as u16)).collect()
        }
    };
    KeyInfo {
        id: entry.id,
        name: key.name.clone(),
        values,
        level,
        pool: held.text(pool.map_or("", |pool| &pool.name)),
        width: entry.width,
        shards: held.shards(policy, row),
        tier: key.tier.and_then(|at| policy.tiers.get(at)).map(|tier| held.text(&tier.name)),
        owner: key.owner.clone(),
        cost_centre: key.cost_centre.clone(),
        account: key.account.clone(),
        denied: key.denied.clone(),
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
            Target::Interface { interface, mac } => format!("interface {interface} {}", mac_text(*mac)),
            Target::NextHop { interface, mac } => format!("next hop {} by {interface}", mac_text(*mac)),
        },
        pools: pools.map(|pool| pool.name.clone()).collect(),
    }
}
