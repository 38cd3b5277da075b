//! The canonical key to its class and its entry.
//!
//! Precedence, in this order:
//! 1. A level is tried only when all of its fields are present.
//! 2. Levels are tried as the schema lists them, the most specific first; the first hit is the key.
//! 3. No hit, but a level tried: `unregistered`. No level tried: `missing`.

use crate::config::{LevelConfig, MAX_KEY_PROBES, flag};
use crate::hash;
use crate::headers::Work;
use crate::seeded::bug;
use crate::tables::{KeyEntry, Tables};
use crate::vocabulary::Class;

/// Fills `decision.key_id`, `level` and `tried`, which must be reset; gives the class, and the entry
/// when it is `assigned`.
#[inline(always)]
pub fn resolve<'t, T: Tables>(tables: &'t T, work: &mut Work) -> (Class, Option<&'t KeyEntry>) {
    let mut search = Search { key: work.key, present: work.decision.present, tried: 0, found: None };
    // Written out, not a loop: each level's branches are constant for the verifier.
    search.level::<0, T>(tables);
    search.level::<1, T>(tables);
    search.level::<2, T>(tables);
    search.level::<3, T>(tables);
    let Search { tried, found, .. } = search;
    work.decision.tried = tried;
    match found {
        Some(entry) => {
            work.decision.key_id = entry.id;
            work.decision.level = entry.level;
            (Class::Assigned, found)
        }
        None if tried != 0 => (Class::Unregistered, None),
        None => (Class::Missing, None),
    }
}

/// A search through the levels.
struct Search<'t> {
    key: [u64; 2],
    present: u8,
    tried: u8,
    found: Option<&'t KeyEntry>,
}

impl<'t> Search<'t> {
    /// Tries level `L`, unless an earlier one has found the key.
    #[inline(always)]
    fn level<const L: usize, T: Tables>(&mut self, tables: &'t T) {
        let level = &tables.config().levels[L];
        if level.fields == 0 || self.found.is_some() || self.present & level.fields != level.fields {
            return;
        }
        self.tried |= 1 << L;
        self.found = look_up(tables, level, self.key, L as u8);
    }
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
    let hash = hash::key(level.multipliers, key, config.flags & flag::WIDE_KEY != 0);
    let home = (hash >> (config.key_shift & 63)) as u32;
    let probes = bug!(Resolve, config.key_probes, config.key_probes.saturating_sub(1));
    let mut found = None;
    let mut probe = 0;
    while probe < MAX_KEY_PROBES && probe < probes {
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
