//! What a plan is refused for. Each guard has a name, says whom it concerns and what to do, and can be lifted by
//! name; that it was lifted is part of the plan.
//!
//! ```text
//!  blast-radius   after the change a shard has more of the keys, or of live traffic, than spec.blastRadius allows
//!  residency      keys leave the region of the pool that they were in
//!  vip-tier       a VIP comes to a tier of lower rank, or to none
//!  schema         a version of the schema goes unannounced, or fields or levels change by which keys are read
//!  dual-accept    a version of the schema goes before its dual-accept time is over
//!  base-moved     the plan starts from a generation that is not in force; cannot be lifted
//! ```
//! That a key does not fit its pool's region within one policy is no refusal but an error of that policy.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Side;
use super::settings::{carrier, levels};
use super::survey::Sum;
use super::traffic::{Traffic, share};
use super::types::{Base, FieldChange, Guard, LISTED, List, Refusal, ShardRadius, Totals};
use crate::display::Veil;
use crate::image::{KeyInfo, Names};
use crate::policy::versions::{Early, may_go, too_early};
use crate::policy::{Policy, Schema, Share};
use crate::state::Timestamp;

/// What guards look for while keys are compared.
#[derive(Debug)]
pub(super) struct Guards<'s> {
    regions: Regions<'s>,
    ranks: Ranks<'s>,
    /// By level before, over all schemas: whether keys of it are read differently after.
    orphans: Vec<bool>,
    /// Versions of the schema that would go too early.
    early: Vec<Early>,
    residency: Concerned,
    vips: Concerned,
    schema: Concerned,
}

/// Keys that a guard concerns.
#[derive(Clone, Debug, Default)]
struct Concerned {
    sum: Sum,
    names: List<String>,
}

impl Concerned {
    fn add(&mut self, bytes: u64, text: impl FnOnce() -> String) {
        self.sum.add(bytes);
        self.names.add(LISTED, text);
    }
}

/// The regions of pools that have one, by name.
#[derive(Debug, Default)]
struct Regions<'s> {
    before: HashMap<&'s str, &'s str>,
    after: HashMap<&'s str, &'s str>,
    /// Before and after: what says how a region is shown.
    names: [Option<&'s Names>; 2],
    veil: Veil,
}

/// Ranks of tiers, by name.
#[derive(Debug, Default)]
struct Ranks<'s> {
    before: HashMap<&'s str, u16>,
    after: HashMap<&'s str, u16>,
}

impl<'s> Guards<'s> {
    pub(super) fn new(old: Option<Side<'s>>, new: Side<'s>, now: Timestamp, veil: Veil) -> Self {
        let regions = |policy: &'s Policy| {
            let pools = policy.pools.iter();
            pools.filter_map(|pool| Some((pool.name.as_str(), pool.region.as_deref()?))).collect()
        };
        let ranks =
            |policy: &'s Policy| policy.tiers.iter().map(|tier| (tier.name.as_str(), tier.rank)).collect();
        let names = [old.map(|old| old.names), Some(new.names)];
        let old = old.map(|old| old.policy);
        Self {
            regions: Regions {
                before: old.map(regions).unwrap_or_default(),
                after: regions(new.policy),
                names,
                veil,
            },
            ranks: Ranks { before: old.map(ranks).unwrap_or_default(), after: ranks(new.policy) },
            orphans: old.map(|old| orphans(old, new.policy, now)).unwrap_or_default(),
            early: old.map(|old| too_early(old, new.policy, now)).unwrap_or_default(),
            residency: Concerned::default(),
            vips: Concerned::default(),
            schema: Concerned::default(),
        }
    }

    /// A key that goes.
    pub(super) fn removed(&mut self, key: &KeyInfo, bytes: u64) {
        self.orphan(key, bytes);
    }

    /// A key that is there before and after, and whether it is a VIP before.
    pub(super) fn both(&mut self, before: &KeyInfo, after: &KeyInfo, vip: bool, bytes: u64) {
        self.orphan(before, bytes);
        if !self.regions.before.is_empty() && !after.pool.is_empty() {
            let region = self.regions.before.get(&*before.pool);
            let next = self.regions.after.get(&*after.pool);
            if let Some(region) = region.filter(|region| next != Some(region)) {
                let Regions { names: [old, new], veil, .. } = &self.regions;
                let shown = |names: &Option<&Names>, region: &str| {
                    names.map_or_else(String::new, |names| names.shown_region(veil, region))
                };
                self.residency.add(bytes, || {
                    let next = next.map_or_else(|| "no region".to_owned(), |next| shown(new, next));
                    format!("{} ({} ▸ {next})", after.name, shown(old, region))
                });
            }
        }
        if vip && let Some((rank, next)) = self.ranks.lowered(before.tier.as_ref(), after.tier.as_ref()) {
            let tier = |tier: &Option<Arc<str>>| tier.as_deref().unwrap_or("no tier").to_owned();
            self.vips.add(bytes, || {
                let (tier, other) = (tier(&before.tier), tier(&after.tier));
                format!("{} ({tier}, rank {rank} ▸ {other}, rank {next})", after.name)
            });
        }
    }

    fn orphan(&mut self, key: &KeyInfo, bytes: u64) {
        let orphan = |level: usize| self.orphans.get(level).copied().unwrap_or(false);
        if orphan(key.level) || key.also.iter().any(|it| orphan(it.level.into())) {
            self.schema.add(bytes, || key.name.clone());
        }
    }

    /// The refusals, in the order of their names. `schema` is what of it changes.
    pub(super) fn finish(self, found: &Found<'_>) -> Vec<Refusal> {
        let Found { traffic, allow, policy, shards, schema, bases } = *found;
        let totals = |sum: Sum| Totals { keys: sum.keys, traffic: share(traffic, sum.bytes as f64) };
        let mut refusals = Vec::new();
        let mut refuse =
            |name: Guard, message: String, next: String, keys: Option<Totals>, of: List<String>| {
                let allowed = name.can_be_lifted() && allow.contains(&name);
                refusals.push(Refusal { name, message, next, allowed, keys, of });
            };
        if let Some((message, of)) = blast_radius(policy, shards) {
            let next = "give keys more width, or pools more shards, or raise the budget".to_owned();
            refuse(Guard::BlastRadius, message, next, None, of);
        }
        if self.residency.sum.keys > 0 {
            let message = format!("{} would leave the region of their pool", keys(self.residency.sum.keys));
            let next = "keep them in a pool of their region".to_owned();
            refuse(Guard::Residency, message, next, Some(totals(self.residency.sum)), self.residency.names);
        }
        if self.vips.sum.keys > 0 {
            let message = format!("{} would come to a tier of lower rank", vips(self.vips.sum.keys));
            let next = "keep them in their tier, or in one of a higher rank".to_owned();
            refuse(Guard::VipTier, message, next, Some(totals(self.vips.sum)), self.vips.names);
        }
        if self.orphans.iter().any(|orphans| *orphans) {
            let what: Vec<&str> = schema.iter().map(|change| change.field.as_str()).collect();
            let message = format!(
                "the schema changes ({}) while {} registered by it: their traffic would be read otherwise from one packet to the next",
                what.join(", "),
                are(self.schema.sum.keys),
            );
            let next = "make sure that senders are ready for it at that moment".to_owned();
            refuse(Guard::Schema, message, next, Some(totals(self.schema.sum)), self.schema.names);
        }
        for early in self.early {
            refuse(Guard::DualAccept, early.message, early.next, None, List::default());
        }
        if let Some((message, next)) = bases.and_then(|(wanted, there)| moved(wanted, there)) {
            refuse(Guard::BaseMoved, message, next, None, List::default());
        }
        refusals
    }
}

/// What else there is to judge by.
pub(super) struct Found<'f> {
    pub(super) traffic: Option<&'f Traffic>,
    pub(super) allow: &'f [Guard],
    pub(super) policy: &'f Policy,
    pub(super) shards: &'f [ShardRadius],
    pub(super) schema: &'f [FieldChange],
    /// The generation that is expected to be in force, and the one that is.
    pub(super) bases: Option<(&'f Base, Option<&'f Base>)>,
}

fn keys(count: u64) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

fn are(count: u64) -> String {
    if count == 1 { "1 key is".to_owned() } else { format!("{count} keys are") }
}

fn vips(count: u64) -> String {
    if count == 1 { "1 VIP".to_owned() } else { format!("{count} VIPs") }
}

impl Ranks<'_> {
    /// The ranks before and after, if a key comes to a lower tier: by the numbers that each side gives, or by those
    /// of the policy after, should it have raised them all.
    fn lowered(&self, before: Option<&Arc<str>>, after: Option<&Arc<str>>) -> Option<(u16, u16)> {
        let rank = |ranks: &HashMap<&str, u16>, tier: Option<&Arc<str>>| {
            tier.and_then(|tier| ranks.get(&**tier)).copied()
        };
        let next = rank(&self.after, after).unwrap_or(0);
        let was = [rank(&self.before, before), rank(&self.after, before)];
        was.into_iter().flatten().find(|was| next < *was).map(|was| (was, next))
    }
}

/// By level of the policy before, over all its schemas: whether its keys are read differently by the policy after. They
/// are when a version goes unannounced, when a level of a version goes, and when one of its fields goes or is read
/// elsewhere. That a version goes too early is for the guard of that name.
fn orphans(old: &Policy, new: &Policy, now: Timestamp) -> Vec<bool> {
    let fields = |policy: &Policy, schema: &Schema| -> BTreeMap<String, String> {
        schema.fields.iter().map(|field| (field.name.clone(), carrier(policy, field))).collect()
    };
    let of = |schema: &Schema| -> Vec<bool> {
        let Some(next) = new.version(schema.version) else {
            let guarded = schema.dual_accept.is_some() || may_go(schema, old, new, now);
            return vec![!guarded; schema.levels.len()];
        };
        let (before, after) = (fields(old, schema), fields(new, next));
        let known: Vec<Vec<&str>> = levels(next).collect();
        let orphan = |level: Vec<&str>| {
            !known.contains(&level) || level.iter().any(|field| before.get(*field) != after.get(*field))
        };
        levels(schema).map(orphan).collect()
    };
    old.schemas.iter().flat_map(of).collect()
}

fn blast_radius(policy: &Policy, shards: &[ShardRadius]) -> Option<(String, List<String>)> {
    let budget = policy.blast_radius;
    let mut of = List::default();
    let mut worst: [Option<Share>; 2] = [None; 2];
    for shard in shards {
        let Some(after) = shard.after else { continue };
        let over = [(budget.keys, Some(after.keys)), (budget.traffic, after.traffic)];
        let mut said = Vec::new();
        for (((budget, share), what), worst) in over.into_iter().zip(["keys", "live traffic"]).zip(&mut worst)
        {
            if let (Some(budget), Some(share)) = (budget, share)
                && share > budget
            {
                said.push(format!("{share} of the {what}"));
                *worst = (*worst).max(Some(share));
            }
        }
        if !said.is_empty() {
            of.add(LISTED, || format!("{}: {}", shard.shard, said.join(", ")));
        }
    }
    let [keys, traffic] = worst;
    let said = [(keys, budget.keys, "keys"), (traffic, budget.traffic, "live traffic")];
    let said: Vec<String> = said
        .into_iter()
        .filter_map(|(worst, budget, what)| {
            Some(format!("up to {} of the {what} (allowed: {})", worst?, budget?))
        })
        .collect();
    (!said.is_empty()).then(|| (format!("one shard would have {}", said.join(" and ")), of))
}

/// What is wrong when another generation is in force than a plan starts from.
pub(super) fn moved(wanted: &Base, there: Option<&Base>) -> Option<(String, String)> {
    let there = match there {
        Some(there) if there == wanted => return None,
        Some(there) => format!("generation {} is in force", there.generation),
        None => "none is in force".to_owned(),
    };
    let message = format!("the plan starts from generation {}, but {there}", wanted.generation);
    Some((message, "plan again, and look at what has changed since".to_owned()))
}
