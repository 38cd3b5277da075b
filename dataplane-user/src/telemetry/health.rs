//! What is exported of shards that are asked whether they live.

use std::fmt;

use super::families::{Families, In};
use crate::health::{Outcome, Report};

/// Everything, at 0 from the start, so that the first failure is seen.
pub(super) fn encode(families: &mut Families<'_>, report: &Report) -> fmt::Result {
    let shards = || report.shards.iter().map(|shard| (shard, shard.name.as_str()));
    families.counters(
        ("health_probes", In::Plain, "Questions to shards whether they live, by what came of them"),
        shards().flat_map(|(shard, name)| {
            let results = Outcome::NAMES.into_iter().zip(shard.probes);
            results.map(move |(result, count)| ([("shard", name), ("result", result)], count))
        }),
    )?;
    families.gauges(
        ("shard_health", In::Plain, "1 while a shard answers, 0 once it is taken for dead"),
        shards().map(|(shard, name)| ([("shard", name)], shard.condition.is_up().into())),
    )?;
    families.counters(
        (
            "health_transitions",
            In::Plain,
            "How often a shard came up, went down, or was kept out for coming and going",
        ),
        shards().flat_map(|(shard, name)| {
            shard.transitions.iter().map(move |(to, count)| ([("shard", name), ("to", *to)], *count))
        }),
    )?;
    families.gauges(
        (
            "pool_doubted",
            In::Plain,
            "1 while so much of a pool does not answer that the network is doubted, and all of its shards are used",
        ),
        report.pools.iter().map(|pool| ([("pool", pool.name.as_str())], pool.doubted.into())),
    )
}
