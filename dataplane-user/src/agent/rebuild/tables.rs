//! Key ids and shard indices out of a pinned generation's tables, by a policy.
//!
//! A key is found by its level and its bits. A label of a prefix table is a number there, which depends on the whole table:
//! so the pinned prefixes are asked what the addresses of each label map to. A label that is not one number there, or shares
//! its number with another, is none that the pinned generation knows, and its keys are not found: a wrong id would bill one
//! tenant for another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use keysteer_common::config::{Config, FieldConfig, LevelConfig, PrefixTable, class_action};
use keysteer_common::tables::{KeyEntry, SLOTS, ShardEntry, target};

use crate::compile::Identities;
use crate::image::Image;
use crate::policy::{Field, Policy, Spelling};

/// Identities of the policy's keys that `pinned` has, with their ids; `None` where it reads other keys than the policy,
/// of which `image` was compiled.
pub(super) fn keys(policy: &Policy, image: &Image, pinned: &Image) -> Option<Vec<(String, u32)>> {
    if !reads_alike(&image.config, &pinned.config) {
        return None;
    }
    // By schema, by field.
    let labels: Vec<Vec<Option<HashMap<u128, u128>>>> = (0..)
        .zip(&policy.schemas)
        .map(|(of, schema)| {
            let fields = (0..).zip(&schema.fields);
            fields.map(|(at, field)| labels(policy, (of, at), field, image, pinned)).collect()
        })
        .collect();
    let entries: HashMap<(u8, u128), u32> = pinned
        .keys
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry.meta.is_empty())
        .map(|(at, entry)| {
            let high = pinned.keys_high.get(at).copied().unwrap_or_default();
            ((entry.meta.level(), u128::from(high) << 64 | u128::from(entry.key)), entry.id)
        })
        .collect();
    let identities = Identities::new(policy);
    let mut found = Vec::new();
    for key in &policy.keys {
        let there = |spelling: Spelling| {
            let level = policy.level(spelling.level)?;
            let bits = level.members.iter().try_fold(0, |bits, at| {
                let field = level.schema.fields.get(*at)?;
                let value = field.value(spelling.key);
                let value = match labels.get(level.at)?.get(*at)? {
                    Some(labels) => *labels.get(&value)?,
                    None => value,
                };
                Some(bits | field.placed(value))
            })?;
            entries.get(&(spelling.level, bits))
        };
        let first = Spelling { level: key.level, key: key.key };
        let mut all = std::iter::once(first).chain(key.also.iter().copied());
        if let Some(id) = all.find_map(there) {
            let mut identity = String::new();
            identities.write(key, &mut identity);
            found.push((identity, *id));
        }
    }
    Some(found)
}

/// Whether both take the same bits of a packet for a key, at the same levels.
fn reads_alike(one: &Config, other: &Config) -> bool {
    let fields = |config: &Config| {
        config
            .fields
            .map(|fields| fields.map(|field| FieldConfig { prefixes: PrefixTable::default(), ..field }))
    };
    let levels = |config: &Config| config.levels.map(|level| LevelConfig { multipliers: [0; 2], ..level });
    one.wide == other.wide
        && one.schemas == other.schemas
        && fields(one) == fields(other)
        && levels(one) == levels(other)
}

/// By a field of a schema: the number in `pinned` of each label's number in `image`; `None` for a field without a prefix table.
fn labels(
    policy: &Policy,
    (schema, at): (usize, usize),
    field: &Field,
    image: &Image,
    pinned: &Image,
) -> Option<HashMap<u128, u128>> {
    let table = policy.tables.get(field.table?)?;
    let [ours, theirs] = [image, pinned].map(|image| image.config.fields.get(schema)?.get(at));
    let (ours, theirs) = (&ours?.prefixes, &theirs?.prefixes);
    // By label: its number there; `None` where it has several.
    let mut met: BTreeMap<u32, Option<u32>> = BTreeMap::new();
    for address in table.prefixes.iter().flat_map(|(net, _)| ends(net)) {
        let (label, number) = (image.find_prefix(ours, address), pinned.find_prefix(theirs, address));
        met.entry(label)
            .and_modify(|known| *known = known.filter(|it| *it == number))
            .or_insert(Some(number));
    }
    let mut owners: BTreeMap<u32, u32> = BTreeMap::new();
    met.values().flatten().for_each(|number| *owners.entry(*number).or_default() += 1);
    let known = met.into_iter().filter_map(|(label, number)| {
        let number = number.filter(|number| *number != 0 && owners.get(number) == Some(&1))?;
        Some((u128::from(label), u128::from(number)))
    });
    Some(known.filter(|(label, _)| *label != 0).collect())
}

/// The first and the last address of a prefix.
fn ends(net: &IpNet) -> [IpAddr; 2] {
    [net.network(), net.broadcast()]
}

/// The shards of a policy, of which `image` was compiled, that `pinned` has, with their indices: those of the same target.
/// Where several are alike, in the order of the policy; no index is taken twice.
pub(super) fn shards(image: &Image, pinned: &Image) -> Vec<(String, u16)> {
    let used = in_use(pinned);
    let same = |one: &ShardEntry, other: &ShardEntry| {
        (one.target, one.port, one.destination) == (other.target, other.port, other.destination)
    };
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for (at, info) in image.names.policy_shards() {
        let Some(entry) = image.shards.get(usize::from(at)) else { continue };
        let all = (0_u16..).zip(pinned.shards.iter().take(pinned.config.shards as usize));
        // An index that no shard has looks like a shard that drops; but nothing is sent to it.
        let mut alike = all.filter(|(index, there)| {
            same(entry, there)
                && !taken.contains(index)
                && (entry.target != target::DROP || used.contains(index))
        });
        if let Some((index, _)) = alike.next() {
            taken.insert(index);
            found.push((info.name.clone(), index));
        }
    }
    found
}

/// The indices of shards that something is sent to.
fn in_use(pinned: &Image) -> BTreeSet<u16> {
    // Behind the last slot the kernel has zeros, which are nobody's; and a table need not have a row for each slot.
    let pools = pinned.slot_tables.iter().map(|table| table.pool);
    let classes = pinned.config.classes.iter().filter(|class| class.action == class_action::STEER);
    let pools: BTreeSet<u32> = pools.chain(classes.map(|class| class.slots)).collect();
    let in_pools = pools.into_iter().flat_map(|first| slots(pinned, first, SLOTS));
    let keys = pinned.keys.iter().filter(|entry| !entry.meta.is_empty());
    let (direct, spread): (Vec<&KeyEntry>, Vec<&KeyEntry>) = keys.partition(|entry| entry.meta.is_direct());
    let rows: BTreeSet<(u32, u32)> = spread
        .into_iter()
        .filter_map(|entry: &KeyEntry| {
            let table = pinned.slot_tables.get(entry.meta.table() as usize)?;
            Some((table.first.checked_add(u32::from(entry.place).checked_mul(table.width)?)?, table.width))
        })
        .collect();
    let in_rows = rows.into_iter().flat_map(|(first, width)| slots(pinned, first, width));
    let mut used = vec![false; usize::from(u16::MAX) + 1];
    for index in in_pools.chain(in_rows).chain(direct.into_iter().map(|entry| entry.place)) {
        if let Some(used) = used.get_mut(usize::from(index)) {
            *used = true;
        }
    }
    (0..=u16::MAX).zip(used).filter(|(_, used)| *used).map(|(index, _)| index).collect()
}

/// So many slots from `first` on.
fn slots(pinned: &Image, first: u32, many: u32) -> impl Iterator<Item = u16> {
    pinned.slots.iter().skip(first as usize).take(many as usize).copied()
}
