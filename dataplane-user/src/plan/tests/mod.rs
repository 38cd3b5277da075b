//! Tests of plans.

mod changes;
mod hidden;
mod overlap;
mod properties;
mod refusals;
mod saved;
mod scale;
mod versions;
mod world;

use super::offline::{Compiled, compare};
use super::types::*;
use super::*;
use crate::policy::Bundle;
use crate::state::{Ids, Timestamp};

/// A policy's text as a bundle.
fn bundle(text: &str) -> Bundle {
    Bundle { name: "p".to_owned(), policy: text.to_owned(), files: Vec::new() }
}

/// What one text changes of another.
fn between(old: &str, new: &str) -> Plan {
    compare(Some(&bundle(old)), &bundle(new), &[], false, moment()).unwrap()
}

/// A small policy; tests change a line of it.
const SMALL: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: edge}
spec:
  environment: prod
  interfaces: [{name: eth0}]
  scope:
    - {destinations: [203.0.113.0/24], services: [udp/443]}
  prefixTables:
    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex, 10.3.0.0/16: initech}
  schemas:
    - version: 1
      fields:
        - {name: tenant, from: ip.src, table: tenants}
        - {name: product, from: ip.dscp}
      levels: [[tenant, product], [tenant]]
  shards:
    - {name: a, target: pass}
    - {name: b, weight: 2, target: {cpu: 1}}
    - {name: c, target: {interface: {name: veth-c, mac: "02:00:00:00:00:0c"}}}
  pools:
    - {name: general, shards: [a, b, c]}
    - {name: small, shards: [a, b]}
  tiers:
    - {name: gold, pool: general, width: 2, owner: team, rank: 2}
    - {name: standard, pool: general, rank: 1}
  keys:
    - {name: acme, match: {tenant: acme}, tier: gold, costCentre: cc-1}
    - {name: acme-video, match: {tenant: acme, product: 34}, tier: standard, account: a-1}
    - {name: globex, match: {tenant: globex}, tier: gold}
    - {name: initech, match: {tenant: initech}, tier: standard, deny: true, reason: unpaid}
  classes: {missing: {pool: small}, unregistered: pass}
"#;

/// The small policy, with changes.
fn with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(SMALL.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

/// Traffic by the names of a side's keys.
fn traffic(side: &Compiled, bytes: &[(&str, u64)], classes: [u64; 3]) -> Traffic {
    let mut keys = vec![0; side.image.key_ids() as usize];
    for (name, bytes) in bytes {
        let key = side.image.names.keys.iter().find(|key| key.name == *name).unwrap();
        keys[key.id as usize] = *bytes;
    }
    let [missing, unregistered, malformed] = classes;
    let classes = [missing, unregistered, malformed, 0];
    let all = keys.iter().chain(&classes).sum();
    Traffic {
        keys,
        shards: Vec::new(),
        classes,
        live: Live { packets: all, bytes: all, milliseconds: 60_000 },
    }
}

/// When plans are made, whatever the machine's clock says.
fn moment() -> Timestamp {
    "2026-11-30".parse().unwrap()
}

/// Plans with traffic of the old policy's keys.
fn plan_with(old: &str, new: &str, bytes: &[(&str, u64)], classes: [u64; 3], allow: &[Guard]) -> Plan {
    let mut ids = Ids::default();
    let (old, new_bundle) = (Compiled::of(&bundle(old), &mut ids).unwrap(), bundle(new));
    let new = Compiled::of(&new_bundle, &mut ids).unwrap();
    let traffic = traffic(&old, bytes, classes);
    let base = Base { generation: 7, digest: "old".to_owned() };
    let context = Context {
        base: Some(base),
        expected: None,
        bundle: new_bundle.digest(),
        allow,
        traffic: Some(&traffic),
        now: moment(),
        reveal: false,
    };
    plan(Some(old.side()), new.side(), &context)
}
