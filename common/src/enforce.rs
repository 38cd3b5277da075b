//! What a key's policy forbids. Keys without restrictions pay one flag test.

use crate::seeded::bug;
use crate::tables::{KeyEntry, key_flag};
use crate::vocabulary::Reason;

/// Why a packet of this key must be dropped, if it must.
#[inline(always)]
pub fn enforce(entry: &KeyEntry) -> Option<Reason> {
    if entry.flags & bug!(Enforce, key_flag::DENIED, 0) != 0 { Some(Reason::Denied) } else { None }
}
