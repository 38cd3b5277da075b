//! Where classes go, what hangs on each shard, and what shards keys have in common: of both sides, by name.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{NOWHERE, RowId, Rows, SideRows};
use super::survey::{Shuffled, Survey};
use super::traffic::{self, Traffic, share};
use super::types::{ClassMove, Histogram, Overlap, Radius, ShardRadius};
use super::{Side, overlap, radius, settings};
use crate::policy::{ClassAction, Share};

/// Where a class goes: counted with the rest, and compared.
pub(super) fn classes(
    old: Option<Side<'_>>,
    new: Side<'_>,
    traffic: Option<&Traffic>,
    rows: &mut Rows,
    survey: &mut Survey,
) -> Vec<ClassMove> {
    let bytes = traffic.map_or([0; traffic::CLASSES.len()], |traffic| traffic.classes);
    let mut way = |side: Side<'_>, load: &mut radius::Load| -> [(String, RowId); 5] {
        let mut of_side = SideRows::new(side);
        let mut at = 0;
        side.policy.classes.all().map(|(_, action)| {
            let row = match action {
                ClassAction::Pool(pool) => of_side.pool(settings::pool_name(side.policy, pool), rows),
                ClassAction::Pass | ClassAction::Drop => NOWHERE,
            };
            if row != NOWHERE {
                // Those of fragments are counted with what is missing.
                load.class(row, bytes.get(at).copied().unwrap_or(0));
            }
            at += 1;
            (settings::action_text(side.policy, action), row)
        })
    };
    let [load_before, load_after] = &mut survey.load;
    let before = old.map(|old| way(old, load_before));
    let after = way(new, load_after);
    let Some(before) = before else { return Vec::new() };
    let mut found = Vec::new();
    let as_missing = |of: &[(String, RowId); 5]| of[4] == of[0];
    let alike = as_missing(&before) && as_missing(&after);
    let names = traffic::CLASSES.map(|class| class.name()).into_iter().chain(["fragments"]);
    for (nth, (name, ((was, from), (is, to)))) in names.zip(before.into_iter().zip(after)).enumerate() {
        if alike && nth == traffic::CLASSES.len() {
            continue;
        }
        let part = match (from, to) {
            (NOWHERE, NOWHERE) if was == is => 0.0,
            (NOWHERE, _) | (_, NOWHERE) => 1.0,
            (from, to) => rows.moved(from, to),
        };
        if part > 0.0 || was != is {
            found.push(ClassMove {
                class: name.to_owned(),
                before: was,
                after: is,
                flows: Share::of(part, 1.0),
                traffic: bytes.get(nth).and_then(|bytes| share(traffic, *bytes as f64)),
            });
        }
    }
    found
}

pub(super) fn shards(
    old: Option<Side<'_>>,
    new: Side<'_>,
    traffic: Option<&Traffic>,
    rows: &mut Rows,
    survey: &Survey,
) -> Vec<ShardRadius> {
    // Also shards that nothing goes to.
    let numbers = |side: Side<'_>, rows: &mut Rows| -> BTreeMap<String, u32> {
        side.policy.shards.iter().map(|shard| (shard.name.clone(), rows.shard(&shard.name))).collect()
    };
    let before = old.map(|old| numbers(old, rows)).unwrap_or_default();
    let after = numbers(new, rows);
    let [radius_before, radius_after] =
        [0, 1].map(|side| radius::of(&survey.load[side], rows, traffic.is_some()));
    let measured = measured(old, traffic);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |known: &BTreeMap<String, u32>, radii: &[Radius], name: &String| {
        known.get(name).map(|at| radii.get(*at as usize).copied().unwrap_or_default())
    };
    names
        .into_iter()
        .map(|name| {
            let seen = measured.get(name.as_str()).copied();
            ShardRadius {
                shard: name.clone(),
                before: of(&before, &radius_before, name).map(|radius| Radius { measured: seen, ..radius }),
                after: of(&after, &radius_after, name),
            }
        })
        .collect()
}

/// By name: the share of steered traffic that a shard of the generation in force was seen to have.
fn measured<'n>(old: Option<Side<'n>>, traffic: Option<&Traffic>) -> BTreeMap<&'n str, Share> {
    let (Some(old), Some(traffic)) = (old, traffic) else { return BTreeMap::new() };
    let whole: u64 = traffic.shards.iter().sum();
    if whole == 0 {
        return BTreeMap::new();
    }
    let named = (0..u16::MAX).zip(&traffic.shards);
    named
        .filter_map(|(index, bytes)| Some((old.names.shard(index)?, Share::of(*bytes as f64, whole as f64))))
        .collect()
}

pub(super) fn overlaps(old: Option<Side<'_>>, new: Side<'_>, rows: &Rows, survey: &Survey) -> Vec<Overlap> {
    let [before, after] = &survey.shuffled;
    let pools: BTreeSet<&str> = before.pools.keys().chain(after.pools.keys()).map(|pool| &**pool).collect();
    let groups = |shuffled: &Shuffled, pool: &str| {
        let groups = shuffled.get(pool).map(|by_row| Survey::groups(by_row, rows)).unwrap_or_default();
        let keys: u64 = groups.iter().map(|group| group.keys).sum();
        (keys > 1).then_some((keys, groups))
    };
    let histogram = |side: Side<'_>, keys: u64, counted: overlap::Counted| {
        let name = |at: usize| side.names.keys.get(at).map(|key| key.name.clone());
        let most = counted.pairs.iter().rposition(|pairs| *pairs > 0).unwrap_or(0) as u64;
        let example = counted.example.and_then(|[one, other]| Some([name(one)?, name(other)?]));
        Histogram { keys, pairs: counted.pairs, exact: counted.exact, most, example }
    };
    let mut found = Vec::new();
    for pool in pools {
        let (one, other) = (groups(before, pool), groups(after, pool));
        let count = |groups: &Option<(u64, Vec<overlap::Group>)>| {
            groups.as_ref().map(|(_, groups)| overlap::count(groups))
        };
        let counted = count(&one);
        // Where nothing changes but names, nothing is counted again.
        let next = if one == other { counted.clone() } else { count(&other) };
        let before =
            one.zip(counted).zip(old).map(|(((keys, _), counted), old)| histogram(old, keys, counted));
        let after = other.zip(next).map(|((keys, _), counted)| histogram(new, keys, counted));
        if before.is_some() || after.is_some() {
            found.push(Overlap { pool: pool.to_owned(), before, after });
        }
    }
    found
}
