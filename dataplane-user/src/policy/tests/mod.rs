//! Tests of the loader: what is refused and how it is said, and what is understood.

mod broken;
mod bundle;
mod carriers;
mod files;
mod health;
mod hidden;
mod json_schema;
mod pinned;
mod placed;
mod rollout;
mod trust;
mod understood;
mod versions;

use super::*;

/// A small policy that is right; the tests change a line of it.
pub(super) const RIGHT: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: edge}
spec:
  environment: prod
  interfaces: [{name: eth0}]
  scope:
    - {destinations: [203.0.113.10/32], services: [tcp/443]}
  prefixTables:
    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex}
  schemas:
    - version: 1
      fields:
        - {name: tenant, from: ip.src, table: tenants}
        - {name: product, from: ip.dscp}
      levels: [[tenant, product], [tenant]]
  shards:
    - {name: a, target: pass}
    - {name: b, target: {cpu: 1}}
  pools:
    - {name: general, shards: [a, b]}
  tiers:
    - {name: gold, pool: general, width: 2}
  keys:
    - {name: acme, match: {tenant: acme}, tier: gold}
    - {name: acme-video, match: {tenant: acme, product: 34}, pool: general}
    - {name: globex, match: {tenant: globex}, deny: true}
"#;

/// What is said of a text.
pub(super) fn problems(text: &str) -> Vec<String> {
    match parse(text, "p", None) {
        Ok(_) => Vec::new(),
        Err(error) => error.diagnostics().iter().map(|problem| format!("{problem}")).collect(),
    }
}
