//! Key, width and flow to a slot, and the slot to its shard.
//!
//! ```text
//!  width 1    slots + slot                       every flow of the key to one shard
//!  width k    slots + slot * k + flow mod k      exactly k distinct shards (a row of the table)
//!  all        slots + low 16 bits of flow        plain load balancing over the pool, by weight
//! ```

use crate::access::{Packet, Pos, load_u32, load_u128};
use crate::hash::Sip13;
use crate::headers::{Headers, NO_SHARD, Work, found};
use crate::seeded::bug;
use crate::tables::{KeyEntry, SLOTS, Tables, WIDTH_ALL};

/// Fills `decision.slot`, `flow` and `shard` for a registered key.
#[inline(always)]
pub fn for_key<P: Packet, T: Tables>(packet: &P, tables: &T, work: &mut Work, entry: &KeyEntry) {
    if entry.width == 1 {
        read(tables, work, entry.slots.wrapping_add(entry.slot as u32));
    } else if entry.width == WIDTH_ALL {
        over_pool(packet, tables, work, entry.slots);
    } else {
        let flow = flow(packet, tables.config().flow_secret, &work.headers);
        work.decision.flow = flow;
        let column = (flow as u64 * entry.width as u64) >> 32;
        let row = entry.slot as u32 * entry.width as u32;
        read(tables, work, entry.slots.wrapping_add(row).wrapping_add(column as u32));
    }
}

/// Fills `decision.slot`, `flow` and `shard` for a packet that is spread over a whole pool, whose
/// width-1 table begins at `slots`.
#[inline(always)]
pub fn over_pool<P: Packet, T: Tables>(packet: &P, tables: &T, work: &mut Work, slots: u32) {
    let flow = flow(packet, tables.config().flow_secret, &work.headers);
    work.decision.flow = flow;
    read(tables, work, slots.wrapping_add(flow & (SLOTS - 1)));
}

#[inline(always)]
fn read<T: Tables>(tables: &T, work: &mut Work, slot: u32) {
    work.decision.slot = slot;
    work.decision.shard = match tables.slot(slot) {
        Some(word) => word as u16,
        None => NO_SHARD,
    };
}

/// The flow hash. Fragments, the first included, are hashed on addresses and protocol only, so that a
/// datagram's fragments meet; an ICMP error is hashed as the flow it quotes (see
/// [`crate::parse::quote`]), so that it follows it.
#[inline(always)]
pub fn flow<P: Packet>(packet: &P, secret: [u64; 2], headers: &Headers) -> u32 {
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
    sip.finish() as u32
}
