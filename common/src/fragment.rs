//! Later fragments whose key is in the first one: they follow it, from a bounded table.
//!
//! The first fragment of a datagram notes its key; a later one that finds the note has that key. One that does not (it overtook the
//! first, or the note had to make room) meets what the policy says of such fragments.

use crate::access::{Packet, Pos, load_u16, load_u32, load_u128};
use crate::headers::{Headers, found};
use crate::tables::Datagram;

/// What tells the datagram apart that a packet is a fragment of.
#[inline(always)]
pub fn datagram<P: Packet>(packet: &P, headers: &Headers) -> Option<Datagram> {
    let (source, destination) = (Pos::from_stored(headers.source), Pos::from_stored(headers.destination));
    let protocol = headers.protocol as u32;
    if headers.has(found::IPV4) {
        let source = [0, load_u32(packet, source, 0)? as u64];
        let destination = [0, load_u32(packet, destination, 0)? as u64];
        let id = load_u16(packet, Pos::from_stored(headers.l3), 4)? as u32;
        Some(Datagram { source, destination, id, protocol })
    } else {
        let source = load_u128(packet, source, 0)?;
        let destination = load_u128(packet, destination, 0)?;
        // The walk over extension headers ends behind the fragment header.
        let header = Pos::from_stored(headers.l4.saturating_sub(8));
        let id = load_u32(packet, header, 4)?;
        Some(Datagram { source, destination, id, protocol })
    }
}
