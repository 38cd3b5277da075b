//! Is this ours? Decided by destination first, before anything else is read, then by service.
//! Everything else is foreign and passes untouched (decision 6).

use crate::access::{Packet, Pos, load_u32, load_u128};
use crate::headers::{Headers, found};
use crate::prefix;
use crate::tables::{SERVICES, Tables};

/// The number of the service set that the destination belongs to; 0 when it is not ours.
#[inline(always)]
pub fn destination<P: Packet, T: Tables>(packet: &P, tables: &T, headers: &Headers) -> u32 {
    let at = Pos::from_stored(headers.destination);
    let scope = &tables.config().scope;
    if headers.has(found::IPV4) {
        load_u32(packet, at, 0).map_or(0, |address| prefix::find4(tables, scope, address))
    } else {
        load_u128(packet, at, 0).map_or(0, |address| prefix::find6(tables, scope, address))
    }
}

/// Whether the packet, whose destination has service set `set`, is for one of its services.
///
/// Fragments are matched by protocol alone, the first like the rest, so that a datagram is ours as a
/// whole or not at all; so is what is too broken to have ports.
#[inline(always)]
pub fn service<T: Tables>(tables: &T, headers: &Headers, set: u32) -> bool {
    if headers.has(found::DISCOVERY) {
        return false;
    }
    let Some(set) = tables.service_set(set) else {
        return false;
    };
    if set.len == 0 || !headers.has(found::PROTOCOL) {
        return true;
    }
    let by_port = headers.has(found::PORTS) && !headers.has(found::FRAGMENT);
    let mut ours = false;
    let mut i = 0;
    while i < SERVICES && i < set.len as usize {
        let service = &set.services[i];
        if service.protocol == headers.protocol
            && (service.any_port != 0
                || !by_port
                || (service.low <= headers.destination_port && headers.destination_port <= service.high))
        {
            ours = true;
            break;
        }
        i += 1;
    }
    ours
}
