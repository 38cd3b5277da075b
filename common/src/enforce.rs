//! What a key's policy forbids. Keys without restrictions pay one flag test.

use crate::seeded::bug;
use crate::tables::KeyEntry;
use crate::vocabulary::Reason;

/// Why a packet of this key must be dropped, if it must.
#[inline(always)]
pub fn enforce(entry: &KeyEntry) -> Option<Reason> {
    if bug!(Enforce, entry.meta.is_denied(), false) { Some(Reason::Denied) } else { None }
}
