//! The scope: several entries may cover a destination, which then has the services of all of them.

use std::collections::{BTreeMap, HashMap};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use keysteer_common::tables::{SERVICES, Service};

use crate::policy::diagnostic::Place;
use crate::policy::document::RawScope;
use crate::policy::model::Destination;
use crate::policy::values::service_text;

use super::Checker;

/// What is ours of a prefix; no services: everything.
#[derive(Clone, Debug)]
struct Ours {
    everything: bool,
    services: Vec<Service>,
    at: Place,
    field: String,
}

pub(super) fn check(checker: &mut Checker<'_>, entries: &[RawScope]) -> Vec<Destination> {
    let declared = declared(checker, entries);
    inherit(checker, declared)
}

/// Destinations as they are declared, in the order of their addresses, the wider prefix first.
fn declared(checker: &mut Checker<'_>, entries: &[RawScope]) -> BTreeMap<IpNet, Ours> {
    let mut declared: BTreeMap<IpNet, Ours> = BTreeMap::new();
    let mut seen: HashMap<(IpNet, String), u32> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut once = HashMap::new();
        for (nth, service) in entry.services.iter().flatten().enumerate() {
            if let Some(line) = once.insert(named(service.value), service.at.line) {
                let field = format!("spec.scope[{index}].services[{nth}]");
                checker.error(
                    service.at,
                    field,
                    format!("the service is listed twice, first in line {line}"),
                );
            }
        }
        for (net, at, field) in destinations(entry, index) {
            let ours = declared.entry(net).or_insert_with(|| Ours {
                everything: false,
                services: Vec::new(),
                at,
                field: field.clone(),
            });
            let services: Vec<Option<Service>> = match &entry.services {
                Some(services) => once_each(services.iter().map(|service| service.value)),
                None => vec![None],
            };
            for service in services {
                let what = named(service);
                if let Some(line) = seen.insert((net, what.clone()), at.line) {
                    checker.error(
                        at,
                        &field,
                        format!("{net} is listed twice for {what}, first in line {line}"),
                    );
                }
                match service {
                    Some(service) => ours.services.push(service),
                    None => ours.everything = true,
                }
            }
        }
    }
    declared
}

fn named(service: Option<Service>) -> String {
    service.map_or_else(|| "any service".to_owned(), |service| service_text(&service))
}

fn once_each(services: impl Iterator<Item = Option<Service>>) -> Vec<Option<Service>> {
    let mut found = Vec::new();
    for service in services {
        if !found.contains(&service) {
            found.push(service);
        }
    }
    found
}

/// The destinations of an entry; without any, all addresses of both families.
fn destinations(entry: &RawScope, index: usize) -> Vec<(IpNet, Place, String)> {
    match &entry.destinations {
        Some(list) => list
            .iter()
            .enumerate()
            .map(|(nth, net)| (net.value, net.at, format!("spec.scope[{index}].destinations[{nth}]")))
            .collect(),
        None => {
            let at = entry.services.iter().flatten().next().map(|service| service.at).unwrap_or_default();
            [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]
                .map(|net| (net, at, format!("spec.scope[{index}]")))
                .into()
        }
    }
}

/// Gives every destination the services of the prefixes that cover it.
fn inherit(checker: &mut Checker<'_>, declared: BTreeMap<IpNet, Ours>) -> Vec<Destination> {
    let mut found = Vec::with_capacity(declared.len());
    let mut covering: Vec<(IpNet, Ours)> = Vec::new();
    for (prefix, mut ours) in declared {
        while covering.last().is_some_and(|(wider, _)| !wider.contains(&prefix)) {
            covering.pop();
        }
        if let Some((_, wider)) = covering.last() {
            ours.everything |= wider.everything;
            ours.services.extend(&wider.services);
        }
        ours.services = merged(ours.services);
        let services = if ours.everything { Vec::new() } else { ours.services.clone() };
        if services.len() > SERVICES {
            checker.error(
                ours.at,
                &ours.field,
                format!(
                    "{prefix} has {} services, with those of the prefixes that cover it; at most {SERVICES} are possible: join port ranges, or leave services out",
                    services.len()
                ),
            );
        }
        found.push(Destination { prefix, services });
        covering.push((prefix, ours));
    }
    found
}

/// The same services, sorted, those that touch or overlap joined.
fn merged(mut services: Vec<Service>) -> Vec<Service> {
    services.sort_by_key(|service| (service.low, service.high));
    let mut found: Vec<Service> = Vec::with_capacity(services.len());
    for service in services {
        match found.last_mut() {
            Some(last)
                if last.protocol() == service.protocol() && service.low <= last.high.saturating_add(1) =>
            {
                last.high = last.high.max(service.high);
            }
            _ => found.push(service),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::values::service;

    #[test]
    fn touching_ranges_are_joined() {
        let services = |texts: &[&str]| -> Vec<Service> {
            texts.iter().map(|text| service(text).unwrap().unwrap()).collect()
        };
        assert_eq!(
            merged(services(&["udp/53", "tcp/8-9", "tcp/1-5", "tcp/6", "tcp/2"])),
            services(&["tcp/1-6", "tcp/8-9", "udp/53"])
        );
        assert_eq!(merged(services(&["tcp/443", "tcp", "icmp"])), services(&["icmp", "tcp"]));
    }
}
