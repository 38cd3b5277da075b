//! Keys to the open-addressed table. Keys are arranged by the Robin Hood rule (Celis 1986): where two
//! want a place, the one further from home gets it. That keeps the longest probe of a million keys at
//! well under [`MAX_KEY_PROBES`], where plain linear probing would double the table for it.

use keysteer_common::config::MAX_KEY_PROBES;
use keysteer_common::hash;
use keysteer_common::headers::ALL_LEVELS;
use keysteer_common::tables::{KeyEntry, KeyMeta};
use siphasher::sip::SipHasher24;

use super::schema::halves;
use super::slots::{Slots, Way};
use super::{CompileError, Identities, slot};
use crate::policy::{Policy, Spelling};
use crate::state::KeyIds;

/// The smallest table.
const SMALLEST: usize = 16;
/// Sets of multipliers that are tried before the table is doubled.
const ATTEMPTS: u64 = 4;
/// How often the table is doubled beyond what the number of keys asks for.
const DOUBLINGS: u32 = 4;

/// A key's entry and the whole key that it stands for, most significant half first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placed {
    pub(super) entry: KeyEntry,
    pub(super) key: [u64; 2],
}

/// The first entry of each key, in the order of the policy; then those that keys have beside.
pub(super) fn entries<'p>(
    policy: &'p Policy,
    slots: &mut Slots<'p>,
    ids: &mut KeyIds,
) -> Result<Vec<Placed>, CompileError> {
    let mut entries = Vec::with_capacity(policy.keys.len());
    ids.expect(policy.keys.len());
    let identities = Identities::new(policy);
    let mut identity = String::new();
    // The way of the key before: most often it is that of the next, too.
    let mut last = None;
    let mut more = Vec::new();
    for key in &policy.keys {
        identities.write_placed(key, &mut identity);
        let slot = slot(&identity);
        if key.alias_of.is_some() {
            identities.write(key, &mut identity);
        }
        let way = match (key.pool, last) {
            (Some(_), Some((of, way))) if of == (key.pool, key.width, key.shards.as_deref()) => way,
            (Some(pool), _) => slots.way_of(pool, key)?,
            // Without a pool the key is denied, and its place is never asked for.
            (None, _) => Way::One { first: u32::MAX, table: 0 },
        };
        last = Some(((key.pool, key.width, key.shards.as_deref()), way));
        let (id, denied, restricted) = (ids.id(&identity), key.denied.is_some(), key.sources.is_some());
        let entry = |spelling: Spelling| {
            let (place, meta) = match way {
                Way::One { first, table } => {
                    (slots.shard(first, slot), KeyMeta::direct(spelling.level, table))
                }
                Way::Pinned { shard, table } => (shard, KeyMeta::direct(spelling.level, table)),
                Way::Several { table, rows } => (row(slot, rows), KeyMeta::spread(spelling.level, table)),
            };
            let key = halves(spelling.key);
            Placed {
                entry: KeyEntry { key: key[1], id, place, meta: meta.deny(denied).restrict(restricted) },
                key,
            }
        };
        entries.push(entry(Spelling { level: key.level, key: key.key }));
        more.extend(key.also.iter().map(|spelling| entry(*spelling)));
    }
    entries.append(&mut more);
    Ok(entries)
}

/// The row of a slot in a table of so many rows.
fn row(slot: u16, rows: u32) -> u16 {
    u16::try_from(u32::from(slot) % rows.max(1)).unwrap_or(slot)
}

/// An arranged table.
#[derive(Debug)]
pub(super) struct KeyTable {
    pub(super) entries: Vec<KeyEntry>,
    /// Upper halves of the entries' keys; empty where they are all zero.
    pub(super) high: Vec<u64>,
    /// The most entries that a look-up has to read.
    pub(super) probes: u32,
    /// What leaves a hash as an index.
    pub(super) shift: u32,
    /// The multipliers of each level.
    pub(super) multipliers: [[u64; 2]; ALL_LEVELS],
}

/// Arranges the keys of `entries`, which are of so many levels, under multipliers derived from `secret`.
pub(super) fn arrange(
    entries: &[Placed],
    levels: usize,
    secret: u64,
    wide: bool,
) -> Result<KeyTable, CompileError> {
    let smallest = (entries.len() * 2).next_power_of_two().max(SMALLEST);
    for doubling in 0..=DOUBLINGS {
        for attempt in 0..ATTEMPTS {
            let multipliers = multipliers(secret, attempt, levels);
            if let Some(table) = try_arrange(entries, smallest << doubling, multipliers, wide) {
                return Ok(table);
            }
        }
    }
    Err(CompileError::KeyTable { keys: entries.len(), entries: smallest << DOUBLINGS })
}

/// Odd multipliers for each level, from the secret.
fn multipliers(secret: u64, attempt: u64, levels: usize) -> [[u64; 2]; ALL_LEVELS] {
    let hasher = SipHasher24::new_with_keys(secret, attempt);
    let mut multipliers = [[0; 2]; ALL_LEVELS];
    for (number, multiplier) in multipliers.iter_mut().take(levels).flatten().enumerate() {
        *multiplier = hasher.hash(&(number as u64).to_le_bytes()) | 1;
    }
    multipliers
}

fn try_arrange(
    entries: &[Placed],
    capacity: usize,
    multipliers: [[u64; 2]; ALL_LEVELS],
    wide: bool,
) -> Option<KeyTable> {
    // The high bits of a multiply-shift hash are the good ones.
    let shift = u64::BITS - capacity.trailing_zeros();
    let mut table = vec![Placed::default(); capacity];
    // How far each entry is from where its look-up begins.
    let mut distances = vec![0_u32; capacity];
    let mut longest = 0;
    for entry in entries {
        let mut entry = *entry;
        let level = multipliers.get(usize::from(entry.entry.meta.level())).copied().unwrap_or_default();
        let mut at = (hash::key(level, entry.key, wide) >> shift) as usize & (capacity - 1);
        let mut distance = 0;
        loop {
            let (place, there) = (table.get_mut(at)?, distances.get_mut(at)?);
            if place.entry.meta.is_empty() {
                *place = entry;
                *there = distance;
                longest = longest.max(distance);
                break;
            }
            if *there < distance {
                std::mem::swap(place, &mut entry);
                std::mem::swap(there, &mut distance);
                longest = longest.max(*there);
            }
            distance += 1;
            if distance >= MAX_KEY_PROBES {
                return None;
            }
            at = (at + 1) & (capacity - 1);
        }
    }
    let probes = if entries.is_empty() { 0 } else { longest + 1 };
    let high = if wide { table.iter().map(|placed| placed.key[0]).collect() } else { Vec::new() };
    let entries = table.iter().map(|placed| placed.entry).collect();
    Some(KeyTable { entries, high, probes, shift, multipliers })
}
