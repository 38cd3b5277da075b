//! What a key's policy and the operators forbid. Keys without restrictions pay one flag test.

use crate::hint::rare;
use crate::overlay;
use crate::seeded::bug;
use crate::tables::{KeyEntry, Tables};
use crate::vocabulary::Reason;

/// Why a packet of this key must be dropped, if it must.
#[inline(always)]
pub fn enforce<T: Tables>(tables: &T, entry: &KeyEntry) -> Option<Reason> {
    let mut denied = bug!(Enforce, entry.meta.is_denied(), false);
    if tables.config().overlay != 0 {
        rare();
        denied = overlay::is_denied(tables, entry);
    }
    if denied { Some(Reason::Denied) } else { None }
}
