//! Is this ours? Decided by destination first, before anything else is read, then by service.
//! Everything else is foreign and passes untouched (decision 6).

use crate::config::SERVICES_IN_TABLE;
use crate::headers::{Headers, found};
use crate::hint::rare;
use crate::parse::network::Destination;
use crate::prefix;
use crate::seeded::bug;
use crate::tables::{SERVICES, Service, Tables};

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
    let wanted = Wanted::of(headers);
    let config = tables.config();
    if config.services_len == SERVICES_IN_TABLE {
        rare();
        return in_table(tables, set, wanted);
    }
    // Written out, not a loop: what the policy does not list costs nothing.
    config.services_len == 0
        || wanted.any
        || (config.services_len > 0 && wanted.within(&config.services[0]))
        || (config.services_len > 1 && wanted.within(&config.services[1]))
        || (config.services_len > 2 && wanted.within(&config.services[2]))
        || (config.services_len > 3 && wanted.within(&config.services[3]))
}

/// Looks through a service set.
#[inline(always)]
fn in_table<T: Tables>(tables: &T, set: u32, wanted: Wanted) -> bool {
    let Some(set) = tables.service_set(set) else {
        return false;
    };
    let mut ours = set.len == 0 || wanted.any;
    let mut i = 0;
    while i < SERVICES && i < set.len as usize && !ours {
        ours = wanted.within(&set.services[i]);
        i += 1;
    }
    ours
}

/// What a packet asks for: protocol and port as [`Service`] has them.
#[derive(Clone, Copy)]
struct Wanted {
    /// The least that a service's end must reach.
    at_least: u32,
    /// The most that a service's begin may be.
    at_most: u32,
    /// Not even the protocol is known.
    any: bool,
}

impl Wanted {
    #[inline(always)]
    fn of(headers: &Headers) -> Self {
        let protocol = (headers.protocol as u32) << 16;
        let any = !headers.has(found::PROTOCOL);
        if headers.found & (found::PORTS | found::FRAGMENT) == found::PORTS {
            let service = protocol | headers.destination_port as u32;
            Self { at_least: service, at_most: service, any }
        } else {
            // Without a port, every range of the protocol will do.
            Self { at_least: protocol, at_most: protocol | 0xffff, any }
        }
    }

    #[inline(always)]
    fn within(self, service: &Service) -> bool {
        let high = bug!(Scope, service.high, service.high.saturating_sub(1));
        service.low <= self.at_most && self.at_least <= high
    }
}
