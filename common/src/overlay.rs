//! Operators' words: what holds whatever the policy says, one aligned word per key id and per shard. They are shared
//! by all generations, so that neither a new policy nor a rollback revives what was denied.
//!
//! ```text
//!  key word    DENY, or ALLOW against the policy's `deny`
//!  shard word  DISABLED, DOWN: its traffic falls back to other shards
//!              RECOVERING: flows that it lost meanwhile stay where they are, it takes a share of those that open
//! ```
//! The agent says of a shard what its health is; nobody else says anything of it then. A program that is loaded while there are no words does not ask for them ([`crate::config::Config::overlay`]).
//!
//! A fall-back depends on nothing but tables, words and the packet, so that nodes of one policy agree. A key of
//! width k has the other shards of its row and never one beyond, so that no key can walk a whole pool; else the pool's slots are
//! walked from a place that the key (width 1) or the flow gives.

use crate::headers::NO_SHARD;
use crate::tables::{KeyEntry, SLOTS, Slot, Tables};

/// Bits of [`Tables::key_word`].
pub mod key_word {
    /// Every packet of the key is dropped.
    pub const DENY: u64 = 1 << 0;
    /// The policy's denial does not count.
    pub const ALLOW: u64 = 1 << 1;
}

/// Bits of [`Tables::shard_word`].
pub mod shard_word {
    /// Takes no packets: an operator says so.
    pub const DISABLED: u64 = 1 << 0;
    /// Takes no packets: it does not answer.
    pub const DOWN: u64 = 1 << 1;
    /// Answers again: takes a share of the flows that open, and no other's. Heeded by programs that [migrate](crate::migrate); to others it is a
    /// shard like any.
    pub const RECOVERING: u64 = 1 << 2;
    /// Where the share begins: eight bits, 255 for all.
    pub const SHARE: u32 = 8;
}

/// Bits of a shard that takes no packets.
pub const DEAD: u64 = shard_word::DISABLED | shard_word::DOWN;

/// How many other shards of a row are tried.
const IN_ROW: u32 = 16;
/// How many slots of the pool are tried.
const IN_POOL: u32 = 16;

/// Whether a key is denied, by the operators' word over the policy's.
#[inline(never)]
pub fn is_denied<T: Tables>(tables: &T, entry: &KeyEntry) -> bool {
    let word = tables.key_word(entry.id);
    word & key_word::DENY != 0 || entry.meta.is_denied() && word & key_word::ALLOW == 0
}

/// A decision that a disabled shard may stand in the way of: all that a fall-back depends on, as plain numbers, so
/// that the kernel home can have one function for it that is verified once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen {
    /// What the walk over a pool's slots begins with: the key of a key of width 1, else the flow.
    pub seed: u64,
    /// Slots of the row that may be used instead: first and number; none where the number is under 2.
    pub row: (u32, u32),
    /// The chosen slot's place in the row.
    pub column: u32,
    /// First slot of the pool.
    pub pool: u32,
}

impl Chosen {
    /// For a registered key, of whose choice `slot` and `flow` are.
    #[inline(always)]
    pub fn for_key<T: Tables>(tables: &T, entry: &KeyEntry, slot: u32, flow: u32) -> Option<Self> {
        let table = tables.slot_table(entry.meta.table())?;
        if entry.meta.is_direct() {
            return Some(Self { seed: entry.key, pool: table.pool, ..Self::default() });
        }
        let row = table.first.wrapping_add((entry.place as u32).wrapping_mul(table.width));
        let column = slot.wrapping_sub(row);
        Some(Self { seed: flow as u64, row: (row, table.width), column, pool: table.pool })
    }

    /// For a class that is spread over a pool.
    #[inline(always)]
    pub const fn over_pool(pool: u32, flow: u32) -> Self {
        Self { seed: flow as u64, row: (0, 0), column: 0, pool }
    }
}

/// The shard that takes a packet in the place of one that does not; [`NO_SHARD`] if none does. Where no other is, one that recovers is
/// taken, and else one that is only thought dead. One search after the other: what a search kept aside the verifier would follow along every
/// way that leads through it.
#[inline(always)]
pub fn around<T: Tables>(tables: &T, chosen: Chosen) -> Slot {
    let steady = tables.search(chosen, DEAD | shard_word::RECOVERING);
    if steady != NO_SHARD {
        return steady;
    }
    let alive = tables.search(chosen, DEAD);
    if alive != NO_SHARD { alive } else { tables.search(chosen, shard_word::DISABLED) }
}

/// The first shard in a decision's order of whose word no bit of `but` is said.
#[inline(always)]
pub fn search<T: Tables>(tables: &T, chosen: Chosen, but: u64) -> Slot {
    let Chosen { seed, row: (row, width), column, pool } = chosen;
    if width > 1 { in_row(tables, row, width, column, but) } else { in_pool(tables, pool, seed, but) }
}

/// Whether a shard takes packets.
#[inline(always)]
pub fn takes<T: Tables>(tables: &T, shard: Slot) -> bool {
    tables.shard_word(shard as u32) & DEAD == 0
}

/// The next such shard in the row of `width` slots at `row`, after column `column`.
#[inline(always)]
fn in_row<T: Tables>(tables: &T, row: u32, width: u32, column: u32, but: u64) -> Slot {
    let (mut tried, mut column) = (1, column);
    while tried < IN_ROW && tried < width {
        column += 1;
        if column >= width {
            column = 0;
        }
        let shard = tables.slot(row.wrapping_add(column)).unwrap_or(NO_SHARD);
        if shard != NO_SHARD && tables.shard_word(shard as u32) & but == 0 {
            return shard;
        }
        tried += 1;
    }
    NO_SHARD
}

/// The first such shard among the slots of a pool that begin at `first`, in the order that `seed` gives.
#[inline(always)]
fn in_pool<T: Tables>(tables: &T, first: u32, seed: u64, but: u64) -> Slot {
    let (mut state, mut tried) = (seed, 0);
    while tried < IN_POOL {
        // The multiplier of Knuth's MMIX generator; the upper half of the state is the good one.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let shard = tables.slot(first.wrapping_add((state >> 40) as u32 & (SLOTS - 1))).unwrap_or(NO_SHARD);
        if shard != NO_SHARD && tables.shard_word(shard as u32) & but == 0 {
            return shard;
        }
        tried += 1;
    }
    NO_SHARD
}
