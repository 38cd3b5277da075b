//! Budgets, residency, ranks and VIPs: what is understood, and what is refused.

use super::*;

/// The small policy, with a change.
fn with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(RIGHT.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

/// The small policy with a region in the product, and pools of a region each.
fn regional(changes: &[(&str, &str)]) -> String {
    let base = [
        ("  keys:\n", "  residency: {field: product}\n  keys:\n"),
        (
            "{name: general, shards: [a, b]}",
            "{name: general, shards: [a, b]}\n    - {name: eu, shards: [a], region: 34}\n    - {name: us, shards: [b], region: 0x23}",
        ),
        ("product: 34}, pool: general", "product: 34}, pool: eu"),
    ];
    with(&base.iter().chain(changes).copied().collect::<Vec<_>>())
}

#[test]
fn a_policy_without_them_is_as_it_was() {
    let policy = parse(RIGHT, "p", None).unwrap();
    assert_eq!((policy.blast_radius, policy.residency), (BlastRadius::default(), None));
    assert!(policy.keys.iter().all(|key| !key.vip && key.region.is_none()));
    assert!(policy.tiers.iter().all(|tier| tier.rank == 0 && !tier.vip));
    assert!(policy.pools.iter().all(|pool| pool.region.is_none()));
}

#[test]
fn a_budget_is_read() {
    let text = with(&[("  keys:\n", "  blastRadius: {keys: 60%, traffic: 62.5%}\n  keys:\n")]);
    let policy = parse(&text, "p", None).unwrap();
    let BlastRadius { keys, traffic } = policy.blast_radius;
    assert_eq!([keys, traffic].map(|share| share.unwrap().to_string()), ["60%", "62.5%"]);
    assert_eq!(policy.warnings, []);
    let budget = |budget: &str| with(&[("  keys:\n", &format!("  blastRadius: {budget}\n  keys:\n"))]);
    for (wrong, said) in [
        ("{}", "p:24:16: spec.blastRadius: says nothing: give keys, traffic or both"),
        ("40%", "p:24:16: spec.blastRadius: expected a mapping, found the text \"40%\""),
        (
            "{keys: 40}",
            "p:24:23: spec.blastRadius.keys: expected text, found the number 40: write it as \"40\"",
        ),
        (
            "{keys: 140%}",
            "p:24:23: spec.blastRadius.keys: \"140%\" is not a share: expected one such as 40% or 12.5%, with at most four decimals",
        ),
        (
            "{traffic: 0.0%}",
            "p:24:26: spec.blastRadius.traffic: 0% leaves no shard that anything may hang on: expected more",
        ),
    ] {
        assert_eq!(problems(&budget(wrong)), [said], "{wrong}");
    }
    let warnings = parse(&budget("{keys: 49.9%}"), "p", None).unwrap().warnings;
    let said = "p:24:23: spec.blastRadius.keys: 49.9% is less than each of 2 shards has when all have the same: at least one will have more";
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [said]);
}

#[test]
fn a_key_stays_in_the_region_that_it_carries() {
    let policy = parse(&regional(&[]), "p", None).unwrap();
    assert_eq!(policy.residency.as_deref(), Some("product"));
    let regions: Vec<Option<&str>> = policy.pools.iter().map(|pool| pool.region.as_deref()).collect();
    assert_eq!(regions, [None, Some("34"), Some("35")]);
    for (from, to, said) in [
        (
            "34}, pool: eu",
            "35}, pool: eu",
            "p:29:68: spec.keys[1].pool: the key's region is \"35\", that of pool \"eu\" is \"34\": it may not leave its region",
        ),
        (
            "34}, pool: eu",
            "34}, tier: gold",
            "p:29:68: spec.keys[1].tier: the key's region is \"34\", and pool \"general\" has none: give the pool a region, or the key another pool",
        ),
        // Also while it is denied: the operator's word may allow it.
        (
            "34}, pool: eu",
            "35}, pool: eu, deny: true",
            "p:29:68: spec.keys[1].pool: the key's region is \"35\", that of pool \"eu\" is \"34\": it may not leave its region",
        ),
        (
            "pool: eu}",
            "pool: eu, region: 35}",
            "p:29:80: spec.keys[1].region: the key says that its region is \"34\": leave this out",
        ),
        (
            "pool: eu}",
            "pool: eu, region: east}",
            "p:29:80: spec.keys[1].region: \"east\" is not a number: expected decimal such as 34, or 0x22",
        ),
        (
            "field: product",
            "field: prodct",
            "p:26:22: spec.residency.field: unknown field \"prodct\"; did you mean \"product\"?",
        ),
        (
            "region: 0x23",
            "region: 64",
            "p:23:39: spec.pools[2].region: 64 does not fit the 6 bits of the field: at most 63 does",
        ),
    ] {
        assert_eq!(problems(&regional(&[(from, to)])), [said], "{to}");
    }
}

#[test]
fn a_key_that_carries_no_region_may_declare_one() {
    // A level without the field: any pool will do, unless the key says more.
    assert_eq!(problems(&regional(&[("acme}, tier: gold}", "acme}, pool: us}")])), [""; 0]);
    assert_eq!(problems(&regional(&[("acme}, tier: gold}", "acme}, pool: us, region: 35}")])), [""; 0]);
    assert_eq!(
        problems(&regional(&[("acme}, tier: gold}", "acme}, pool: us, region: 0x22}")])),
        [
            "p:28:49: spec.keys[0].pool: the key's region is \"34\", that of pool \"us\" is \"35\": it may not leave its region"
        ]
    );
    // Without a field for it, a region is a word.
    let words = |key: &str| {
        with(&[
            ("shards: [a, b]}", "shards: [a, b], region: eu-west}"),
            ("acme}, tier: gold}", &format!("acme}}, tier: gold, region: {key}}}")),
        ])
    };
    assert_eq!(problems(&words("eu-west")), [""; 0]);
    assert_eq!(
        problems(&words("us")),
        [
            "p:25:49: spec.keys[0].tier: the key's region is \"us\", that of pool \"general\" is \"eu-west\": it may not leave its region"
        ]
    );
    let policy = parse(&words("eu-west"), "p", None).unwrap();
    assert_eq!(policy.keys[0].region.as_deref(), Some("eu-west"));
}

#[test]
fn a_region_can_be_a_label() {
    let labels = |pool: &str| {
        with(&[
            ("  keys:\n", "  residency: {field: tenant}\n  keys:\n"),
            ("shards: [a, b]}", &format!("shards: [a, b], region: {pool}}}")),
        ])
    };
    assert_eq!(problems(&labels("acme")), [""; 0]);
    assert_eq!(
        problems(&labels("amce"))[0],
        "p:21:47: spec.pools[0].region: unknown label of prefix table tenants: \"amce\"; did you mean \"acme\"?"
    );
}

#[test]
fn residency_without_regions_is_warned_of() {
    let text = with(&[("  keys:\n", "  residency: {field: product}\n  keys:\n"), (", product: 34", "")])
        .replace("    - {name: acme-video, match: {tenant: acme}, pool: general}\n", "");
    let warnings = parse(&text, "p", None).unwrap().warnings;
    let said = "p:24:22: spec.residency: no pool has a region, so no key that has one can go anywhere";
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [said]);
}

#[test]
fn a_tier_makes_vips_unless_the_key_says_otherwise() {
    let text = with(&[
        ("width: 2}", "width: 2, rank: 7, vip: true}\n    - {name: low, pool: general}"),
        ("acme}, tier: gold}", "acme}, tier: gold, vip: false}"),
        ("34}, pool: general", "34}, tier: gold"),
        ("deny: true", "tier: low, vip: true"),
    ]);
    let policy = parse(&text, "p", None).unwrap();
    assert_eq!(
        policy.tiers.iter().map(|tier| (tier.rank, tier.vip)).collect::<Vec<_>>(),
        [(7, true), (0, false)]
    );
    assert_eq!(policy.keys.iter().map(|key| key.vip).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(policy.warnings, []);
    let flat = text.replace("rank: 7", "rank: 0");
    let said = "p:23:14: spec.tiers: \"acme-video\" is a VIP, and no tier has a lower rank than another: give tiers a rank";
    let warnings = parse(&flat, "p", None).unwrap().warnings;
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [said]);
    assert_eq!(
        problems(&text.replace("rank: 7", "rank: -1")),
        ["p:23:51: spec.tiers[0].rank: expected a whole number from 0 to 65535, found the number -1"]
    );
}

#[test]
fn the_file_of_keys_has_them_too() {
    let at = RIGHT.find("  keys:").unwrap();
    let text = format!("{}  keysFrom: keys.csv\n", &RIGHT[..at])
        .replace("shards: [a, b]}", "shards: [a, b], region: eu}")
        .replace("width: 2}", "width: 2, rank: 1}");
    let read = |rows: &str| {
        let csv = format!("name,match.tenant,tier,region,vip,deny\n{rows}");
        parse_with(&text, "p", &|_| Ok(csv.clone().into()))
    };
    let policy = read("acme,acme,gold,eu,true,\nglobex,globex,gold,,,true\n").unwrap();
    assert_eq!(policy.keys.iter().map(|key| key.vip).collect::<Vec<_>>(), [true, false]);
    assert_eq!(policy.keys[0].region.as_deref(), Some("eu"));
    let said = read("acme,acme,gold,us,yes,\n").unwrap_err().to_string();
    assert_eq!(said, "keys.csv:2:19: vip: expected true or false, found \"yes\"");
    let said = read("acme,acme,gold,us,,\n").unwrap_err().to_string();
    assert_eq!(
        said,
        "keys.csv:2:11: tier: the key's region is \"us\", that of pool \"general\" is \"eu\": it may not leave its region"
    );
}
