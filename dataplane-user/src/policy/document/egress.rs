//! The shape of `spec.egress`, and of the addresses behind a shard.

use std::net::IpAddr;

use ipnet::IpNet;
use keysteer_common::carrier::Carrier;

use crate::policy::diagnostic::Problem;
use crate::policy::egress::{Addresses, Leaving};
use crate::policy::reader::{At, Context, Cursor, Fields};
use crate::policy::values;
use crate::policy::yaml::Value;

use super::filled;

/// `spec.egress`.
#[derive(Debug)]
pub(in crate::policy) struct RawEgress<'n> {
    pub(in crate::policy) interfaces: Vec<Leaving>,
    pub(in crate::policy) count: bool,
    pub(in crate::policy) senders: Vec<(At<IpNet>, At<&'n str>)>,
    pub(in crate::policy) stamps: Vec<(Carrier, RawStamp<'n>)>,
    pub(in crate::policy) probes: Option<At<bool>>,
}

/// What is stamped.
#[derive(Debug)]
pub(in crate::policy) enum RawStamp<'n> {
    /// The value of the field of that name.
    Field(At<&'n str>),
    /// A number for keys of those names.
    Keys(Vec<(At<&'n str>, At<u32>)>),
}

/// The carriers that a stamp can be put into.
const STAMPED: [Carrier; 2] = [Carrier::IpDscp, Carrier::Ipv6FlowLabel];

pub(super) fn egress<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawEgress<'n>> {
    let fields = at.fields(&["interfaces", "count", "senders", "stamp", "probes"], context)?;
    let interfaces = match fields.get("interfaces") {
        Some(at) => filled(&at, context, |item, context| {
            let name = item.parsed(context, values::interface)?;
            Some(Leaving { name: name.value, at: name.at })
        })?,
        None => Vec::new(),
    };
    let count = match fields.get("count") {
        Some(at) => at.boolean(context).map(|flag| flag.value),
        None => Some(true),
    };
    let probes = match fields.get("probes") {
        Some(at) => Some(at.boolean(context)?),
        None => None,
    };
    let mut senders = Vec::new();
    if let Some(at) = fields.get("senders") {
        for (written, cursor) in &at.entries(context)? {
            let net = match values::prefix(written.value) {
                Ok(value) => Some(At { value, at: written.at }),
                Err(problem) => cursor.fail(context, problem),
            };
            let key = cursor.text(context);
            senders.extend(net.zip(key));
        }
    }
    let mut stamps = Vec::new();
    if let Some(at) = fields.get("stamp") {
        let names = STAMPED.map(Carrier::name);
        let carriers = at.fields(&names, context)?;
        for carrier in STAMPED {
            let stamp = carriers.get(carrier.name()).and_then(|at| stamp(&at, carrier, context));
            stamps.extend(stamp.map(|stamp| (carrier, stamp)));
        }
    }
    Some(RawEgress { interfaces, count: count?, senders, stamps, probes })
}

fn stamp<'n>(at: &Cursor<'n, '_>, carrier: Carrier, context: &mut Context<'_>) -> Option<RawStamp<'n>> {
    if let Value::Text(_) = &at.node.value {
        return Some(RawStamp::Field(at.text(context)?));
    }
    let most = (1 << carrier.bits()) - 1;
    let mut keys = Vec::new();
    for (name, cursor) in &at.entries(context)? {
        keys.extend(
            cursor.number(0, most, context).map(|number| (At { value: name.value, at: name.at }, number)),
        );
    }
    Some(RawStamp::Keys(keys))
}

/// The addresses of what is behind an interface, from its `nat` and `addresses`. The outer `None`: something is wrong.
pub(super) fn addresses(fields: &Fields<'_, '_>, context: &mut Context<'_>) -> Option<Option<Addresses>> {
    let nat = match fields.get("nat") {
        Some(at) => at.boolean(context)?.value,
        None => false,
    };
    if !nat {
        return match fields.get("addresses") {
            None => Some(None),
            Some(at) => at.fail(context, "has no meaning without nat: true"),
        };
    }
    let at = fields.require("addresses", context)?;
    let mut found = Addresses::default();
    for address in filled(&at, context, |item, context| item.parsed(context, address))? {
        let taken = match address.value {
            IpAddr::V4(address) => found.v4.replace(address).is_some(),
            IpAddr::V6(address) => found.v6.replace(address).is_some(),
        };
        if taken {
            return at.fail(context, "expected one address of each family at most");
        }
    }
    Some(Some(found))
}

/// The address of one host.
pub(super) fn address(text: &str) -> Result<IpAddr, Problem> {
    let problem =
        || format!("\"{text}\" is not the address of a host: expected one such as 10.1.2.3 or fd00::7");
    let address: IpAddr = text.parse().map_err(|_| Problem::from(problem()))?;
    if address.is_unspecified() || address.is_multicast() { Err(problem().into()) } else { Ok(address) }
}
