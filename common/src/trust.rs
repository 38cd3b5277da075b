//! Who may assert a key: by interface, by the sources that a key lists, by signature.
//!
//! ```text
//!  interface   which fields of which schema are looked at there, and which schemas need proof
//!  sources     address -> number of a set of keys; a table of pairs says which keys are in which set
//!  signature   of the block that the key was read from (crate::shim)
//! ```
//! A key that is asserted without right makes the packet `unauthenticated`: it is counted by the key that it claims and the
//! interface it came in by, and never charged to that key.

use crate::access::{Packet, Pos, load_u32, load_u128};
use crate::config::{INTERFACES, MAX_KEY_PROBES};
use crate::headers::{Headers, found};
use crate::inside::Inside;
use crate::prefix;
use crate::seeded::bug;
use crate::shim;
use crate::tables::Tables;

/// What may be asserted on the interface that a packet came in by.
#[derive(Clone, Copy, Debug)]
pub struct Trust {
    /// By schema a byte, the first lowest: bit `i` is set where field `i` is looked at.
    pub allowed: u32,
    /// Bit `i` is set where what schema `i` asserts needs proof.
    pub verify: u8,
}

/// What may be asserted on interface `ingress`.
#[inline(always)]
pub fn on_interface<P: Packet, T: Tables>(packet: &P, tables: &T) -> Trust {
    let config = tables.config();
    let ingress = packet.ingress();
    let mut trust = Trust { allowed: 0, verify: 0 };
    let mut at = 0;
    while at < INTERFACES && at < config.interfaces_len as usize {
        let Some(interface) = config.interfaces.get(at) else { break };
        if at == 0 || interface.index == ingress {
            trust = Trust { allowed: u32::from_le_bytes(interface.allowed), verify: interface.verify };
        }
        // Every way through the list goes on with the same knowledge: none.
        trust.allowed = packet.forget(trust.allowed as usize) as u32;
        trust.verify = packet.forget(trust.verify as usize) as u8;
        at += 1;
    }
    trust
}

/// The pair of a set of addresses and a key that may be used from there.
#[inline(always)]
pub const fn pair(set: u32, key: u32) -> u64 {
    (set as u64) << 32 | key as u64
}

/// Where the look-up of a pair begins in a table of `mask + 1` entries.
#[inline(always)]
pub const fn pair_home(pair: u64, mask: u32) -> u32 {
    // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4). Senders choose neither half.
    (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 & mask
}

/// Whether a packet of key `id` may come from where it comes from.
#[inline(always)]
pub fn from_its_sources<P: Packet, T: Tables>(packet: &P, tables: &T, headers: &Headers, id: u32) -> bool {
    let config = tables.config();
    let at = Pos::from_stored(headers.source);
    let set = if headers.has(found::IPV4) {
        let Some(source) = load_u32(packet, at, 0) else { return false };
        prefix::find4(tables, &config.sources, source)
    } else {
        let Some(source) = load_u128(packet, at, 0) else { return false };
        prefix::find6(tables, &config.sources, source)
    };
    let wanted = pair(set, id);
    let mut index = pair_home(wanted, config.pair_mask);
    let mut found = false;
    let mut probe = 0;
    while probe < MAX_KEY_PROBES && probe < config.pair_probes {
        let Some(entry) = tables.pair(index) else { break };
        if entry == wanted || entry == 0 {
            found = entry == wanted;
            break;
        }
        index = index.wrapping_add(1) & config.pair_mask;
        probe += 1;
    }
    bug!(Trust, set != 0 && found, found || set != 0)
}

/// Whether the block that a key was read from is signed, for these addresses and this time.
#[inline(always)]
pub fn is_signed<P: Packet, T: Tables>(packet: &P, tables: &T, headers: &Headers, inside: &Inside) -> bool {
    let Some(signing) = tables.signing() else { return false };
    let Some(block) = packet.load::<[[u8; 8]; 3]>(Pos::from_stored(inside.signed), 0) else { return false };
    let source = mapped(packet, headers, headers.source);
    let destination = mapped(packet, headers, headers.destination);
    let (Some(source), Some(destination)) = (source, destination) else { return false };
    shim::verify(&shim::from_bytes(block), signing, tables.now(), source, destination)
}

/// An address as a shim has it: an IPv4 address as the IPv4-mapped IPv6 address.
#[inline(always)]
fn mapped<P: Packet>(packet: &P, headers: &Headers, at: u16) -> Option<[u64; 2]> {
    let at = Pos::from_stored(at);
    if headers.has(found::IPV4) {
        Some([0, 0xffff << 32 | load_u32(packet, at, 0)? as u64])
    } else {
        load_u128(packet, at, 0)
    }
}
