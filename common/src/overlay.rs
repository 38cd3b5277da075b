//! Operators' words: what holds whatever the policy says, one aligned word per key id and per shard. They are shared
//! by all generations, so that neither a new policy nor a rollback revives what was denied.
//!
//! ```text
//!  key word    DENY, or ALLOW against the policy's `deny`
//!  shard word  DISABLED: its traffic falls back to other shards of the pool
//! ```
//! A program that is loaded while there are no words does not ask for them ([`crate::config::Config::overlay`]).
//!
//! A fall-back depends on nothing but tables, words and the packet, so that nodes of one policy agree. Of a key of
//! width k the other shards of its row come first; else the pool's slots are walked from a place that the key (width 1)
//! or the flow gives.

use crate::headers::NO_SHARD;
use crate::tables::{KeyEntry, SLOTS, Slot, Tables, WIDTH_ALL};

/// Bits of [`Tables::key_word`].
pub mod key_word {
    /// Every packet of the key is dropped.
    pub const DENY: u64 = 1 << 0;
    /// The policy's denial does not count.
    pub const ALLOW: u64 = 1 << 1;
}

/// Bits of [`Tables::shard_word`].
pub mod shard_word {
    /// Takes no packets.
    pub const DISABLED: u64 = 1 << 0;
}

/// How many other shards of a row are tried.
const IN_ROW: u32 = 16;
/// How many slots of the pool are tried.
const IN_POOL: u32 = 16;

/// Whether a key is denied, by the operators' word over the policy's.
///
/// Like the others here a function of its own in the kernel: only the variant that heeds words calls it, and the
/// program has room for one copy.
#[inline(never)]
pub fn is_denied<T: Tables>(tables: &T, entry: &KeyEntry) -> bool {
    let word = tables.key_word(entry.id);
    word & key_word::DENY != 0 || entry.meta.is_denied() && word & key_word::ALLOW == 0
}

/// The shard that takes a packet of a registered key in place of `choice`'s, if that is disabled; [`NO_SHARD`] if none
/// does. `slot` and `flow` are those of the choice.
#[inline(never)]
pub fn around<T: Tables>(tables: &T, entry: &KeyEntry, shard: Slot, slot: u32, flow: u32) -> Slot {
    if takes(tables, shard) {
        return shard;
    }
    let Some(table) = tables.slot_table(entry.meta.table()) else {
        return NO_SHARD;
    };
    if entry.meta.is_direct() {
        return in_pool(tables, table.pool, entry.key);
    }
    if table.width != WIDTH_ALL {
        let row = table.first.wrapping_add((entry.place as u32).wrapping_mul(table.width));
        let other = in_row(tables, row, table.width, slot.wrapping_sub(row));
        if other != NO_SHARD {
            return other;
        }
    }
    in_pool(tables, table.pool, flow as u64)
}

/// The shard that takes a packet of a class that is spread over the pool whose slots begin at `first`, in place of
/// `shard`, if that is disabled; [`NO_SHARD`] if none does.
#[inline(never)]
pub fn around_pool<T: Tables>(tables: &T, first: u32, shard: Slot, flow: u32) -> Slot {
    if takes(tables, shard) { shard } else { in_pool(tables, first, flow as u64) }
}

/// Whether a shard takes packets.
#[inline(always)]
fn takes<T: Tables>(tables: &T, shard: Slot) -> bool {
    tables.shard_word(shard as u32) & shard_word::DISABLED == 0
}

/// The next shard that takes packets in the row of `width` slots at `row`, after column `column`.
#[inline(always)]
fn in_row<T: Tables>(tables: &T, row: u32, width: u32, column: u32) -> Slot {
    let mut tried = 1;
    let mut column = column;
    while tried < IN_ROW && tried < width {
        column += 1;
        if column >= width {
            column = 0;
        }
        let shard = tables.slot(row.wrapping_add(column)).unwrap_or(NO_SHARD);
        if shard != NO_SHARD && takes(tables, shard) {
            return shard;
        }
        tried += 1;
    }
    NO_SHARD
}

/// The first shard that takes packets among the slots of a pool that begin at `first`, in the order that `seed`
/// gives.
#[inline(always)]
fn in_pool<T: Tables>(tables: &T, first: u32, seed: u64) -> Slot {
    let mut state = seed;
    let mut tried = 0;
    while tried < IN_POOL {
        // The multiplier of Knuth's MMIX generator; the upper half of the state is the good one.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let shard = tables.slot(first.wrapping_add((state >> 40) as u32 & (SLOTS - 1))).unwrap_or(NO_SHARD);
        if shard != NO_SHARD && takes(tables, shard) {
            return shard;
        }
        tried += 1;
    }
    NO_SHARD
}
