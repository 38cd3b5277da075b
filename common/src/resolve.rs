//! The canonical key to its class and its entry.
//!
//! Precedence, in this order:
//! 1. A level is tried only when all of its fields are present.
//! 2. Levels are tried as the schema lists them, the most specific first; the first hit is the key.
//! 3. No hit, but a level tried: `unregistered`. No level tried: `missing`.

use crate::config::{LevelConfig, MAX_KEY_PROBES, flag};
use crate::hash;
use crate::headers::{LEVELS, NO_LEVEL, Work};
use crate::tables::{KeyEntry, Tables};
use crate::vocabulary::Class;

/// Fills `decision.class`, `key_id`, `level` and `tried`; gives the entry when the class is `assigned`.
#[inline(always)]
pub fn resolve<'t, T: Tables>(tables: &'t T, work: &mut Work) -> Option<&'t KeyEntry> {
    work.decision.key_id = 0;
    work.decision.level = NO_LEVEL;
    work.decision.tried = 0;
    let mut found = None;
    let mut level = 0;
    while level < LEVELS {
        let config = &tables.config().levels[level];
        if config.fields == 0 {
            break;
        }
        if work.decision.present & config.fields == config.fields {
            work.decision.tried |= 1 << level;
            found = look_up(tables, config, work.key, level as u8);
            if found.is_some() {
                break;
            }
        }
        level += 1;
    }
    work.decision.class = match found {
        Some(entry) => {
            work.decision.key_id = entry.id;
            work.decision.level = entry.level;
            Class::Assigned
        }
        None if work.decision.tried != 0 => Class::Unregistered,
        None => Class::Missing,
    } as u8;
    found
}

/// Looks a key up in the open-addressed table: at most [`MAX_KEY_PROBES`] entries from where its hash
/// says, ended by an empty one.
#[inline(always)]
fn look_up<'t, T: Tables>(
    tables: &'t T,
    level: &LevelConfig,
    key: [u64; 2],
    number: u8,
) -> Option<&'t KeyEntry> {
    let config = tables.config();
    let key = [key[0] & level.mask[0], key[1] & level.mask[1]];
    let home = hash::key(level.seed, key, config.flags & flag::WIDE_KEY != 0) as u32;
    let mut found = None;
    let mut probe = 0;
    while probe < MAX_KEY_PROBES && probe < config.key_probes {
        let Some(entry) = tables.key_entry(home.wrapping_add(probe) & config.key_mask) else { break };
        if entry.id == 0 {
            break;
        }
        if entry.key[1] == key[1] && entry.key[0] == key[0] && entry.level == number {
            found = Some(entry);
            break;
        }
        probe += 1;
    }
    found
}
