//! Key, width and flow to a slot, and the slot to its shard.
//!
//! ```text
//!  width 1    the shard in the key's entry         every flow of the key to one shard
//!  width k    slots + slot * k + flow mod k      exactly k distinct shards (a row of the table)
//!  all        slots + low 16 bits of flow        plain load balancing over the pool, by weight
//! ```
//! What does not take packets is passed over afterwards, and flows that are elsewhere are found there: see `place.rs`.

use crate::access::{Packet, Pos, load_u32, load_u128};
use crate::hash::Sip13;
use crate::headers::{Headers, NO_SHARD, NO_SLOT, found};
use crate::hint::rare;
use crate::seeded::bug;
use crate::tables::{KeyEntry, SLOTS, Tables, WIDTH_ALL};

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The shard's dense index, or [`NO_SHARD`].
    pub shard: u16,
    /// Index into the slots that was read, or [`NO_SLOT`].
    pub slot: u32,
    /// The flow hash; 0 when none was needed.
    pub flow: u32,
}

impl Choice {
    /// Nowhere.
    pub const NONE: Self = Self { shard: NO_SHARD, slot: NO_SLOT, flow: 0 };
}

/// The shard of a packet of a registered key.
#[inline(always)]
pub fn for_key<P: Packet, T: Tables>(packet: &P, tables: &T, headers: &Headers, entry: &KeyEntry) -> Choice {
    if entry.meta.is_direct() {
        return Choice { shard: entry.place, ..Choice::NONE };
    }
    rare();
    let Some(table) = tables.slot_table(entry.meta.table()) else {
        return Choice::NONE;
    };
    if table.width == WIDTH_ALL {
        over_pool(packet, tables, headers, table.first)
    } else {
        let flow = flow(packet, tables.config().flow_secret, headers);
        let column = (flow as u64 * table.width as u64) >> 32;
        let row = (entry.place as u32).wrapping_mul(table.width);
        read(tables, table.first.wrapping_add(row).wrapping_add(column as u32), flow)
    }
}

/// The shard of a packet that is spread over a whole pool, whose width-1 table begins at `slots`.
#[inline(always)]
pub fn over_pool<P: Packet, T: Tables>(packet: &P, tables: &T, headers: &Headers, slots: u32) -> Choice {
    let flow = flow(packet, tables.config().flow_secret, headers);
    read(tables, slots.wrapping_add(flow & (SLOTS - 1)), flow)
}

#[inline(always)]
fn read<T: Tables>(tables: &T, slot: u32, flow: u32) -> Choice {
    Choice { shard: tables.slot(slot).unwrap_or(NO_SHARD), slot, flow }
}

/// The flow hash. Fragments, the first included, are hashed on addresses and protocol only, so that a
/// datagram's fragments meet; an ICMP error is hashed as the flow it quotes (see
/// [`crate::parse::quote`]), so that it follows it.
#[inline(always)]
pub fn flow<P: Packet>(packet: &P, secret: [u64; 2], headers: &Headers) -> u32 {
    whole_flow(packet, secret, headers) as u32
}

/// The same, all of it: what tells flows apart where each matters ([`crate::pin`]).
#[inline(always)]
pub(crate) fn whole_flow<P: Packet>(packet: &P, secret: [u64; 2], headers: &Headers) -> u64 {
    let mut sip = Sip13::new(secret);
    let source = Pos::from_stored(headers.source);
    let destination = Pos::from_stored(headers.destination);
    if headers.has(found::IPV4) {
        let source = load_u32(packet, source, 0).unwrap_or(0);
        let destination = load_u32(packet, destination, 0).unwrap_or(0);
        sip.word((source as u64) << 32 | destination as u64);
    } else {
        let source = load_u128(packet, source, 0).unwrap_or([0, 0]);
        let destination = load_u128(packet, destination, 0).unwrap_or([0, 0]);
        sip.word(source[0]);
        sip.word(source[1]);
        sip.word(destination[0]);
        sip.word(destination[1]);
    }
    let mut rest = headers.protocol as u64;
    if headers.has(found::PORTS) && bug!(Select, !headers.has(found::FRAGMENT), true) {
        rest |= (headers.source_port as u64) << 48 | (headers.destination_port as u64) << 32;
    }
    sip.word(rest);
    sip.finish()
}
