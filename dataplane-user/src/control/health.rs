//! What the API says of whether shards live.

use serde::{Deserialize, Serialize};

use crate::health::{Condition, Report, ShardReport};
use crate::state::Timestamp;

/// How a shard is that is asked whether it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardHealth {
    /// `up`; `ramp`: it came back, and its share grows; `down`: nothing is sent to it; `held`: it comes and goes, and nothing is
    /// sent to it for a while; `doubted`: it does not answer, and is used, because so many others do not either.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// How it is asked, in words.
    pub check: String,
    /// Of one that is `ramp`: how much of its share it has, in percent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub percent: Option<u8>,
    /// Of one that is `held`: until when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    /// How many questions in a row have no right answer.
    pub failures: u32,
    /// Why the last that failed has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// How all shards are that are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthStatus {
    /// How many are asked.
    pub asked: usize,
    /// How many of them are up.
    pub up: usize,
    /// The others, by name.
    pub others: Vec<NamedHealth>,
    /// Pools of which so much does not answer that the network is doubted: all of their shards are used.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub doubted: Vec<String>,
}

/// A shard and how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedHealth {
    /// The shard.
    pub shard: String,
    /// How it is.
    #[serde(flatten)]
    pub health: ShardHealth,
}

impl ShardHealth {
    /// What is known of a shard.
    pub fn of(report: &ShardReport) -> Self {
        let percent = match report.condition {
            Condition::Ramp { share } => u8::try_from(u32::from(share) * 100 / 255).ok(),
            _ => None,
        };
        Self {
            state: report.condition.name().to_owned(),
            since: report.since,
            check: report.check.clone(),
            percent,
            until: report.until,
            failures: report.failures,
            why: report.why.map(|why| why.to_string()),
        }
    }

    /// As a table has it: `up`, `ramp 40 %`, `down since ...`.
    pub fn text(&self) -> String {
        let Self { state, since, percent, until, .. } = self;
        match (state.as_str(), percent, until) {
            ("up", ..) => state.clone(),
            (_, Some(percent), _) => format!("{state} {percent} %"),
            (_, _, Some(until)) => format!("{state} until {until}"),
            _ => format!("{state} since {since}"),
        }
    }
}

impl HealthStatus {
    /// What is known of all.
    pub fn of(report: &Report) -> Self {
        let others = report.shards.iter().filter(|shard| shard.condition != Condition::Up);
        let others = others.map(|it| NamedHealth { shard: it.name.clone(), health: ShardHealth::of(it) });
        let doubted = report.pools.iter().filter(|pool| pool.doubted).map(|pool| pool.name.clone());
        Self {
            asked: report.shards.len(),
            up: report.shards.iter().filter(|shard| shard.condition.is_up()).count(),
            others: others.collect(),
            doubted: doubted.collect(),
        }
    }
}
