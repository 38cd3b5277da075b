//! The shape of shards, pools, tiers and classes.

use crate::policy::diagnostic::{Problem, quoted};
use crate::policy::migration::Udp;
use crate::policy::model::Target;
use crate::policy::reader::{At, Context, Cursor, Fields};
use crate::policy::values;
use crate::policy::yaml::Value;

use super::types::{RawBlastRadius, RawClass, RawPool, RawShard, RawTier};
use super::{CLASSES, filled};

pub(super) fn shard(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawShard> {
    let fields = at.fields(&["name", "weight", "target", "zone", "health"], context)?;
    let name = fields.require("name", context).and_then(|at| at.parsed(context, values::name));
    let weight = match fields.get("weight") {
        Some(at) => at.number(1, 65_535, context).map(|at| at.value),
        None => Some(1),
    };
    let target = fields.require("target", context).and_then(|at| target(&at, context));
    let zone = match fields.get("zone") {
        Some(at) => Some(at.parsed(context, values::name)?),
        None => None,
    };
    let health = match fields.get("health") {
        Some(at) => Some(super::health::of_shard(&at, context)?),
        None => None,
    };
    Some(RawShard { name: name?, weight: weight?, target: target?, zone, health })
}

/// The forms a target can have.
const TARGETS: [&str; 5] = ["pass", "drop", "cpu", "interface", "nextHop"];

fn target(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<Target>> {
    if let Value::Text(text) = &at.node.value {
        let value = match text.as_str() {
            "pass" => Target::Pass,
            "drop" => Target::Drop,
            "cpu" => return at.fail(context, "\"cpu\" needs a number: write {cpu: 0}"),
            "interface" => {
                return at
                    .fail(context, "\"interface\" needs more: write {interface: {name: ..., mac: ...}}");
            }
            "nextHop" => {
                return at
                    .fail(context, "\"nextHop\" needs more: write {nextHop: {interface: ..., mac: ...}}");
            }
            other => return at.fail(context, Problem::unknown("target", other, TARGETS)),
        };
        return Some(At { value, at: at.node.at });
    }
    let fields = at.fields(&["cpu", "interface", "nextHop"], context)?;
    let Some(only) = fields.only() else {
        return at
            .fail(context, format!("expected exactly one of {}", quoted(&["cpu", "interface", "nextHop"])));
    };
    match fields.only_name() {
        Some("cpu") => {
            let cpu = only.number(0, 4095, context)?;
            Some(At { value: Target::Cpu(cpu.value), at: cpu.at })
        }
        Some("interface") => {
            let fields = only.fields(&["name", "mac", "nat", "addresses"], context)?;
            let exit = exit(&fields, "name", context);
            let nat = super::egress::addresses(&fields, context)?;
            let (interface, mac) = exit?;
            Some(At { value: Target::Interface { interface: interface.value, mac, nat }, at: interface.at })
        }
        Some("nextHop") => {
            let fields = only.fields(&["interface", "mac"], context)?;
            let (interface, mac) = exit(&fields, "interface", context)?;
            Some(At { value: Target::NextHop { interface: interface.value, mac }, at: interface.at })
        }
        _ => None,
    }
}

/// An interface, called `name` here, and a MAC address behind it.
fn exit(
    fields: &Fields<'_, '_>,
    name: &'static str,
    context: &mut Context<'_>,
) -> Option<(At<String>, [u8; 6])> {
    let interface = fields.require(name, context).and_then(|at| at.parsed(context, values::interface));
    let mac = fields.require("mac", context).and_then(|at| at.parsed(context, values::station));
    Some((interface?, mac?.value))
}

pub(super) fn pool<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawPool<'n>> {
    let fields = at.fields(&["name", "shards", "region", "udp", "health"], context)?;
    let name = fields.require("name", context).and_then(|at| at.parsed(context, values::name));
    let shards = fields
        .require("shards", context)
        .and_then(|at| filled(&at, context, |item, context| item.text(context)));
    let region = fields.get("region").and_then(|at| super::key::region(&at, context));
    let udp = match fields.get("udp") {
        Some(at) => at.choice("behaviour of datagrams", &Udp::ALL, context),
        None => Some(Udp::default()),
    };
    let floor = fields.get("health").and_then(|at| super::health::of_pool(&at, context));
    Some(RawPool { name: name?, shards: shards?, region, udp: udp?, floor })
}

pub(super) fn tier<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawTier<'n>> {
    let allowed = ["name", "pool", "width", "owner", "costCentre", "account", "rank", "vip"];
    let fields = at.fields(&allowed, context)?;
    let name = fields.require("name", context).and_then(|at| at.parsed(context, values::name));
    let pool = fields.require("pool", context).and_then(|at| at.text(context));
    let width = fields.get("width").and_then(|at| super::key::width(&at, context));
    let [owner, cost_centre, account] = ["owner", "costCentre", "account"]
        .map(|name| fields.get(name).and_then(|at| super::key::free_text(&at, context)));
    let rank = fields.get("rank").and_then(|at| at.number(0, u16::MAX.into(), context));
    let rank = rank.and_then(|rank| u16::try_from(rank.value).ok()).unwrap_or(0);
    let vip = fields.get("vip").and_then(|at| at.boolean(context)).is_some_and(|vip| vip.value);
    Some(RawTier { name: name?, pool: pool?, width, owner, cost_centre, account, rank, vip })
}

pub(super) fn blast_radius(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawBlastRadius> {
    let fields = at.fields(&["keys", "traffic"], context)?;
    let [keys, traffic] = ["keys", "traffic"].map(|name| fields.get(name));
    if keys.is_none() && traffic.is_none() {
        return at.fail(context, "says nothing: give keys, traffic or both");
    }
    let [keys, traffic] = [keys, traffic].map(|at| at.and_then(|at| at.parsed(context, values::share)));
    Some(RawBlastRadius { keys, traffic })
}

pub(super) fn residency<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<At<&'n str>> {
    at.fields(&["field"], context)?.require("field", context)?.text(context)
}

pub(super) fn classes<'n>(
    at: &Cursor<'n, '_>,
    context: &mut Context<'_>,
) -> Option<[Option<RawClass<'n>>; CLASSES.len()]> {
    let fields = at.fields(&CLASSES, context)?;
    Some(CLASSES.map(|name| fields.get(name).and_then(|at| class(&at, context))))
}

pub(super) fn class<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawClass<'n>> {
    match &at.node.value {
        Value::Text(text) => match text.as_str() {
            "pass" => Some(RawClass::Pass),
            "drop" => Some(RawClass::Drop),
            other => {
                let problem = Problem::unknown("action", other, ["pass", "drop"]);
                if problem.suggestion.is_some() {
                    return at.fail(context, problem);
                }
                at.fail(
                    context,
                    format!("unknown action \"{other}\": expected \"pass\", \"drop\" or {{pool: name}}"),
                )
            }
        },
        _ => {
            let pool = at.fields(&["pool"], context)?.require("pool", context)?.text(context)?;
            Some(RawClass::Pool(pool))
        }
    }
}
