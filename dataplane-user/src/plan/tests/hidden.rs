//! Plans over policies that hide values: compared as they are, shown as they may be.

use super::*;

/// The small policy with sites in place of products, hidden, which are regions too.
fn sites() -> String {
    with(&[
        ("  prefixTables:\n", "  prefixTables:\n    sites: {203.0.113.1: zq-east, 203.0.113.2: zq-west}\n"),
        ("{name: product, from: ip.dscp}", "{name: product, from: ip.dst, table: sites, display: masked}"),
        ("shards: [a, b, c]}\n", "shards: [a, b, c], region: zq-east}\n"),
        ("shards: [a, b]}\n", "shards: [a, b], region: zq-west}\n  residency: {field: product}\n"),
        ("product: 34", "product: zq-east"),
        ("{name: globex, match: {tenant: globex}", "{name: globex, match: {tenant: globex}, region: zq-east"),
    ])
}

fn shown(old: &str, new: &str, reveal: bool) -> (Plan, String) {
    let plan = compare(Some(&bundle(old)), &bundle(new), &[], reveal, moment()).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    (plan, text)
}

#[test]
fn a_key_that_leaves_its_region_is_refused_without_saying_which() {
    let old = sites();
    let new = old.replace("region: zq-east, tier: gold}", "region: zq-west, pool: small}");
    assert_ne!(old, new);
    for (reveal, said, change) in [
        (false, "globex (**** ▸ ****)", ["****", "****"]),
        (true, "globex (zq-east ▸ zq-west)", ["zq-east", "zq-west"]),
    ] {
        let (plan, text) = shown(&old, &new, reveal);
        let [refusal] = &plan.refusals[..] else { panic!("{text}") };
        assert_eq!((refusal.name, refusal.of.items[0].as_str()), (Guard::Residency, said));
        let fields = &plan.keys.changed_list.items[0].fields;
        let region = fields.iter().find(|it| it.field == "region").unwrap();
        assert_eq!([region.before.as_deref(), region.after.as_deref()], change.map(Some));
        assert_eq!(text.contains("zq-"), reveal, "{text}");
    }
}

#[test]
fn hidden_values_are_compared_as_they_are() {
    let old = sites();
    let (plan, _) = shown(&old, &old, false);
    assert!(plan.is_empty());
    let new = old.replace("203.0.113.2: zq-west", "203.0.113.2: zq-east");
    let new = new.replace(", region: zq-west}", "}");
    let (plan, text) = shown(&old, &new, false);
    let label = &plan.changes.prefixes.changed.items[0];
    assert_eq!(
        (label.name.as_str(), label.fields[0].before.as_deref()),
        ("sites 203.0.113.2/32", Some("****"))
    );
    let pool = &plan.changes.pools.changed.items[0].fields[0];
    assert_eq!(
        (pool.field.as_str(), pool.before.as_deref(), pool.after.as_deref()),
        ("region", Some("****"), None)
    );
    assert!(!text.contains("zq-"), "{text}");

    // To show them is a change of its own, which no guard is concerned with.
    let (plan, _) = shown(&old, &old.replace("display: masked", "display: keyed-hash"), false);
    let [change] = &plan.changes.settings[..] else { panic!("{:?}", plan.changes) };
    assert_eq!(
        (change.field.as_str(), change.before.as_deref(), change.after.as_deref()),
        ("display of product", Some("masked"), Some("keyed-hash"))
    );
    assert!(plan.refusals.is_empty() && !plan.is_empty() && plan.changes.schema.is_empty());
}
