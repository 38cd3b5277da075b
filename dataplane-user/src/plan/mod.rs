//! What a policy would change, before it does: a pure function of the policy in force, the one to come, and recent
//! traffic.
//!
//! ```text
//!  settings   what changes but for keys, by meaning
//!  survey     one pass over the keys of both, by id: what changes, moves, hangs on what
//!   ├ rows    which shards flows go to, and which part of them moves
//!   └ guards  whom refusals concern
//!  radius     what hangs on each shard
//!  overlap    how many shards keys have in common
//!  hanging    the last two of both sides, by name
//!  words      what operators said, beside the plan
//! ```
//!
//! A policy that means the same plans to nothing. The digest of a plan is that of the change, not of the moment: live
//! traffic is not in it. A million keys take about a second.

mod digest;
mod guards;
mod hanging;
mod mixer;
pub mod offline;
mod overlap;
mod radius;
mod rows;
pub mod saved;
mod settings;
mod survey;
mod traffic;
pub mod types;
pub mod words;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use keysteer_common::tables::Slot;

use crate::display::Veil;
use crate::image::{KeyInfo, Names};
use crate::policy::{Policy, Share};
use crate::state::Timestamp;

pub use saved::{SavedError, SavedPlan};
pub use traffic::{Sample, Traffic};
pub use types::{Base, Guard, Plan, Refusal, Request};

use guards::Guards;
use hanging::{classes, overlaps, shards};
use rows::Rows;
use survey::{FIELDS, Mask, Single, Sum, Survey, pinned};
use traffic::share;
use types::{
    FieldChange, KeyChanged, KeyNamed, Keys, LISTED, List, Move, Moves, SHARDS_LISTED, Totals, VERSION,
};

/// A policy and what was compiled from it. Both sides' key ids must be of one registry.
#[derive(Clone, Copy, Debug)]
pub struct Side<'s> {
    /// The policy. Its keys are not looked at: `names` has what is to be known of them.
    pub policy: &'s Policy,
    /// The names behind the numbers of the tables.
    pub names: &'s Names,
    /// The slots of its pools.
    pub slots: &'s [Slot],
}

/// What a plan is made for.
#[derive(Clone, Debug, Default)]
pub struct Context<'c> {
    /// The generation in force.
    pub base: Option<Base>,
    /// The generation that the asker believes to be in force.
    pub expected: Option<Base>,
    /// [`crate::policy::Bundle::digest`] of the new policy.
    pub bundle: String,
    /// Guards that are lifted.
    pub allow: &'c [Guard],
    /// Recent traffic, by the ids and indices of the generation in force.
    pub traffic: Option<&'c Traffic>,
    /// The time that versions of the schema are judged by.
    pub now: Timestamp,
    /// Whether values are shown plainly that the policy hides.
    pub reveal: bool,
}

impl Plan {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        let Keys { added, removed, changed, .. } = &self.keys;
        self.changes.is_empty()
            && [added, removed, changed, &self.moves.keys].iter().all(|it| it.keys == 0)
            && self.classes.is_empty()
    }

    /// The refusals that are not lifted.
    pub fn refused(&self) -> impl Iterator<Item = &Refusal> {
        self.refusals.iter().filter(|refusal| !refusal.allowed)
    }

    /// Whether the plan can be carried out on the generation that is in force.
    ///
    /// # Errors
    /// Another generation is in force than the plan starts from.
    pub fn still_fits(&self, there: Option<&Base>) -> Result<(), Refusal> {
        let refusal = |(message, next)| Refusal {
            name: Guard::BaseMoved,
            message,
            next,
            allowed: false,
            keys: None,
            of: List::default(),
        };
        let moved = match (&self.base, there) {
            (Some(base), there) => guards::moved(base, there),
            (None, None) => None,
            (None, Some(there)) => Some((
                format!(
                    "the plan starts from no generation, but generation {} is in force",
                    there.generation
                ),
                "plan again, by the agent that is to apply it".to_owned(),
            )),
        };
        moved.map_or(Ok(()), |moved| Err(refusal(moved)))
    }
}

/// What applying `new` in place of `old` would do.
pub fn plan(old: Option<Side<'_>>, new: Side<'_>, context: &Context<'_>) -> Plan {
    let traffic = context.traffic;
    let allow: BTreeSet<Guard> =
        context.allow.iter().copied().filter(|guard| guard.can_be_lifted()).collect();
    let allow: Vec<Guard> = allow.into_iter().collect();
    // One secret for both sides, so that what stays the same looks the same.
    let veil = new.names.veil.lift(context.reveal);
    let changes = settings::compare(old, new, &veil);
    let mut rows = Rows::new();
    let mut guards = Guards::new(old, new, context.now, veil);
    let mut survey = Survey::of(old, new, traffic, &mut rows, &mut guards);
    let classes = classes(old, new, traffic, &mut rows, &mut survey);
    let shards = shards(old, new, traffic, &mut rows, &survey);
    let overlap = overlaps(old, new, &rows, &survey);
    let keys = keys(old, new, traffic, &veil, &mut survey);
    let moves = moves(new, traffic, &rows, &mut survey);
    let refusals = guards.finish(&guards::Found {
        traffic,
        allow: &allow,
        policy: new.policy,
        shards: &shards,
        schema: &changes.schema,
        bases: context.expected.as_ref().map(|wanted| (wanted, context.base.as_ref())),
    });
    let mut plan = Plan {
        version: VERSION,
        base: context.base.clone(),
        from: old.map(|old| old.policy.name.clone()),
        policy: new.policy.name.clone(),
        bundle: context.bundle.clone(),
        allow,
        traffic: traffic.map(|traffic| traffic.live),
        changes,
        keys,
        moves,
        classes,
        shards,
        overlap,
        refusals,
        words: Vec::new(),
        notes: Vec::new(),
    };
    if plan.is_empty() {
        // What is in force already is not refused again.
        plan.refusals.retain(|refusal| refusal.name == Guard::BaseMoved);
    }
    plan.notes = notes(&plan, old, new);
    plan
}

fn notes(plan: &Plan, old: Option<Side<'_>>, new: Side<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |text: &str| notes.push(text.to_owned());
    match plan.traffic {
        _ if plan.is_empty() => {}
        None => note("no live traffic was read: shares are of keys"),
        Some(live) if live.bytes == 0 => note("there was no live traffic: shares are of keys"),
        Some(_) => {}
    }
    if !plan.is_empty()
        && new.policy.blast_radius.traffic.is_some()
        && plan.traffic.is_none_or(|live| live.bytes == 0)
    {
        note("blastRadius.traffic was not checked");
    }
    if plan.keys.removed.traffic.is_some_and(|traffic| traffic > Share::NONE) {
        note(
            "what removed keys carry is not in the figures after: another key of theirs may match, or their class's action",
        );
    }
    if old.is_some_and(|old| old.policy.environment != new.policy.environment) {
        note("the environment is part of every key's identity: with another one, every key is another");
    }
    // Of the policy in force with other shares the keys move at once.
    let other = plan.base.as_ref().is_some_and(|base| base.digest != plan.bundle);
    if let Some(rollout) = new.policy.rollout.as_ref().filter(|_| other && plan.moves.keys.keys > 0) {
        let steps: Vec<String> = rollout.steps.iter().map(|step| step.cohort.text()).collect();
        note(&format!(
            "keys move in steps: {}, then the rest; `apply --at-once` moves all",
            steps.join(", then ")
        ));
    }
    if plan.overlap.iter().any(|it| [&it.before, &it.after].into_iter().flatten().any(|it| !it.exact)) {
        note(
            "overlap: there are too many pairs to count all; evenly chosen keys were compared with all others",
        );
    }
    notes
}

fn totals(traffic: Option<&Traffic>, sum: Sum) -> Totals {
    Totals { keys: sum.keys, traffic: share(traffic, sum.bytes as f64) }
}

/// The first [`LISTED`] by `rank`, in its order; how many there were is kept.
fn first<T: Copy, R: Ord>(items: &mut Vec<T>, rank: impl Fn(&T) -> R) -> u64 {
    let total = items.len() as u64;
    if items.len() > LISTED {
        items.select_nth_unstable_by_key(LISTED, &rank);
        items.truncate(LISTED);
    }
    items.sort_by_key(rank);
    total
}

fn keys(
    old: Option<Side<'_>>,
    new: Side<'_>,
    traffic: Option<&Traffic>,
    veil: &Veil,
    survey: &mut Survey,
) -> Keys {
    let none = Names::default();
    let before = old.map_or(&none, |old| old.names);
    let sum = |bytes: &mut dyn Iterator<Item = u64>| {
        let mut sum = Sum::default();
        bytes.for_each(|bytes| sum.add(bytes));
        totals(traffic, sum)
    };
    let added = sum(&mut survey.added.iter().map(|key| key.bytes));
    let removed = sum(&mut survey.removed.iter().map(|key| key.bytes));
    let changed = sum(&mut survey.altered.iter().map(|key| key.bytes));
    let named = |list: &mut Vec<Single>, names: &Names| {
        let total = first(list, |key| (Reverse(key.bytes), key.at));
        let items = list.iter().filter_map(|single| {
            let key = names.keys.get(single.at)?;
            Some(KeyNamed {
                name: key.name.clone(),
                what: describe(names, key, veil),
                traffic: share(traffic, single.bytes as f64),
            })
        });
        List { total, items: items.collect() }
    };
    let added_list = named(&mut survey.added, new.names);
    let removed_list = named(&mut survey.removed, before);
    let total = first(&mut survey.altered, |key| (Reverse(key.bytes), key.after));
    let items = survey.altered.iter().filter_map(|key| {
        let (one, other) = (before.keys.get(key.before)?, new.names.keys.get(key.after)?);
        let fields = field_changes((before, one), (new.names, other), key.mask, veil);
        Some(KeyChanged { name: other.name.clone(), fields, traffic: share(traffic, key.bytes as f64) })
    });
    let changed_list = List { total, items: items.collect() };
    let fields = FIELDS.iter().zip(&survey.fields).filter(|(_, sum)| sum.keys > 0);
    Keys {
        before: before.keys.len() as u64,
        after: new.names.keys.len() as u64,
        added,
        removed,
        changed,
        denied: totals(traffic, survey.denied),
        allowed: totals(traffic, survey.allowed),
        fields: fields.map(|(field, sum)| ((*field).to_owned(), totals(traffic, *sum))).collect(),
        added_list,
        removed_list,
        changed_list,
    }
}

/// A key in words: its values, and where it goes.
fn describe(names: &Names, key: &KeyInfo, veil: &Veil) -> String {
    let values: Vec<String> =
        names.shown(key, veil).map(|(field, value)| format!("{field}={value}")).collect();
    let mut text = values.join(" ");
    if let Some(tier) = &key.tier {
        text.push_str(&format!(", tier {tier}"));
    }
    if let Some(other) = key.alias_of.and_then(|of| names.key(of)) {
        text.push_str(&format!(", alias of {}", other.name));
    }
    match &key.denied {
        Some(reason) => text.push_str(&format!(", denied: {reason}")),
        None => text.push_str(&format!(", pool {}, width {}", key.pool, width(key.width))),
    }
    text
}

fn width(width: u16) -> String {
    if width == 0 { "all".to_owned() } else { width.to_string() }
}

fn field_changes(
    one: (&Names, &KeyInfo),
    other: (&Names, &KeyInfo),
    mask: Mask,
    veil: &Veil,
) -> Vec<FieldChange> {
    let value = |(names, key): (&Names, &KeyInfo), field: &str| -> Option<String> {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        match field {
            "name" => Some(key.name.clone()),
            "tier" => text(&key.tier),
            "pool" => Some(key.pool.to_string()).filter(|pool| !pool.is_empty()),
            "width" => Some(width(key.width)),
            "deny" => text(&key.denied),
            "owner" => text(&key.owner),
            "costCentre" => text(&key.cost_centre),
            "account" => text(&key.account),
            "region" => key.region.as_deref().map(|region| names.shown_region(veil, region)),
            "aliasOf" => Some(names.key(key.alias_of?)?.name.clone()),
            "schema" => {
                let versions = names.versions_of(key).into_iter().map(|version| version.to_string());
                Some(versions.collect::<Vec<_>>().join(" "))
            }
            "shards" => pinned(key).map(|shards| shards.join(" ")),
            "sources" => key
                .sources
                .as_ref()
                .map(|sources| sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            _ => Some(key.vip.to_string()),
        }
    };
    let changed = FIELDS.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
    changed
        .map(|(_, field)| FieldChange {
            field: (*field).to_owned(),
            before: value(one, field),
            after: value(other, field),
        })
        .collect()
}

fn moves(new: Side<'_>, traffic: Option<&Traffic>, rows: &Rows, survey: &mut Survey) -> Moves {
    let mut sum = Sum::default();
    let mut bytes = 0.0;
    for moved in &survey.moved {
        sum.add(moved.bytes);
        bytes += moved.bytes as f64 * moved.part;
    }
    let total = first(&mut survey.moved, |key| (Reverse(key.bytes), key.after));
    let items = survey.moved.iter().filter_map(|moved| {
        let [from, to] = [moved.from, moved.to].map(|row| rows.get(row));
        let (from, to) = (from?.ordered(), to?.ordered());
        let named = |shards: &mut dyn Iterator<Item = u32>| {
            let mut list = List::default();
            shards.for_each(|shard| list.add(SHARDS_LISTED, || rows.name(shard).to_owned()));
            list
        };
        let [one, other] = [&from, &to].map(|row| row.iter().copied().collect::<BTreeSet<u32>>());
        Some(Move {
            name: new.names.keys.get(moved.after)?.name.clone(),
            flows: Share::of(moved.part, 1.0),
            traffic: share(traffic, moved.bytes as f64),
            before: named(&mut from.iter().copied()),
            after: named(&mut to.iter().copied()),
            leaves: named(&mut from.iter().copied().filter(|shard| !other.contains(shard))),
            comes: named(&mut to.iter().copied().filter(|shard| !one.contains(shard))),
        })
    });
    let items = items.collect();
    Moves {
        keys: totals(traffic, sum),
        of: survey.stay,
        traffic: share(traffic, bytes),
        list: List { total, items },
    }
}
