//! The scope to service sets: destinations with the same services share one.

use ipnet::IpNet;
use keysteer_common::config::{INLINE_SERVICES, SERVICES_IN_TABLE};
use keysteer_common::tables::{SERVICES, Service, ServiceSet};

use crate::policy::Destination;

/// Service sets by number, and each destination's number. Number 0 means "not ours" and is never given.
pub(super) fn compile(scope: &[Destination]) -> (Vec<ServiceSet>, Vec<(IpNet, u32)>) {
    let mut sets = vec![ServiceSet::default()];
    let mut numbers = std::collections::HashMap::new();
    let mut destinations = Vec::with_capacity(scope.len());
    for destination in scope {
        let key: Vec<(u32, u32)> =
            destination.services.iter().map(|service| (service.low, service.high)).collect();
        let number = *numbers.entry(key).or_insert_with(|| {
            sets.push(set(&destination.services));
            u32::try_from(sets.len() - 1).unwrap_or(0)
        });
        destinations.push((destination.prefix, number));
    }
    (sets, destinations)
}

/// The services as constants of the program, where every destination has the same and they fit.
pub(super) fn inline(sets: &[ServiceSet]) -> (u32, [Service; INLINE_SERVICES]) {
    let mut services = [Service::default(); INLINE_SERVICES];
    match sets {
        [_, only] if only.len as usize <= INLINE_SERVICES => {
            for (slot, service) in services.iter_mut().zip(&only.services) {
                *slot = *service;
            }
            (only.len, services)
        }
        _ => (SERVICES_IN_TABLE, services),
    }
}

/// The checks of the policy see to it that no destination has more services than fit.
fn set(services: &[Service]) -> ServiceSet {
    let mut set =
        ServiceSet { len: u32::try_from(services.len().min(SERVICES)).unwrap_or(0), ..ServiceSet::default() };
    for (slot, service) in set.services.iter_mut().zip(services) {
        *slot = *service;
    }
    set
}
