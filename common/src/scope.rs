//! Is this ours? Decided by destination first, before anything else is read, then by service.
//! Everything else is foreign and passes untouched (decision 6).

use crate::headers::{Headers, found};
use crate::parse::network::Destination;
use crate::prefix;
use crate::tables::{SERVICES, Tables};

/// The number of the service set that a destination belongs to; 0 when it is not ours.
#[inline(always)]
pub fn destination<T: Tables>(tables: &T, destination: Destination) -> u32 {
    let scope = &tables.config().scope;
    match destination {
        Destination::V4(address) => prefix::find4(tables, scope, address),
        Destination::V6(address) => prefix::find6(tables, scope, address),
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
    let protocol = (headers.protocol as u32) << 16;
    let by_port = headers.found & (found::PORTS | found::FRAGMENT) == found::PORTS;
    // Without a port: from the highest possible down to the lowest, so that every range of the
    // protocol holds some of it.
    let (at_most, at_least) = if by_port {
        let service = protocol | headers.destination_port as u32;
        (service, service)
    } else {
        (protocol | 0xffff, protocol)
    };
    let mut ours = false;
    let mut i = 0;
    while i < SERVICES && i < set.len as usize {
        let service = &set.services[i];
        if service.low <= at_most && at_least <= service.high {
            ours = true;
            break;
        }
        i += 1;
    }
    ours
}
