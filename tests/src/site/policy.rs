//! Policies for this world, as text: what is common to all, and what a test says of shards and keys.

use super::TENANTS;

/// Three shards behind veth pairs; `acme` (tenant 1) on two of them, `globex` (tenant 2) on one,
/// `initech` (tenant 3) denied; other tenants are unregistered.
pub const THREE_SHARDS: &str = r#"
  shards:
    - {name: a, target: {interface: {name: to-a, mac: "02:00:00:00:00:0a"}}}
    - {name: b, target: {interface: {name: to-b, mac: "02:00:00:00:00:0b"}}}
    - {name: c, target: {interface: {name: to-c, mac: "02:00:00:00:00:0c"}}}
  pools: [{name: all, shards: [a, b, c]}]
  keys:
    - {name: acme, match: {tenant: t1}, pool: all, width: 2, owner: team-acme}
    - {name: globex, match: {tenant: t2}, pool: all, owner: team-globex}
    - {name: initech, match: {tenant: t3}, deny: true, reason: unpaid}
  classes: {missing: {pool: all}, unregistered: drop}
"#;

/// A policy: `spec` begins with `head` (such as `mode: observe`, or nothing) and the `interfaces`, and
/// ends with `tail`.
pub fn policy(head: &str, interfaces: &str, tail: &str) -> String {
    let tenants: Vec<_> = (1..=TENANTS)
        .map(|tenant| format!(r#"10.{tenant}.0.0/16: t{tenant}, "2001:db8:{tenant}::/48": t{tenant}"#))
        .collect();
    format!(
        r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {{name: test}}
spec:
  environment: test
  {head}
  interfaces: [{interfaces}]
  scope:
    - {{destinations: [203.0.113.10/32, "2001:db8:10::10/128"], services: [tcp/7000, udp/7000]}}
  prefixTables:
    tenants: {{{}}}
  schemas:
    - version: 1
      fields: [{{name: tenant, from: ip.src, table: tenants}}]
{tail}"#,
        tenants.join(", ")
    )
}

/// The usual one: [`THREE_SHARDS`] on the node's interface towards the client.
pub fn usual() -> String {
    policy("", "{name: up0}", THREE_SHARDS)
}
