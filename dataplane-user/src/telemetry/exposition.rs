//! One scrape: everything that is exported at one moment, encoded straight from the counters. There is
//! no registry of series to fill and to keep in memory.

use std::fmt;
use std::sync::Arc;

use keysteer_common::account::{Counter, drop_slot};
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::claims::ClaimShares;
use super::families::{Families, In, PREFIX};
use super::tally::Tally;
use super::topk::Shares;
use super::{moving, rollout, versions};
use crate::agent::node::{Node, VERSION};
use crate::agent::steward::Posted;
use crate::counters::{Back, Snapshot};
use crate::health::Report;

/// What one scrape answers.
#[derive(Debug)]
pub struct Exposition {
    /// Names of what is counted.
    pub node: Arc<Node>,
    /// What changes have done.
    pub posted: Posted,
    /// The counters.
    pub snapshot: Snapshot,
    /// How the keys' counters are shared out over series.
    pub shares: Shares,
    /// And claims without right.
    pub claims: ClaimShares,
    /// Readings that failed so far.
    pub errors: u64,
    /// What is known of shards that are asked whether they live.
    pub health: Option<Report>,
}

impl Exposition {
    /// The OpenMetrics text.
    ///
    /// # Errors
    /// The text does not fit in memory.
    pub fn encode(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn facts(&self, families: &mut Families<'_>) -> fmt::Result {
        let node = &self.node;
        families.infos(("build", "The agent's build"), [[("version", VERSION)]])?;
        let schema = node.schema.to_string();
        families.infos(
            ("policy", "The policy in force"),
            [[
                ("name", node.names.policy.as_str()),
                ("environment", node.names.environment.as_str()),
                ("schema", schema.as_str()),
                ("mode", node.mode()),
            ]],
        )?;
        families.infos(
            ("interface", "Interfaces that are steered, and how the program is attached"),
            node.interfaces.iter().map(|at| [("interface", at.name.as_str()), ("mode", at.mode.as_str())]),
        )?;
        families.gauge(("keys_registered", In::Plain, "Keys of the policy"), node.names.keys.len() as u64)?;
        let exported = self.shares.keys.len() as u64;
        families.gauge(("keys_exported", In::Plain, "Keys with series of their own"), exported)?;
        families.counter(("scrape_errors", In::Plain, "Readings of the counters that failed"), self.errors)
    }

    fn changes(&self, families: &mut Families<'_>) -> fmt::Result {
        let posted = &self.posted;
        families
            .gauge(("generation", In::Plain, "Number of the generation in force"), self.node.generation)?;
        families.gauge(
            (
                "policy_file_in_force",
                In::Plain,
                "0 while the policy file as it is now cannot be put in force",
            ),
            posted.file_in_force.into(),
        )?;
        families.gauge(
            ("last_apply_timestamp", In::Seconds, "When a policy was put in force last, since 1970"),
            posted.applied_at.map_or(0, |at| at.millis() / 1000),
        )?;
        families.counters(
            ("changes", In::Plain, "Changes that were asked for, by what came of them"),
            posted.changes.iter().map(|((action, result), count)| {
                ([("action", action.as_str()), ("result", *result)], *count)
            }),
        )?;
        families.counter(
            (
                "privacy_findings",
                In::Plain,
                "Texts that look personal or secret, of policies that came into force",
            ),
            posted.findings,
        )?;
        let words = ["allow", "deny", "disable"].map(|word| {
            let count = posted.words.iter().filter(|standing| standing.word == word).count();
            ([("word", word)], count as u64)
        });
        families.gauges(("words", In::Plain, "Operators' words on keys and shards that stand"), words)?;
        moving::encode(posted.migration.as_deref(), families)?;
        rollout::encode(posted.rollout.as_deref(), families)
    }

    fn node(&self, families: &mut Families<'_>) -> fmt::Result {
        let received = self.snapshot.received();
        families.counter(("received", In::Packets, "Frames seen"), received.packets)?;
        families.counter(("received", In::Bytes, "Bytes of the frames seen"), received.bytes)?;
        let verdicts = || {
            Verdict::ALL
                .iter()
                .map(|verdict| ([("verdict", verdict.name())], self.snapshot.verdict(*verdict)))
        };
        families.counters(
            ("verdict", In::Packets, "Frames by what happened to them"),
            verdicts().map(|(labels, counter)| (labels, counter.packets)),
        )?;
        families.counters(
            ("verdict", In::Bytes, "Bytes by what happened to them"),
            verdicts().map(|(labels, counter)| (labels, counter.bytes)),
        )?;
        let outcomes = self.outcomes();
        families.counters(
            ("outcome", In::Packets, "Frames by class, and by the reason of what happened to them"),
            outcomes.iter().map(|(labels, counter)| (*labels, counter.packets)),
        )?;
        families.counters(
            ("outcome", In::Bytes, "Bytes by class, and by the reason of what happened to them"),
            outcomes.iter().map(|(labels, counter)| (*labels, counter.bytes)),
        )
    }

    /// Every pair that can occur, at 0 too so that its first increment is seen, and any that did.
    fn outcomes(&self) -> Vec<([(&'static str, &'static str); 2], Counter)> {
        let pairs =
            Class::ALL.iter().flat_map(|class| Reason::ALL.iter().map(move |reason| (*class, *reason)));
        pairs
            .map(|(class, reason)| (class, reason, self.snapshot.outcome(class, reason)))
            .filter(|(class, reason, counter)| can_occur(*class, *reason) || *counter != Counter::default())
            .map(|(class, reason, counter)| ([("class", class.name()), ("reason", reason.name())], counter))
            .collect()
    }

    fn keys(&self, families: &mut Families<'_>) -> fmt::Result {
        families.infos(
            ("key", "What is known of a key that has series of its own"),
            self.shares.keys.iter().filter_map(|(id, _)| self.node.names.key(*id)).map(|key| {
                [
                    ("key", key.name.as_str()),
                    ("owner", key.owner.as_deref().unwrap_or_default()),
                    ("tier", key.tier.as_deref().unwrap_or_default()),
                    ("cost_centre", key.cost_centre.as_deref().unwrap_or_default()),
                    ("account", key.account.as_deref().unwrap_or_default()),
                ]
            }),
        )?;
        self.key(families, ("key", In::Packets, "Frames by key"), |tally| tally.packets)?;
        self.key(families, ("key", In::Bytes, "Bytes by key"), |tally| tally.bytes)?;
        self.key(families, ("key", In::Flows, "TCP flows opened, by key"), |tally| tally.flows)?;
        let series: Vec<_> = self.series().collect();
        families.counters(
            ("key_dropped", In::Packets, "Frames dropped, by key and reason: a key's errors"),
            series.iter().flat_map(|(labels, tally)| {
                let [key, scope] = *labels;
                drops(tally).map(move |(reason, dropped)| ([key, scope, ("reason", reason)], dropped))
            }),
        )?;
        let withdrawn = &self.shares.withdrawn;
        families.gauge(
            ("keys_withdrawn", In::Packets, "Frames counted by key series that are not shown now"),
            withdrawn.packets,
        )?;
        families.gauge(
            ("keys_withdrawn", In::Bytes, "Bytes counted by key series that are not shown now"),
            withdrawn.bytes,
        )?;
        families.gauge(
            ("keys_withdrawn", In::Flows, "Flows counted by key series that are not shown now"),
            withdrawn.flows,
        )?;
        families.gauges(
            ("keys_withdrawn_dropped", In::Packets, "Drops counted by key series that are not shown now"),
            drops(withdrawn).map(|(reason, dropped)| ([("reason", reason)], dropped)),
        )
    }

    fn key(
        &self,
        families: &mut Families<'_>,
        family: (&str, In, &str),
        value: impl Fn(&Tally) -> u64,
    ) -> fmt::Result {
        families.counters(family, self.series().map(|(labels, tally)| (labels, value(tally))))
    }

    /// The series of keys, then the one of all others: told apart by `scope`, since a tenant may well
    /// be called "other".
    fn series(&self) -> impl Iterator<Item = ([(&'static str, &str); 2], &Tally)> {
        let key = |id| self.node.names.key(id).map(|key| key.name.as_str());
        let keys = self.shares.keys.iter().filter_map(move |(id, tally)| Some((key(*id)?, tally)));
        keys.map(|(key, tally)| ([("key", key), ("scope", "key")], tally))
            .chain([([("key", ""), ("scope", "other")], &self.shares.other)])
    }

    fn claims(&self, families: &mut Families<'_>) -> fmt::Result {
        let rows: Vec<([(&'static str, &str); 3], &Tally)> = self.claimed().collect();
        let of = |value: fn(&Tally) -> u64| rows.iter().map(move |(labels, tally)| (*labels, value(tally)));
        families.counters(
            ("claims", In::Packets, "Frames that claim a key without right, by key and interface"),
            of(|tally| tally.packets),
        )?;
        families.counters(
            ("claims", In::Bytes, "Bytes of frames that claim a key without right, by key and interface"),
            of(|tally| tally.bytes),
        )?;
        let withdrawn = &self.claims.withdrawn;
        families.gauge(
            ("claims_withdrawn", In::Packets, "Frames counted by series of claims that are not shown now"),
            withdrawn.packets,
        )?;
        families.gauge(
            ("claims_withdrawn", In::Bytes, "Bytes counted by series of claims that are not shown now"),
            withdrawn.bytes,
        )
    }

    /// The series of claims: of keys, of none that is registered, and of all others.
    fn claimed(&self) -> impl Iterator<Item = ([(&'static str, &str); 3], &Tally)> {
        let pairs = self.claims.pairs.iter().filter_map(|(id, interface, tally)| {
            let (key, scope) = match id {
                0 => ("", "unregistered"),
                id => (self.node.names.key(*id)?.name.as_str(), "key"),
            };
            Some(([("key", key), ("interface", interface.as_str()), ("scope", scope)], tally))
        });
        pairs.chain([([("key", ""), ("interface", ""), ("scope", "other")], &self.claims.other)])
    }

    /// What left, where that is counted.
    fn sent(&self, families: &mut Families<'_>, back: &Back) -> fmt::Result {
        let classes = || Class::ALL.iter().map(|class| ([("class", class.name())], back.class(*class)));
        families.counters(
            ("sent", In::Packets, "Packets that left, by the class of what they answer"),
            classes().map(|(labels, counter)| (labels, counter.packets)),
        )?;
        families.counters(
            ("sent", In::Bytes, "Bytes that left, by the class of what they answer"),
            classes().map(|(labels, counter)| (labels, counter.bytes)),
        )?;
        self.key(families, ("key_sent", In::Packets, "Packets that left, by key"), |tally| {
            tally.sent.packets
        })?;
        self.key(families, ("key_sent", In::Bytes, "Bytes that left, by key"), |tally| tally.sent.bytes)?;
        let withdrawn = self.shares.withdrawn.sent;
        families.gauge(
            ("keys_withdrawn_sent", In::Packets, "What left, counted by key series that are not shown now"),
            withdrawn.packets,
        )?;
        families.gauge(
            (
                "keys_withdrawn_sent",
                In::Bytes,
                "Bytes that left, counted by key series that are not shown now",
            ),
            withdrawn.bytes,
        )?;
        let shards = || {
            let shards = self.node.names.policy_shards();
            shards.filter_map(|(index, shard)| {
                Some(([("shard", shard.name.as_str())], back.shards.get(usize::from(index))?))
            })
        };
        families.counters(
            ("shard_sent", In::Packets, "Packets that left and answer for a shard"),
            shards().map(|(labels, counter)| (labels, counter.packets)),
        )?;
        families.counters(
            ("shard_sent", In::Bytes, "Bytes that left and answer for a shard"),
            shards().map(|(labels, counter)| (labels, counter.bytes)),
        )
    }

    fn shards(&self, families: &mut Families<'_>) -> fmt::Result {
        let shards = || {
            let counter = |(index, shard)| Some((shard, self.snapshot.shards.get(usize::from(index))?));
            self.node.names.policy_shards().filter_map(counter)
        };
        let label = |name| [("shard", name)];
        families.counters(
            ("shard", In::Packets, "Frames decided for a shard"),
            shards().map(|(shard, counter)| (label(shard.name.as_str()), counter.packets)),
        )?;
        families.counters(
            ("shard", In::Bytes, "Bytes decided for a shard"),
            shards().map(|(shard, counter)| (label(shard.name.as_str()), counter.bytes)),
        )?;
        families.counters(
            ("shard", In::Flows, "TCP flows opened towards a shard"),
            shards().map(|(shard, counter)| (label(shard.name.as_str()), counter.flows)),
        )?;
        families.counters(
            (
                "shard_dropped",
                In::Packets,
                "Frames decided for a shard and dropped: no exit, or its target is drop",
            ),
            shards().map(|(shard, counter)| (label(shard.name.as_str()), counter.dropped)),
        )
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut families = Families(encoder);
        self.facts(&mut families)?;
        self.changes(&mut families)?;
        self.node(&mut families)?;
        versions::encode(&mut families, &self.node.names, &self.snapshot)?;
        self.keys(&mut families)?;
        self.claims(&mut families)?;
        self.shards(&mut families)?;
        if let Some(health) = &self.health {
            super::health::encode(&mut families, health)?;
        }
        match &self.snapshot.back {
            Some(back) => self.sent(&mut families, back),
            None => Ok(()),
        }
    }
}

/// Whether the packet path can end a frame of `class` for `reason`.
fn can_occur(class: Class, reason: Reason) -> bool {
    match (class, reason) {
        (Class::Foreign, reason) => reason == Reason::OutOfScope,
        (_, Reason::OutOfScope) => false,
        (Class::Assigned, reason) => !matches!(reason, Reason::ClassPass | Reason::ClassDrop),
        (_, reason) => reason != Reason::Denied,
    }
}

/// A key's drops by reason name.
fn drops(tally: &Tally) -> impl Iterator<Item = (&'static str, u64)> {
    Reason::ALL.iter().filter_map(|reason| {
        let slot = drop_slot(*reason)?;
        Some((reason.name(), *tally.drops.get(slot)?))
    })
}
