//! What the API answers, made from names and counters.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysteer_common::account::{Counter, drop_slot};
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use super::claims;
use super::types::{
    Count, EgressStatus, HealthStatus, Key, MapStatus, Outcome, PolicyStatus, Problem, ProgramStatus, Rate,
    Shard, ShardHealth, Status,
};
use crate::agent::node::{Node, VERSION};
use crate::agent::steward::Posted;
use crate::counters::Snapshot;
use crate::explain::types::{Explanation, Question};
use crate::explain::{Generation, unhex};
use crate::health::Report;
use crate::image::{Image, KeyInfo};
use crate::kernel::interfaces::Interfaces;
use crate::suggest::nearest;

impl From<Counter> for Count {
    fn from(counter: Counter) -> Self {
        Self { packets: counter.packets, bytes: counter.bytes }
    }
}

/// `GET /v1/status`
pub fn status(
    node: &Node,
    posted: &Posted,
    trouble: Option<String>,
    snapshot: &Snapshot,
    program: ProgramStatus,
    maps: Vec<MapStatus>,
    health: Option<&Report>,
) -> Status {
    let verdicts =
        Verdict::ALL.iter().map(|verdict| (verdict.name().to_owned(), snapshot.verdict(*verdict).into()));
    let mut policy = PolicyStatus { trouble, ..node.policy() };
    for schema in &mut policy.schemas {
        schema.counted = snapshot.versions.get(&schema.version).map(|counter| (*counter).into());
    }
    Status {
        version: VERSION.to_owned(),
        pid: std::process::id(),
        since: node.since,
        policy,
        last: posted.last,
        words: posted.words.to_vec(),
        secrets: posted.secrets.to_vec(),
        migration: posted.migration.as_deref().cloned(),
        rollout: posted.rollout.as_deref().cloned(),
        interfaces: node.interfaces.clone(),
        program,
        maps,
        received: snapshot.received().into(),
        verdicts: verdicts.collect(),
        outcomes: outcomes(snapshot),
        health: health.map(HealthStatus::of),
        egress: (!node.back.is_empty()).then(|| egress(node, snapshot)),
        balanced: snapshot.balanced().is_ok(),
    }
}

fn egress(node: &Node, snapshot: &Snapshot) -> EgressStatus {
    let sent = snapshot.back.iter().flat_map(|back| {
        let classes = Class::ALL.iter().map(|class| (class.name().to_owned(), back.class(*class)));
        classes.filter(|(_, counter)| *counter != Counter::default())
    });
    EgressStatus {
        interfaces: node.back.clone(),
        sent: sent.map(|(class, counter)| (class, counter.into())).collect(),
    }
}

fn outcomes(snapshot: &Snapshot) -> Vec<Outcome> {
    let pairs = Class::ALL.iter().flat_map(|class| Reason::ALL.iter().map(move |reason| (*class, *reason)));
    pairs
        .map(|(class, reason)| (class, reason, snapshot.outcome(class, reason)))
        .filter(|(_, _, counter)| *counter != Counter::default())
        .map(|(class, reason, counter)| Outcome {
            class: class.name().to_owned(),
            reason: reason.name().to_owned(),
            packets: counter.packets,
            bytes: counter.bytes,
        })
        .collect()
}

/// `GET /v1/keys`, from the key at `begin`; values plainly if `reveal`.
pub fn keys<'a>(
    node: &'a Node,
    snapshot: &'a Snapshot,
    begin: usize,
    reveal: bool,
) -> impl Iterator<Item = Key> + use<'a> {
    node.names.keys.iter().skip(begin).map(move |info| key_of(node, snapshot, info, reveal))
}

/// `GET /v1/keys/NAME`; values plainly if `reveal`.
///
/// # Errors
/// The policy has no such key; the problem names the nearest.
pub fn key(node: &Node, snapshot: &Snapshot, name: &str, reveal: bool) -> Result<Key, Problem> {
    if let Some(info) = node.names.keys.iter().find(|key| key.name == name) {
        return Ok(key_of(node, snapshot, info, reveal));
    }
    let hint = match nearest(name, node.names.keys.iter().map(|key| key.name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`keysteer key list` shows the keys in force".to_owned(),
    };
    Err(Problem { error: format!("policy `{}` has no key `{name}`; {hint}", node.names.policy) })
}

fn key_of(node: &Node, snapshot: &Snapshot, info: &KeyInfo, reveal: bool) -> Key {
    let at = info.id as usize;
    let counter = snapshot.keys.get(at).copied().unwrap_or_default();
    let events = snapshot.events.get(at).copied().unwrap_or_default();
    let dropped = Reason::ALL.iter().filter_map(|reason| {
        let counter = *events.drops.get(drop_slot(*reason)?)?;
        (counter != Counter::default()).then(|| (reason.name().to_owned(), counter.into()))
    });
    let level = node.names.level(info.level).into_iter();
    let level = level.flat_map(|(schema, level)| level.iter().filter_map(|at| schema.fields.get(*at)));
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let veil = node.names.veil.lift(reveal);
    Key {
        id: info.id,
        name: info.name.clone(),
        values: node.names.shown(info, &veil).map(|(field, value)| (field.to_owned(), value)).collect(),
        level: level.map(|field| field.name.clone()).collect(),
        schemas: node.names.versions_of(info),
        alias_of: info.alias_of.and_then(|of| node.names.key(of)).map(|key| key.name.clone()),
        pool: info.pool.to_string(),
        width: if info.width == 0 { "all".to_owned() } else { info.width.to_string() },
        shards: info.shards.iter().map(ToString::to_string).collect(),
        tier: text(&info.tier),
        owner: text(&info.owner),
        cost_centre: text(&info.cost_centre),
        account: text(&info.account),
        denied: text(&info.denied),
        packets: counter.packets,
        bytes: counter.bytes,
        flows: events.flows,
        sent: snapshot.back.as_ref().map(|back| back.keys.get(at).copied().unwrap_or_default().into()),
        drops: dropped.collect(),
        sources: info.sources.iter().flat_map(|sources| sources.iter().map(ToString::to_string)).collect(),
        claims: claims::of_key(node, snapshot, info.id),
    }
}

/// `GET /v1/shards`; `rates` gives a shard's rates by its index.
pub fn shards(
    node: &Node,
    posted: &Posted,
    snapshot: &Snapshot,
    health: Option<&Report>,
    rates: impl Fn(usize) -> BTreeMap<String, Rate>,
) -> Vec<Shard> {
    node.names
        .policy_shards()
        .map(|(index, info)| {
            let at = usize::from(index);
            let counter = snapshot.shards.get(at).copied().unwrap_or_default();
            Shard {
                index,
                name: info.name.clone(),
                weight: info.weight,
                target: info.target.clone(),
                pools: info.pools.clone(),
                packets: counter.packets,
                bytes: counter.bytes,
                flows: counter.flows,
                sent: snapshot
                    .back
                    .as_ref()
                    .map(|back| back.shards.get(at).copied().unwrap_or_default().into()),
                dropped: counter.dropped,
                health: health.and_then(|health| health.shard(&info.name)).map(ShardHealth::of),
                disabled: posted.words.iter().any(|it| it.kind == "shard" && it.name == info.name),
                rates: rates(at),
            }
        })
        .collect()
}

/// `POST /v1/explain` by the `tables` in force, where this host has `interfaces` now; values plainly if `reveal`.
/// Nothing is counted.
///
/// # Errors
/// The frame is none, or the agent is not attached to the interface.
pub fn explain(
    node: &Node,
    tables: &Image,
    interfaces: &Interfaces,
    question: &Question,
    reveal: bool,
) -> Result<Explanation, Problem> {
    let frame = unhex(&question.frame).map_err(|error| Problem { error: format!("frame: {error}") })?;
    let attached = match &question.interface {
        None => node.interfaces.first(),
        Some(name) => Some(node.interfaces.iter().find(|at| at.name == *name).ok_or_else(|| {
            let names: Vec<&str> = node.interfaces.iter().map(|at| at.name.as_str()).collect();
            let error = format!("the agent does not steer on `{name}`; it does on {}", names.join(", "));
            Problem { error }
        })?),
    };
    let (name, index) = attached.map_or(("", 0), |at| (at.name.as_str(), at.index));
    let generation = node.generation(tables, interfaces);
    let veil = generation.veil.lift(reveal);
    Ok(Generation { veil, ..generation }.explain(&frame, name, index))
}
