//! Keys that are pinned to shards, in place of their pool's placement.

use crate::policy::diagnostic::{Place, Problem};
use crate::policy::document::KeyRest;
use crate::policy::model::Width;
use crate::policy::reader::At;

use super::shards::Places;

/// The shards that a key of `pool` names, as indices in the order of their names, and its width. `None` when something is
/// wrong with them, which is told.
pub(super) fn pinned(
    places: &Places<'_>,
    rest: &KeyRest<'_>,
    names: &At<Vec<At<&str>>>,
    pool: Option<usize>,
    fail: &mut impl FnMut(Place, &str, Problem),
) -> Option<(Vec<usize>, Width)> {
    let Some(pool) = pool.and_then(|pool| places.pools.get(pool)) else {
        if rest.pool.is_none() && rest.tier.is_none() {
            fail(
                names.at,
                "shards",
                "needs a pool that these are shards of: give the key a pool or a tier".into(),
            );
        }
        return None;
    };
    let mut shards: Vec<usize> = Vec::with_capacity(names.value.len());
    let mut sound = true;
    let mut wrong = |at: Place, problem: Problem| {
        sound = false;
        fail(at, "shards", problem);
    };
    for name in &names.value {
        match places.shard_names.by_name.get(name.value) {
            None => wrong(name.at, places.shard_names.unknown("shard", name.value)),
            Some(shard) if !pool.shards.contains(shard) => {
                let problem = format!(
                    "shard \"{}\" is not in pool \"{}\": name shards of that pool",
                    name.value, pool.name
                );
                wrong(name.at, problem.into());
            }
            Some(shard) if shards.contains(shard) => {
                wrong(name.at, format!("lists shard \"{}\" twice", name.value).into());
            }
            Some(shard) => shards.push(*shard),
        }
    }
    let size = u16::try_from(names.value.len()).unwrap_or(u16::MAX);
    if let Some(width) = rest.width.as_ref().filter(|width| width.value != Width::Shards(size)) {
        let problem = format!("the key is pinned to {size} shards, which is its width: leave this out");
        fail(width.at, "width", problem.into());
        return None;
    }
    let name = |at: &usize| places.shards.get(*at).map(|shard| shard.name.as_str());
    shards.sort_by(|a, b| name(a).cmp(&name(b)));
    sound.then_some((shards, Width::Shards(size)))
}
