//! The way back: every name is declared, stamps fit, and translation can be undone.

use std::collections::HashMap;
use std::net::IpAddr;

use keysteer_common::carrier::Carrier;

use crate::policy::document::{Document, RawEgress, RawStamp};
use crate::policy::egress::{Addresses, Egress, Stamp, StampValue};
use crate::policy::model::{Destination, Key, Schema, Shard, Target};
use crate::policy::reader::At;

use super::Checker;

/// Checks `spec.egress`.
pub(super) fn check(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    schemas: &[Schema],
    keys: &[Key],
) -> Option<Egress> {
    let raw = document.egress.as_ref()?;
    let mut named = Named::of(raw, keys);
    let mut senders: Vec<_> = raw
        .senders
        .iter()
        .filter_map(|(net, name)| {
            let field = format!("spec.egress.senders.{}", net.value);
            Some((net.value, named.find(checker, name, &field)?))
        })
        .collect();
    senders.sort_unstable();
    for pair in senders.windows(2) {
        if let [(one, _), (other, _)] = pair
            && one == other
        {
            let at = raw.senders.iter().rev().find(|(net, _)| net.value == *one).map(|(net, _)| net.at);
            checker.error(
                at.unwrap_or_default(),
                format_args!("spec.egress.senders.{one}"),
                "the prefix is given twice",
            );
        }
    }
    let mut stamps = Vec::new();
    for (carrier, stamp) in &raw.stamps {
        let path = format!("spec.egress.stamp.{}", carrier.name());
        let value = match stamp {
            RawStamp::Field(name) => field(checker, schemas, *carrier, name, &path).map(StampValue::Field),
            RawStamp::Keys(numbers) => {
                let mut found: Vec<_> = numbers
                    .iter()
                    .filter_map(|(name, number)| {
                        let path = format!("{path}.{}", name.value);
                        Some((named.find(checker, name, &path)?, number.value))
                    })
                    .collect();
                found.sort_unstable();
                Some(StampValue::Keys(found))
            }
        };
        stamps.extend(value.map(|value| Stamp { carrier: *carrier, value }));
    }
    let mut seen = HashMap::new();
    for (nth, leaving) in raw.interfaces.iter().enumerate() {
        if let Some(line) = seen.insert(leaving.name.as_str(), leaving.at.line) {
            let problem = format!("\"{}\" is listed twice, first in line {line}", leaving.name);
            checker.error(leaving.at, format_args!("spec.egress.interfaces[{nth}]"), problem);
        }
    }
    let probes = raw.probes.as_ref().is_some_and(|probes| probes.value);
    Some(Egress { interfaces: raw.interfaces.clone(), count: raw.count, senders, stamps, probes })
}

/// Keys by name: asked for few of perhaps many.
struct Named<'k>(HashMap<&'k str, usize>);

impl<'k> Named<'k> {
    fn of(raw: &RawEgress<'_>, keys: &'k [Key]) -> Self {
        let asked =
            !raw.senders.is_empty() || raw.stamps.iter().any(|(_, stamp)| matches!(stamp, RawStamp::Keys(_)));
        let names = keys.iter().enumerate().filter(|_| asked);
        Self(names.map(|(index, key)| (key.name.as_str(), index)).collect())
    }

    fn find(&mut self, checker: &mut Checker<'_>, name: &At<&str>, field: &str) -> Option<usize> {
        let found = self.0.get(name.value).copied();
        if found.is_none() {
            checker.error(name.at, field, format!("there is no key \"{}\"", name.value));
        }
        found
    }
}

/// The field whose value is stamped.
fn field(
    checker: &mut Checker<'_>,
    schemas: &[Schema],
    carrier: Carrier,
    name: &At<&str>,
    path: &str,
) -> Option<usize> {
    let fields = &schemas.first()?.fields;
    let Some(found) = fields.iter().position(|field| field.name == name.value) else {
        let problem = format!(
            "there is no field \"{}\" in the first schema; it has {}",
            name.value,
            fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
        );
        checker.error(name.at, path, problem);
        return None;
    };
    let field = fields.get(found)?;
    if field.table.is_some() {
        let problem = format!(
            "field \"{}\" is read through a prefix table, whose labels have no number that others know: give a number for each key, as in {{acme: 1}}",
            name.value
        );
        checker.error(name.at, path, problem);
        return None;
    }
    if u16::from(field.bits) > carrier.bits() {
        let problem = format!(
            "field \"{}\" has {} bits, and {} has room for {}: stamp a narrower field, or give a number for each key, as in {{acme: 1}}",
            name.value,
            field.bits,
            carrier.name(),
            carrier.bits()
        );
        checker.error(name.at, path, problem);
        return None;
    }
    Some(found)
}

/// Checks that what is translated can be told on the way back: by the pod's address alone, which stands for one service address.
pub(super) fn translation(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    scope: &[Destination],
    shards: &[Shard],
) {
    let mut seen: HashMap<IpAddr, &str> = HashMap::new();
    for (index, (shard, raw)) in shards.iter().zip(&document.shards).enumerate() {
        let Target::Interface { nat: Some(addresses), .. } = &shard.target else { continue };
        let path = format!("spec.shards[{index}].target.interface.addresses");
        for address in addresses.all() {
            if let Some(other) = seen.insert(address, &shard.name) {
                let problem =
                    format!("{address} is shard \"{other}\"'s already: answers could not be told apart");
                checker.error(raw.target.at, &path, problem);
            }
            if scope.iter().any(|destination| destination.prefix.contains(&address)) {
                let problem = format!("{address} is in the scope itself: expected the pod's own address");
                checker.error(raw.target.at, &path, problem);
            }
        }
        for (v4, family) in [(true, "IPv4"), (false, "IPv6")] {
            if let Some(problem) = family_problem(scope, *addresses, v4, family) {
                checker.error(raw.target.at, &path, problem);
            }
        }
    }
}

/// What is wrong with translating one family, if anything.
fn family_problem(scope: &[Destination], addresses: Addresses, v4: bool, family: &str) -> Option<String> {
    let mut ours = scope.iter().filter(|destination| destination.prefix.addr().is_ipv4() == v4);
    let has = if v4 { addresses.v4.is_some() } else { addresses.v6.is_some() };
    let Some(first) = ours.next() else {
        return has
            .then(|| format!("no {family} destination is in the scope: leave the {family} address out"));
    };
    if !has {
        return Some(format!(
            "{} is in the scope, and the pod has no {family} address to translate it to",
            first.prefix
        ));
    }
    let alone = first.prefix.prefix_len() == first.prefix.max_prefix_len() && ours.next().is_none();
    (!alone).then(|| {
        format!(
            "with nat: true the scope can have one {family} address, and no wider prefix: what a pod answers could not be told apart otherwise"
        )
    })
}
