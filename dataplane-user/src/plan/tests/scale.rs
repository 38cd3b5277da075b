//! Very many keys.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::*;
use crate::policy::File;

/// A policy of so many keys over 100 shards, those of every `nth` in another tier.
fn policy(keys: usize, shards: usize, nth: usize) -> Bundle {
    let mut text = "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {name: p}\nspec:\n  \
        environment: prod\n  interfaces: [{name: eth0}]\n  scope: [{services: [any]}]\n  schemas:\n    \
        - {version: 1, fields: [{name: tenant, from: ipv4.src}]}\n  shards:\n"
        .to_owned();
    let names: Vec<String> = (0..shards).map(|n| format!("s{n}")).collect();
    names.iter().for_each(|name| _ = writeln!(text, "    - {{name: {name}, target: pass}}"));
    let _ = writeln!(
        text,
        "  pools: [{{name: pool, shards: [{}]}}]\n  tiers:\n    - {{name: one, pool: pool}}\n    - {{name: four, pool: pool, width: 4}}\n  keysFrom: keys.csv",
        names.join(", ")
    );
    let mut csv = "name,match.tenant,tier,owner,costCentre\n".to_owned();
    for n in 0..keys {
        let tier = if n % nth == 0 { "four" } else { "one" };
        let _ = writeln!(csv, "customer-{n},{n},{tier},team-{},cc-{}", n % 50, n % 7);
    }
    Bundle {
        name: "p".to_owned(),
        policy: text,
        files: vec![File { name: "keys.csv".to_owned(), text: csv }],
    }
}

/// `KEYSTEER_PLAN_KEYS` asks for another number; `--nocapture` shows the times.
#[test]
fn many_keys_are_planned_quickly() {
    let keys = std::env::var("KEYSTEER_PLAN_KEYS").ok().and_then(|keys| keys.parse().ok()).unwrap_or(50_000);
    let mut ids = Ids::default();
    let mut compiled = |shards, nth| Compiled::of(&policy(keys, shards, nth), &mut ids).unwrap();
    let (old, more, wider) = (compiled(100, 2), compiled(101, 2), compiled(100, 3));
    let traffic = Traffic {
        keys: (0..=keys as u64).map(|id| id * id % 1_009).collect(),
        live: Live { packets: 1, bytes: 500 * keys as u64, milliseconds: 1_000 },
        ..Traffic::default()
    };
    let context = Context { traffic: Some(&traffic), ..Context::default() };
    for (what, new) in [("nothing", &old), ("a shard more", &more), ("other tiers", &wider)] {
        let begun = Instant::now();
        let plan = plan(Some(old.side()), new.side(), &context);
        let took = begun.elapsed();
        let digest = Instant::now();
        plan.digest();
        println!(
            "{keys} keys, {what}: {took:?}, digest {:?}, moved {}",
            digest.elapsed(),
            plan.moves.keys.keys
        );
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(plan.is_empty(), what == "nothing");
        let listed = plan.moves.list.items.len();
        assert_eq!(listed as u64, plan.moves.keys.keys.min(LISTED as u64));
        let traffic = plan.moves.list.items.iter().map(|key| key.traffic);
        assert!(traffic.is_sorted_by(|one, other| one >= other));
        // One of 101 shards comes: keys of one shard that move, all move to it.
        if what == "a shard more" {
            let share = plan.moves.keys.keys as f64 / keys as f64;
            assert!((0.005..0.08).contains(&share), "{share}");
        }
    }
}
