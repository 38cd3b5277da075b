//! The canonical key to its class and its entry.
//!
//! Precedence, in this order:
//! 1. A level is tried only when all of its fields are present.
//! 2. Levels are tried as the schema lists them, the most specific first; the first hit is the key.
//! 3. No hit, but a level tried: `unregistered`. No level tried: `missing`.

use crate::config::{LevelConfig, MAX_KEY_PROBES};
use crate::extract::Key;
use crate::hash;
use crate::hint::rare;
use crate::seeded::bug;
use crate::tables::{KeyEntry, Tables};
use crate::vocabulary::Class;

/// What a key was found to be.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'t> {
    /// `assigned`, `unregistered` or `missing`.
    pub class: Class,
    /// The key's entry, when it is `assigned`.
    pub entry: Option<&'t KeyEntry>,
    /// Bit `i` is set when level `i` was looked up.
    pub tried: u8,
    /// The version of the schema that the key was read by, where those are counted.
    pub version: Option<u8>,
    /// The key that is claimed without right, when it is `unauthenticated`; 0: one that is not registered.
    pub claimed: u32,
}

impl<'t> Resolved<'t> {
    /// A packet without a key.
    pub const fn none(class: Class, tried: u8) -> Self {
        Self { class, entry: None, tried, version: None, claimed: 0 }
    }

    /// A packet of the key that `entry` is of.
    pub const fn assigned(entry: &'t KeyEntry, tried: u8) -> Self {
        Self { class: Class::Assigned, entry: Some(entry), tried, version: None, claimed: 0 }
    }
}

/// Looks the levels of `key` up.
#[inline(always)]
pub fn resolve<'t, T: Tables>(tables: &'t T, key: &Key) -> Resolved<'t> {
    let mut tried = 0;
    match walk(tables, key, &mut tried) {
        Some((_, entry)) => Resolved::assigned(entry, tried),
        None if tried != 0 => Resolved::none(Class::Unregistered, tried),
        None => Resolved::none(Class::Missing, tried),
    }
}

/// A key's entry, and its index.
pub(crate) type Hit<'t> = Option<(u64, &'t KeyEntry)>;

/// Looks the levels of the first schema up, the most specific first.
#[inline(always)]
pub(crate) fn walk<'t, T: Tables>(tables: &'t T, key: &Key, tried: &mut u8) -> Hit<'t> {
    // Nested, not a loop: each level's branches are constant for the verifier, and a hit ends the search.
    match level::<0, T>(tables, key, tried) {
        None => match level::<1, T>(tables, key, tried) {
            None => match level::<2, T>(tables, key, tried) {
                None => level::<3, T>(tables, key, tried),
                found => found,
            },
            found => found,
        },
        found => found,
    }
}

/// Tries level `L`, if there is such a level and the key has its fields.
#[inline(always)]
fn level<'t, const L: usize, T: Tables>(tables: &'t T, key: &Key, tried: &mut u8) -> Hit<'t> {
    let config = tables.config();
    let level = &config.levels[L];
    // Behind those of the first schema come those of the others, which its key is nothing to.
    if L >= config.schemas[0].levels as usize || key.present & level.fields != level.fields {
        return None;
    }
    if L > 0 {
        rare();
    }
    *tried |= 1 << L;
    look_up(tables, level, L as u8, key.key)
}

/// Looks a key up in the open-addressed table: at most [`MAX_KEY_PROBES`] entries from where its hash
/// says, ended by an empty one. Gives the entry and its index.
#[inline(always)]
pub(crate) fn look_up<'t, T: Tables>(
    tables: &'t T,
    level: &LevelConfig,
    number: u8,
    key: [u64; 2],
) -> Hit<'t> {
    let config = tables.config();
    let low = key[1] & level.mask[1];
    let mut hash = hash::low(level.multipliers, low);
    let mut high = 0;
    if config.wide != 0 {
        rare();
        high = key[0] & level.mask[0];
        hash = hash::wide(level.multipliers, hash, high);
    }
    let home = hash >> (config.key_shift & 63);
    let is_key = |index, entry: &KeyEntry| {
        entry.key == low
            && entry.meta.is_level(number)
            && (tables.config().wide == 0 || tables.key_high(index).is_some_and(|there| there == high))
    };
    // The first probe, which is nearly always the last, by itself; the shift leaves it inside the table.
    let first = tables.key_entry(home)?;
    if is_key(home, first) {
        return Some((home, first));
    }
    if first.meta.is_empty() {
        return None;
    }
    rare();
    let probes = bug!(Resolve, config.key_probes, config.key_probes.saturating_sub(1));
    let mut found = None;
    let mut probe = 1;
    while probe < MAX_KEY_PROBES && probe < probes {
        let index = home.wrapping_add(probe as u64) & config.key_mask as u64;
        let Some(entry) = tables.key_entry(index) else { break };
        if entry.meta.is_empty() {
            break;
        }
        if is_key(index, entry) {
            found = Some((index, entry));
            break;
        }
        probe += 1;
    }
    found
}
