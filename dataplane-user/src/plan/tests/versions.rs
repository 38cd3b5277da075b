//! Versions of the schema that come and go.

use super::*;

const TWO: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: edge}
spec:
  environment: prod
  interfaces: [{name: eth0}]
  scope: [{destinations: [203.0.113.10/32]}]
  schemas:
    - {version: 1, since: 2026-01-01, dualAccept: 30d, fields: [{name: tenant, from: vlan.id}]}
    - {version: 2, since: 2026-11-15, fields: [{name: tenant, from: ip.dscp}]}
  shards: [{name: a, target: pass}, {name: b, target: pass}]
  pools: [{name: general, shards: [a, b]}]
  keys:
    - {name: one, match: {tenant: 1}, pool: general}
    - {name: two, match: {tenant: 2}, pool: general}
    - {name: three, match: {tenant: 3}, aliasOf: one}
"#;

fn without(version: u8) -> String {
    let gone = format!("{{version: {version},");
    TWO.lines().filter(|line| !line.contains(&gone)).map(|line| format!("{line}\n")).collect()
}

fn refusals(plan: &Plan) -> Vec<Guard> {
    plan.refused().map(|refusal| refusal.name).collect()
}

fn lines(plan: &Plan) -> Vec<String> {
    let text = |value: &Option<String>| value.as_deref().unwrap_or("-").to_owned();
    plan.changes
        .schema
        .iter()
        .map(|it| format!("{}: {} > {}", it.field, text(&it.before), text(&it.after)))
        .collect()
}

#[test]
fn a_version_that_is_added_changes_no_key() {
    let plan = between(&without(2), TWO);
    assert_eq!(refusals(&plan), []);
    assert_eq!((plan.keys.changed.keys, plan.keys.added.keys, plan.moves.keys.keys), (0, 0, 0));
    assert!(!plan.is_empty());
    assert!(lines(&plan).contains(&"version 2 field tenant: - > ip.dscp".to_owned()), "{:?}", lines(&plan));
}

/// Plans are made on 30 November.
#[test]
fn a_version_that_goes_too_early_is_refused_and_can_be_allowed() {
    let plan = between(TWO, &without(1));
    assert_eq!(refusals(&plan), [Guard::DualAccept]);
    let message = &plan.refusals[0].message;
    assert!(
        message.contains("together with version 2 since 2026-11-15") && message.contains("30d"),
        "{message}"
    );
    let allowed = plan_with(TWO, &without(1), &[], [0; 3], &[Guard::DualAccept]);
    assert_eq!(refusals(&allowed), []);
    // Long enough.
    let earlier = |text: &str| text.replace("2026-11-15", "2026-10-15");
    assert_eq!(refusals(&between(&earlier(TWO), &earlier(&without(1)))), []);
}

#[test]
fn a_version_that_goes_unannounced_is_refused_as_any_change_of_the_schema() {
    let plain = |text: String| text.replace("dualAccept: 30d, ", "");
    let plan = between(&plain(TWO.to_owned()), &plain(without(1)));
    assert_eq!(refusals(&plan), [Guard::Schema]);
    assert_eq!(plan.refusals[0].keys.map(|totals| totals.keys), Some(3));
    let announced = |day: &str| TWO.replace("dualAccept: 30d", &format!("deprecated: {day}"));
    assert_eq!(refusals(&between(&announced("2026-11-30"), &plain(without(1)))), []);
    assert_eq!(refusals(&between(&announced("2026-12-01"), &plain(without(1)))), [Guard::Schema]);
}

#[test]
fn what_changes_about_a_key_says_its_versions_and_whose_alias_it_is() {
    let new = TWO
        .replace("{tenant: 2}, pool", "{tenant: 2}, schema: 1, pool")
        .replace("aliasOf: one", "aliasOf: two");
    let plan = between(TWO, &new);
    assert_eq!(plan.keys.changed.keys, 2);
    let found: Vec<String> = plan
        .keys
        .changed_list
        .items
        .iter()
        .flat_map(|key| {
            key.fields.iter().map(|it| format!("{} {}: {:?} > {:?}", key.name, it.field, it.before, it.after))
        })
        .collect();
    assert_eq!(
        found,
        ["two schema: Some(\"1 2\") > Some(\"1\")", "three aliasOf: Some(\"one\") > Some(\"two\")",]
    );
}
