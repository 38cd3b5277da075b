//! The scope to service sets: destinations with the same services share one.

use ipnet::IpNet;
use keysteer_common::tables::{SERVICES, Service, ServiceSet};

use crate::policy::Destination;

/// Service sets by number, and each destination's number. Number 0 means "not ours" and is never given.
pub(super) fn compile(scope: &[Destination]) -> (Vec<ServiceSet>, Vec<(IpNet, u32)>) {
    let mut sets = vec![ServiceSet::default()];
    let mut numbers = std::collections::HashMap::new();
    let mut destinations = Vec::with_capacity(scope.len());
    for destination in scope {
        let key: Vec<(u8, u8, u16, u16)> = destination
            .services
            .iter()
            .map(|service| (service.protocol, service.any_port, service.low, service.high))
            .collect();
        let number = *numbers.entry(key).or_insert_with(|| {
            sets.push(set(&destination.services));
            u32::try_from(sets.len() - 1).unwrap_or(0)
        });
        destinations.push((destination.prefix, number));
    }
    (sets, destinations)
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
