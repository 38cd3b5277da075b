//! How long a thousand shards take to be placed: the tables alone, before anything is compiled or loaded.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use keysteer::placement::Placement;
use keysteer::policy::{self, Policy};

/// A change of a pool's shards.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    pub(crate) what: &'static str,
    /// Over how many shards its keys spread.
    pub(crate) width: usize,
    /// Milliseconds, of each round.
    pub(crate) took: Vec<f64>,
}

/// What it is to take at most, milliseconds.
pub(crate) const BUDGET: f64 = 20.0;

const SHARDS: usize = 1_000;
const ROUNDS: usize = 7;

/// A pool of these shards, in three weights, for a key of so many of them.
fn pool(shards: impl Iterator<Item = usize>, weights: usize, width: usize) -> Result<Policy, String> {
    let mut list = String::new();
    let mut names = Vec::new();
    for shard in shards {
        let weight = 1 << (shard % weights);
        // Writing to a string cannot fail.
        let _ = writeln!(list, "    - {{name: s{shard}, weight: {weight}, target: pass}}");
        names.push(format!("s{shard}"));
    }
    let text = format!(
        "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {{name: bench}}\nspec:\n  environment: bench\n  \
         interfaces: [{{name: eth0}}]\n  scope: [{{destinations: [203.0.113.10/32]}}]\n  schemas:\n    - version: 1\n      \
         fields: [{{name: address, from: ipv4.src}}]\n  shards:\n{list}  pools: [{{name: all, shards: [{}]}}]\n  \
         keys: [{{name: a, match: {{address: 1}}, pool: all, width: {width}}}]\n",
        names.join(", ")
    );
    policy::parse(&text, "bench", None).map_err(|error| error.to_string())
}

/// Measures the first tables, and what follows them: a shard goes, half of them go, weights change.
pub(crate) fn measure() -> Result<Vec<Placing>, String> {
    eprintln!("placing {SHARDS} shards ...");
    let mut found = Vec::new();
    for width in [1, 4] {
        let all = pool(0..SHARDS, 3, width)?;
        let first = Placement::next(None, &all);
        for (what, before, policy) in [
            ("the first tables", None, all),
            ("one goes", Some(&first), pool((0..SHARDS).filter(|shard| *shard != 500), 3, width)?),
            ("half go", Some(&first), pool(500..SHARDS, 3, width)?),
            ("other weights", Some(&first), pool(0..SHARDS, 4, width)?),
        ] {
            let round = |_| {
                let begun = Instant::now();
                std::hint::black_box(Placement::next(before, &policy));
                millis(begun.elapsed())
            };
            found.push(Placing { what, width, took: (0..ROUNDS).map(round).collect() });
        }
    }
    Ok(found)
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
