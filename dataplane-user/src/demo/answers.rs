//! Proofs about who answered.

use std::collections::BTreeSet;

use super::expectation::{Decided, Expectation};
use super::proof::{Differences, Proof};
use super::readings::Counted;
use super::traffic::Flow;
use crate::image::KeyInfo;
use crate::world::Transport;

/// A flow with what the host engine decides for it.
pub(super) struct Judged<'a> {
    flow: &'a Flow,
    decided: Decided<'a>,
}

/// Decides every flow again.
pub(super) fn judge<'a>(flows: &'a [Flow], expectation: &'a Expectation) -> Vec<Judged<'a>> {
    flows.iter().map(|flow| Judged { flow, decided: expectation.decide(flow) }).collect()
}

impl Judged<'_> {
    fn describe(&self) -> String {
        let Flow { tenant, transport, source, destination, dscp, .. } = self.flow;
        format!("{} {} {source} > {destination} dscp {dscp}", tenant.name, transport.name())
    }
}

/// Every answer came from the shard that the host engine computes, and none is missing.
pub(super) fn from_their_shards(judged: &[Judged<'_>]) -> Proof {
    let mut differences = Differences::default();
    let mut answers = 0;
    let mut kinds = [[0_usize; 2]; 2];
    for judged in judged.iter().filter(|judged| !judged.flow.tenant.denied) {
        let flow = judged.flow;
        let Some(shard) = judged.decided.shard else {
            differences.note(format!("{}: the host engine finds no shard", judged.describe()));
            continue;
        };
        if let Some(other) = flow.answers.iter().find(|name| *name != shard) {
            differences.note(format!("{}: `{other}` answered instead of `{shard}`", judged.describe()));
        }
        if let Some(end) = &flow.end {
            differences.note(format!("{}: no answer from `{shard}`: {end}", judged.describe()));
        }
        answers += flow.answers.len();
        let kind = &mut kinds[usize::from(flow.source.is_ipv6())];
        kind[usize::from(flow.transport == Transport::Udp)] += 1;
    }
    let [[tcp4, udp4], [tcp6, udp6]] = kinds;
    if [tcp4, udp4, tcp6, udp6].contains(&0) {
        differences.note("a protocol had no flow at all".to_owned());
    }
    Proof::new(
        format!(
            "{answers} answers to {} flows (IPv4: {tcp4} TCP, {udp4} UDP; IPv6: {tcp6} TCP, {udp6} UDP), each \
             from the shard that the host engine computes for the flow",
            tcp4 + udp4 + tcp6 + udp6
        ),
        differences,
    )
}

/// Denied tenants got no answer, and every packet of theirs was dropped and counted so.
pub(super) fn denied(judged: &[Judged<'_>], counted: &Counted) -> Proof {
    let mut differences = Differences::default();
    let mut flows = 0;
    for judged in judged.iter().filter(|judged| judged.flow.tenant.denied) {
        flows += 1;
        if let Some(name) = judged.flow.answers.first() {
            differences.note(format!("{}: `{name}` answered", judged.describe()));
        }
        if let Some(shard) = judged.decided.shard {
            differences.note(format!("{}: the host engine sends it to `{shard}`", judged.describe()));
        }
    }
    let mut packets = 0;
    let mut names = Vec::new();
    for key in counted.keys.iter().filter(|key| key.denied.is_some()) {
        let dropped = key.drops.get("denied").copied().unwrap_or_default();
        differences.equal(
            format_args!("packets of {} dropped as denied", key.name),
            dropped.packets,
            key.packets,
        );
        differences.equal(format_args!("bytes of {} dropped as denied", key.name), dropped.bytes, key.bytes);
        packets += key.packets;
        names.push(key.name.as_str());
    }
    if flows == 0 || packets == 0 {
        differences.note("nobody was denied".to_owned());
    }
    Proof::new(
        format!(
            "denied {}: {flows} flows got no answer, and all of its {packets} packets were dropped and counted as denied",
            names.join(", ")
        ),
        differences,
    )
}

/// Every key used as many shards as its width says, where its flows were enough for that.
pub(super) fn widths(judged: &[Judged<'_>], expectation: &Expectation) -> Proof {
    let mut differences = Differences::default();
    let mut said = Vec::new();
    for key in expectation.image().names.keys.iter().filter(|key| key.denied.is_none()) {
        let flows = || judged.iter().filter(|judged| judged.decided.key == Some(&key.name));
        let wanted: BTreeSet<_> = flows().filter_map(|judged| judged.decided.shard).collect();
        let used: BTreeSet<_> =
            flows().flat_map(|judged| judged.flow.answers.iter().map(String::as_str)).collect();
        let width = width(key);
        if wanted.len() != width {
            // Too few flows to meet every shard: nothing is claimed, but nothing may contradict either.
            if let Some(other) = used.iter().find(|shard| !wanted.contains(**shard)) {
                differences.note(format!("{}: shard {other} answered, and is none of its shards", key.name));
            }
            continue;
        }
        let [used, wanted] = [used, wanted].map(|shards| shards.into_iter().collect::<Vec<_>>().join(", "));
        differences.equal(format_args!("shards of {}", key.name), used.as_str(), wanted.as_str());
        said.push(format!("{} {width} ({used})", key.name));
    }
    if said.is_empty() {
        differences.note("no key had enough flows".to_owned());
    }
    Proof::new(format!("keys used exactly as many shards as their width: {}", said.join("; ")), differences)
}

/// How many shards the key may use.
fn width(key: &KeyInfo) -> usize {
    if key.width == 0 { key.shards.len() } else { key.width.into() }
}
