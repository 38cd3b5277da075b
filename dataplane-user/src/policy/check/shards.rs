//! Shards, pools, tiers and classes: what a key can be placed on.

use std::sync::Arc;

use crate::policy::diagnostic::Place;
use crate::policy::document::{CLASSES, Document, RawClass, RawPool, RawTier};
use crate::policy::lint;
use crate::policy::model::{ClassAction, Classes, Key, Pool, Shard, Tier, Width};
use crate::policy::reader::At;

use super::{Checker, Names};

/// Where keys can go. An entry whose references are wrong is there all the same, so that indices hold;
/// the error is reported.
pub(super) struct Places<'d> {
    pub(super) shards: Vec<Shard>,
    pub(super) pools: Vec<Pool>,
    pub(super) tiers: Vec<Tier>,
    pub(super) classes: Classes,
    pub(super) shard_names: Names<'d>,
    pub(super) pool_names: Names<'d>,
    pub(super) tier_names: Names<'d>,
}

/// Dense shard indices are 16 bits wide, and the last one means "none".
const MAX_SHARDS: usize = 65_535;

pub(super) fn check<'d>(checker: &mut Checker<'_>, document: &'d Document<'_>) -> Places<'d> {
    let shard_names = checker
        .unique("shards", document.shards.iter().map(|shard| (shard.name.value.as_str(), shard.name.at)));
    let pool_names =
        checker.unique("pools", document.pools.iter().map(|pool| (pool.name.value.as_str(), pool.name.at)));
    let tier_names =
        checker.unique("tiers", document.tiers.iter().map(|tier| (tier.name.value.as_str(), tier.name.at)));
    if let Some(shard) = document.shards.get(MAX_SHARDS) {
        checker.error(shard.name.at, "spec.shards", format!("at most {MAX_SHARDS} shards are possible"));
    }

    let shards = document
        .shards
        .iter()
        .map(|raw| Shard {
            name: raw.name.value.clone(),
            weight: raw.weight,
            target: raw.target.value.clone(),
            zone: raw.zone.as_ref().map(|zone| zone.value.clone()),
            at: raw.target.at,
        })
        .collect();
    let mut pools = Vec::with_capacity(document.pools.len());
    for (index, raw) in document.pools.iter().enumerate() {
        let mut members = Vec::with_capacity(raw.shards.len());
        let mut seen = std::collections::HashSet::new();
        for (nth, name) in raw.shards.iter().enumerate() {
            let path = format!("spec.pools[{index}].shards[{nth}]");
            let Some(shard) = checker.resolve(&shard_names, "shard", name, &path) else {
                // Counted all the same, so that widths are not found too large on top.
                members.push(0);
                continue;
            };
            if seen.insert(shard) {
                members.push(shard);
            } else {
                checker.error(name.at, path, format!("the pool lists shard \"{}\" twice", name.value));
            }
        }
        zones(checker, document, raw, index, &members);
        let region = raw.region.as_ref().map(|region| region.value.into());
        pools.push(Pool { name: raw.name.value.clone(), shards: members, region, udp: raw.udp });
    }
    let tiers = document
        .tiers
        .iter()
        .enumerate()
        .map(|(index, raw)| tier(checker, raw, index, &pool_names, &pools))
        .collect();
    let classes = classes(checker, document, &pool_names);
    Places { shards, pools, tiers, classes, shard_names, pool_names, tier_names }
}

/// All shards of a pool are in zones, or none is.
fn zones(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    raw: &RawPool<'_>,
    index: usize,
    members: &[usize],
) {
    let of = |zoned: bool| {
        let mut shards = members.iter().filter_map(|at| document.shards.get(*at));
        shards.find(|shard| shard.zone.is_some() == zoned)
    };
    if let (Some(with), Some(without)) = (of(true), of(false)) {
        let problem = format!(
            "shard \"{}\" of the pool has a zone and shard \"{}\" has none: give all shards of a pool a zone, or none",
            with.name.value, without.name.value
        );
        checker.error(raw.name.at, format!("spec.pools[{index}].shards"), problem);
    }
}

fn tier(
    checker: &mut Checker<'_>,
    raw: &RawTier<'_>,
    index: usize,
    pool_names: &Names<'_>,
    pools: &[Pool],
) -> Tier {
    let shared = |text: &Option<At<&str>>| text.as_ref().map(|text| Arc::from(text.value));
    let pool = checker.resolve(pool_names, "pool", &raw.pool, format_args!("spec.tiers[{index}].pool"));
    let width = raw.width.as_ref().map_or(Width::Shards(1), |width| width.value);
    if let (Some(pool), Some(at)) = (pool.and_then(|pool| pools.get(pool)), raw.width.as_ref())
        && let Some(problem) = too_wide(width, pool)
    {
        checker.error(at.at, format_args!("spec.tiers[{index}].width"), problem);
    }
    for (name, text) in [("owner", &raw.owner), ("costCentre", &raw.cost_centre), ("account", &raw.account)] {
        if let Some(text) = text
            && let Some(problem) = lint::personal(text.value)
        {
            checker.finding(checker.file, text.at, format!("spec.tiers[{index}].{name}"), problem);
        }
    }
    Tier {
        name: raw.name.value.clone(),
        pool: pool.unwrap_or(0),
        width,
        owner: shared(&raw.owner),
        cost_centre: shared(&raw.cost_centre),
        account: shared(&raw.account),
        rank: raw.rank,
        vip: raw.vip,
    }
}

/// What is wrong with spreading over `width` shards of `pool`, if anything.
pub(super) fn too_wide(width: Width, pool: &Pool) -> Option<String> {
    let size = pool.shards.len();
    match width {
        // A pool without valid shards has been reported.
        Width::Shards(width) if usize::from(width) > size && size > 0 => Some(format!(
            "a width of {width} is more than the {size} shard{} of pool \"{}\"",
            if size == 1 { "" } else { "s" },
            pool.name
        )),
        _ => None,
    }
}

fn classes(checker: &mut Checker<'_>, document: &Document<'_>, pool_names: &Names<'_>) -> Classes {
    let mut action = |raw: Option<&RawClass<'_>>, path: &str, default| match raw {
        None => default,
        Some(RawClass::Pass) => ClassAction::Pass,
        Some(RawClass::Drop) => ClassAction::Drop,
        Some(RawClass::Pool(pool)) => {
            let found = checker.resolve(pool_names, "pool", pool, format_args!("spec.{path}.pool"));
            ClassAction::Pool(found.unwrap_or(0))
        }
    };
    let default = Classes::default();
    let [missing, unregistered, malformed, unauthenticated] = &document.classes;
    let names = CLASSES.map(|name| format!("classes.{name}"));
    let [missing_name, unregistered_name, malformed_name, unauthenticated_name] = names;
    let missing = action(missing.as_ref(), &missing_name, default.missing);
    let fragments = document.fragments.as_ref().map(|fragments| &fragments.value);
    let path = match fragments {
        Some(fragments) if fragments.table.is_some() => "fragments.otherwise",
        _ => "fragments",
    };
    Classes {
        missing,
        unregistered: action(unregistered.as_ref(), &unregistered_name, default.unregistered),
        malformed: action(malformed.as_ref(), &malformed_name, default.malformed),
        unauthenticated: action(unauthenticated.as_ref(), &unauthenticated_name, default.unauthenticated),
        fragments: action(fragments.and_then(|fragments| fragments.otherwise.as_ref()), path, missing),
    }
}

/// Warns of what is declared and never used.
pub(super) fn unused(checker: &mut Checker<'_>, document: &Document<'_>, places: &Places<'_>, keys: &[Key]) {
    if !checker.errors.is_empty() {
        return;
    }
    let mark = |used: &mut Vec<bool>, index: usize| {
        if let Some(used) = used.get_mut(index) {
            *used = true;
        }
    };
    let mut shards = vec![false; places.shards.len()];
    let mut pools = vec![false; places.pools.len()];
    let mut tiers = vec![false; places.tiers.len()];
    places.pools.iter().flat_map(|pool| &pool.shards).for_each(|shard| mark(&mut shards, *shard));
    places.tiers.iter().for_each(|tier| mark(&mut pools, tier.pool));
    for key in keys {
        key.pool.iter().for_each(|pool| mark(&mut pools, *pool));
        key.tier.iter().for_each(|tier| mark(&mut tiers, *tier));
    }
    for (_, action) in places.classes.all() {
        if let ClassAction::Pool(pool) = action {
            mark(&mut pools, pool);
        }
    }
    let mut warn = |list: &str, used: &[bool], at: &dyn Fn(usize) -> Option<Place>, problem: &str| {
        for (index, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
            checker.warn(at(index).unwrap_or_default(), format_args!("spec.{list}[{index}]"), problem);
        }
    };
    let at = |index: usize| document.shards.get(index).map(|shard| shard.name.at);
    warn("shards", &shards, &at, "no pool has the shard, so it gets nothing");
    let at = |index: usize| document.pools.get(index).map(|pool| pool.name.at);
    warn("pools", &pools, &at, "no key, tier or class uses the pool");
    let at = |index: usize| document.tiers.get(index).map(|tier| tier.name.at);
    warn("tiers", &tiers, &at, "no key uses the tier");
}
