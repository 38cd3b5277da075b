//! The shape of `spec.health`, and of what shards and pools say for themselves.

use std::net::IpAddr;
use std::time::Duration;

use crate::policy::diagnostic::{Place, Problem, quoted};
use crate::policy::health::Probe;
use crate::policy::reader::{At, Context, Cursor, Fields};
use crate::policy::share::Share;
use crate::policy::values;
use crate::policy::yaml::Value;
use crate::state::time;

use super::filled;

/// What is said of health: for all, or of one shard.
#[derive(Debug)]
pub(in crate::policy) struct RawHealth {
    pub(in crate::policy) at: Place,
    pub(in crate::policy) probe: Option<At<Probe>>,
    pub(in crate::policy) address: Option<At<IpAddr>>,
    pub(in crate::policy) interval: Option<At<Duration>>,
    pub(in crate::policy) timeout: Option<At<Duration>>,
    pub(in crate::policy) rise: Option<At<u32>>,
    pub(in crate::policy) fall: Option<At<u32>>,
    pub(in crate::policy) jitter: Option<At<Share>>,
    pub(in crate::policy) slow_start: Option<At<Duration>>,
    pub(in crate::policy) damping: Option<RawDamping>,
    /// Of all, never of one shard.
    pub(in crate::policy) floor: Option<At<Share>>,
}

/// What is said of a shard.
#[derive(Debug)]
pub(in crate::policy) enum RawShardHealth {
    /// It is not asked.
    Off,
    /// It is asked otherwise.
    Of(Box<RawHealth>),
}

/// What is said of those that come and go.
#[derive(Debug)]
pub(in crate::policy) enum RawDamping {
    /// They are not kept out.
    Off,
    /// They are.
    On { flaps: Option<At<u32>>, within: Option<At<Duration>>, hold: Option<At<Duration>> },
}

/// How often a shard may be asked in a row before it counts, at most.
pub(in crate::policy) const MOST: u32 = 100;
/// The longest path and name of a host.
pub(in crate::policy) const LONGEST: usize = 256;
/// The word that turns something off.
const OFF: &str = "off";

/// What is said of a shard.
const OF_SHARD: [&str; 9] =
    ["probe", "address", "interval", "timeout", "rise", "fall", "jitter", "slowStart", "damping"];

/// `spec.health`.
pub(super) fn health(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawHealth> {
    let mut allowed = OF_SHARD.to_vec();
    allowed.push("floor");
    let fields = at.fields(&allowed, context)?;
    fields.require("probe", context)?;
    let floor = fields.get("floor").and_then(|at| at.parsed(context, values::share));
    Some(RawHealth { floor, ..common(at, &fields, context)? })
}

/// `health` of a shard.
pub(super) fn of_shard(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawShardHealth> {
    if is_off(at, context)? {
        return Some(RawShardHealth::Off);
    }
    let fields = at.fields(&OF_SHARD, context)?;
    Some(RawShardHealth::Of(Box::new(common(at, &fields, context)?)))
}

/// `health` of a pool: its floor.
pub(super) fn of_pool(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<Share>> {
    let fields = at.fields(&["floor"], context)?;
    fields.require("floor", context)?.parsed(context, values::share)
}

/// Whether it is the word `off`; no other text will do.
fn is_off(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<bool> {
    match &at.node.value {
        Value::Text(text) if text == OFF => Some(true),
        Value::Text(text) => {
            at.fail(context, format!("expected \"{OFF}\" or a mapping, found the text \"{text}\""))
        }
        _ => Some(false),
    }
}

fn common(at: &Cursor<'_, '_>, fields: &Fields<'_, '_>, context: &mut Context<'_>) -> Option<RawHealth> {
    let span = |name, context: &mut Context<'_>| fields.get(name).and_then(|at| at.parsed(context, span));
    let number =
        |name, context: &mut Context<'_>| fields.get(name).and_then(|at| at.number(1, MOST, context));
    let probe = match fields.get("probe") {
        Some(at) => Some(At { value: probe(&at, context)?, at: at.node.at }),
        None => None,
    };
    let address = fields.get("address").and_then(|at| at.parsed(context, super::egress::address));
    let damping = match fields.get("damping") {
        Some(at) => Some(damping(&at, context)?),
        None => None,
    };
    Some(RawHealth {
        at: at.node.at,
        probe,
        address,
        interval: span("interval", context),
        timeout: span("timeout", context),
        rise: number("rise", context),
        fall: number("fall", context),
        jitter: fields.get("jitter").and_then(|at| at.parsed(context, values::share)),
        slow_start: span("slowStart", context),
        damping,
        floor: None,
    })
}

fn damping(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawDamping> {
    if is_off(at, context)? {
        return Some(RawDamping::Off);
    }
    let fields = at.fields(&["flaps", "within", "hold"], context)?;
    let [within, hold] =
        ["within", "hold"].map(|name| fields.get(name).and_then(|at| at.parsed(context, span)));
    let flaps = fields.get("flaps").and_then(|at| at.number(2, MOST, context));
    Some(RawDamping::On { flaps, within, hold })
}

/// The probes that there are.
const PROBES: [&str; 3] = ["tcp", "http", "icmp"];

fn probe(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<Probe> {
    let fields = at.fields(&PROBES, context)?;
    let Some(only) = fields.only() else {
        return at.fail(context, format!("expected exactly one of {}", quoted(&PROBES)));
    };
    match fields.only_name() {
        Some("tcp") => {
            let fields = only.fields(&["port"], context)?;
            Some(Probe::Tcp { port: port(&fields, context)? })
        }
        Some("http") => {
            let fields = only.fields(&["port", "path", "host", "status"], context)?;
            let port = port(&fields, context);
            let path = match fields.get("path") {
                Some(at) => at.parsed(context, path)?.value,
                None => "/".to_owned(),
            };
            let host = match fields.get("host") {
                Some(at) => Some(at.parsed(context, host)?.value),
                None => None,
            };
            let status = match fields.get("status") {
                Some(at) => filled(&at, context, |item, context| {
                    u16::try_from(item.number(100, 599, context)?.value).ok()
                })?,
                None => vec![200],
            };
            Some(Probe::Http { port: port?, path, host, status })
        }
        Some("icmp") => only.fields(&[], context).map(|_| Probe::Icmp),
        _ => None,
    }
}

fn port(fields: &Fields<'_, '_>, context: &mut Context<'_>) -> Option<u16> {
    let port = fields.require("port", context)?.number(1, u16::MAX.into(), context)?;
    u16::try_from(port.value).ok()
}

/// A span of time, also none.
fn span(text: &str) -> Result<Duration, Problem> {
    time::span(text)
        .map_err(|_| format!("\"{text}\" is no span of time: expected one such as 500ms or 1s").into())
}

/// Visible characters alone: it becomes a part of a request.
fn visible(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn path(text: &str) -> Result<String, Problem> {
    if visible(text) && text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err(format!("\"{text}\" is no path: expected one such as /healthz, of visible ASCII characters")
            .into())
    }
}

fn host(text: &str) -> Result<String, Problem> {
    if visible(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("\"{text}\" is no host: expected one such as shop.example:8080").into())
    }
}
