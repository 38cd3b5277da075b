//! Several versions of the schema, names of values, and aliases: what is understood, and how it is refused.

use super::super::versions::{overdue, too_early};
use super::*;
use crate::state::Timestamp;

/// Tenants by VLAN in version 1, by address in version 2.
const TWO: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: edge}
spec:
  environment: prod
  interfaces: [{name: eth0}]
  scope: [{destinations: [203.0.113.10/32], services: [tcp/443]}]
  prefixTables:
    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex}
  schemas:
    - version: 1
      since: 2026-01-01
      dualAccept: 30d
      fields: [{name: tenant, from: vlan.id, values: {acme: [7, 9], hooli: 8}}]
    - version: 2
      since: 2026-11-01
      fields: [{name: tenant, from: ip.src, table: tenants}, {name: product, from: ip.dscp, mask: 0x38}]
      levels: [[tenant, product], [tenant]]
  shards: [{name: a, target: pass}, {name: b, target: pass}]
  pools: [{name: general, shards: [a, b]}]
  keys:
    - {name: acme, match: {tenant: acme}, pool: general, owner: team-acme}
    - {name: acme-voice, match: {tenant: acme, product: 40}, pool: general}
    - {name: hooli, match: {tenant: hooli}, pool: general, width: 2}
    - {name: old-acme, match: {tenant: 12}, aliasOf: acme}
"#;

fn spellings(key: &Key) -> Vec<(u8, u128)> {
    let first = Spelling { level: key.level, key: key.key };
    std::iter::once(first).chain(key.also.iter().copied()).map(|it| (it.level, it.key)).collect()
}

#[test]
fn a_key_is_of_every_version_that_it_fits() {
    let policy = parse(TWO, "p", None).unwrap();
    let found: Vec<(&str, Vec<(u8, u128)>)> =
        policy.keys.iter().map(|key| (key.name.as_str(), spellings(key))).collect();
    // Level 0 is of version 1, the other two of version 2; there acme is label 1 above 6 bits of DSCP.
    assert_eq!(
        found,
        [
            ("acme", vec![(0, 7), (0, 9), (2, 1 << 6)]),
            ("acme-voice", vec![(1, 1 << 6 | 40)]),
            ("hooli", vec![(0, 8)]),
            ("old-acme", vec![(0, 12)]),
        ]
    );
    let alias = &policy.keys[3];
    assert_eq!((alias.alias_of, alias.pool, alias.owner.as_deref()), (Some(0), Some(0), Some("team-acme")));
    let level = policy.level(2_u8).unwrap();
    assert_eq!((level.at, level.schema.version, level.members), (1, 2, [0].as_slice()));
    assert!(policy.level(3_u8).is_none());
    // Of one version alone.
    let only =
        TWO.replace("{name: acme, match: {tenant: acme},", "{name: acme, match: {tenant: acme}, schema: 2,");
    assert_eq!(spellings(&parse(&only, "p", None).unwrap().keys[0]), [(2, 1 << 6)]);
}

#[test]
fn what_does_not_fit_is_said() {
    let fifth = (3..6).map(|version| {
        format!("    - {{version: {version}, fields: [{{name: x, from: vlan.pcp}}], since: 2026-01-01}}\n")
    });
    let fifth = fifth.collect::<String>() + "  shards: [{name: a,";
    let many = format!(
        "values: {{acme: [{}]}}",
        (100..165).map(|it: u32| it.to_string()).collect::<Vec<_>>().join(", ")
    );
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "version: 2",
            "version: 1",
            &[
                "p:15:16: spec.schemas[1].version: version 1 is declared in line 11 already: each schema is another version",
            ],
        ),
        (
            "{tenant: hooli}",
            "{tenant: hooly}",
            &[
                "p:24:37: spec.keys[2].match.tenant: by version 1: unknown value of field tenant: \"hooly\"; did you mean \"hooli\"?",
                "p:24:37: spec.keys[2].match.tenant: by version 2: unknown label of prefix table tenants: \"hooly\": expected \"acme\" or \"globex\"",
            ],
        ),
        (
            "{tenant: acme, product: 40}",
            "{product: 40}",
            &[
                "p:23:33: spec.keys[1].match: can never be reached: [product] is no level of any schema; version 1 has the fields [tenant] and the levels [tenant]; version 2 has the fields [tenant, product] and the levels [tenant, product] and [tenant]",
            ],
        ),
        (
            "product: 40}",
            "prodct: 40}",
            &["p:23:48: spec.keys[1].match.prodct: unknown field \"prodct\"; did you mean \"product\"?"],
        ),
        (
            "width: 2}",
            "width: 2, schema: 3}",
            &["p:24:78: spec.keys[2].schema: there is no version 3 of the schema: there is 1, 2"],
        ),
        (
            "width: 2}",
            "width: 2, schema: 2}",
            &[
                "p:24:37: spec.keys[2].match.tenant: unknown label of prefix table tenants: \"hooli\": expected \"acme\" or \"globex\"",
            ],
        ),
        (
            "product: 40}",
            "product: 41}",
            &[
                "p:23:57: spec.keys[1].match.product: no packet has 41 there: of what is read the mask 0x38 leaves 0x28",
            ],
        ),
        (
            "mask: 0x38",
            "mask: 0x40",
            &[
                "p:17:99: spec.schemas[1].fields[1].mask: 0x40 has bits beyond the 6 of the field: at most 0x3f is possible",
            ],
        ),
        (
            "mask: 0x38",
            "mask: 0",
            &["p:17:99: spec.schemas[1].fields[1].mask: leaves nothing of the field: give it a bit at least"],
        ),
        (
            "table: tenants}",
            "table: tenants, mask: 1}",
            &[
                "p:17:67: spec.schemas[1].fields[0].mask: goes with a number alone: this field is the label that its prefix table has",
            ],
        ),
        (
            "hooli: 8",
            "hooli: 7",
            &["p:14:76: spec.schemas[0].fields[0].values.hooli: 7 is called \"acme\" already"],
        ),
        (
            "hooli: 8",
            "hooli: 4096",
            &[
                "p:14:76: spec.schemas[0].fields[0].values.hooli: 4096 does not fit the 12 bits of the field: at most 4095 does",
            ],
        ),
        (
            "hooli: 8",
            "8: 8",
            &[
                "p:14:69: spec.schemas[0].fields[0].values.8: begins with a digit: a name must not be taken for a number",
            ],
        ),
        (
            "values: {acme: [7, 9], hooli: 8}",
            &many,
            &[
                "p:14:55: spec.schemas[0].fields[0].values: 65 values have names: at most 64 can, and a prefix table has no such bound",
            ],
        ),
        (
            "{tenant: 12}",
            "{tenant: 8}",
            &[
                "p:25:40: spec.keys[3].match.tenant: by version 1: 8 has a name; did you mean \"hooli\"?",
                "p:25:40: spec.keys[3].match.tenant: by version 2: unknown label of prefix table tenants: \"8\": expected \"acme\" or \"globex\"",
            ],
        ),
        (
            "aliasOf: acme}",
            "aliasOf: acmee}",
            &["p:25:54: spec.keys[3].aliasOf: unknown key \"acmee\"; did you mean \"acme\"?"],
        ),
        (
            "aliasOf: acme}",
            "aliasOf: old-acme}",
            &["p:25:54: spec.keys[3].aliasOf: is an alias of itself: name another key"],
        ),
        (
            "pool: general, width: 2}",
            "aliasOf: old-acme}",
            &[
                "p:24:54: spec.keys[2].aliasOf: \"old-acme\" is an alias itself, of \"acme\": name a key that is none",
            ],
        ),
        (
            "pool: general, owner: team-acme}",
            "aliasOf: old-acme}",
            &[
                "p:22:52: spec.keys[0].aliasOf: \"old-acme\" and \"acme\" are aliases of each other: one must be a key of its own",
                "p:25:54: spec.keys[3].aliasOf: \"acme\" and \"old-acme\" are aliases of each other: one must be a key of its own",
            ],
        ),
        (
            "aliasOf: acme}",
            "aliasOf: acme, pool: general}",
            &["p:25:66: spec.keys[3].pool: an alias has it from \"acme\": leave it out"],
        ),
        (
            "since: 2026-11-01",
            "since: 2026-11-31",
            &["p:16:14: spec.schemas[1].since: \"2026-11-31\" is no date: expected one such as 2026-12-31"],
        ),
        (
            "      since: 2026-11-01\n",
            "",
            &[
                "p:15:16: spec.schemas[1].since: is required but missing: dualAccept of version 1 is counted from the day since when two versions are accepted; write since: 2026-01-31",
            ],
        ),
        (
            "dualAccept: 30d",
            "deprecated: 2025-12-31",
            &[
                "p:13:19: spec.schemas[0].deprecated: is not after 2026-01-01, since when the version is accepted",
            ],
        ),
        (
            "dualAccept: 30d",
            "dualAccept: 30",
            &["p:13:19: spec.schemas[0].dualAccept: expected text, found the number 30: write it as \"30\""],
        ),
        (
            "dualAccept: 30d",
            "dualAccept: 3x",
            &[
                "p:13:19: spec.schemas[0].dualAccept: \"3x\" is no span of time: expected one such as 30d or 12h",
            ],
        ),
        (
            "  shards: [{name: a,",
            &fifth,
            &[
                "p:11:5: spec.schemas: 5 versions are too many: at most 4 can be accepted at once; take out one that nobody sends any more",
            ],
        ),
    ];
    let mut wrong = String::new();
    for (from, to, expected) in cases {
        let text = TWO.replacen(from, to, 1);
        assert_ne!(text, TWO, "{from}");
        let found = problems(&text);
        if found != *expected {
            wrong.push_str(&format!(
                "{from} -> {to}
  expected {expected:#?}
  found    {found:#?}
"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn levels_are_counted_over_all_versions() {
    let fields = "[{name: a, from: vlan.id}, {name: b, from: vlan.pcp}, {name: c, from: ip.dscp}]";
    let schema = |version: u32| {
        format!("    - {{version: {version}, fields: {fields}, levels: [[a, b, c], [a, b], [b, c], [a]]}}\n")
    };
    let (head, rest) = RIGHT.split_once("    - version: 1\n").unwrap();
    let (_, rest) = rest.split_once("  shards:\n").unwrap();
    let (rest, _) = rest.split_once("  tiers:").unwrap();
    let text = format!("{head}{}{}  shards:\n{rest}", schema(1), schema(2));
    assert_eq!(
        problems(&text),
        [
            "p:12:5: spec.schemas: 8 levels (4 of version 1, 4 of version 2) are too many together: at most 7 are possible; leave out levels that no key is of"
        ]
    );
    assert!(problems(&text.replacen(", [a]]", "]", 1)).is_empty());
}

/// What a key is called must not hang on which versions there are.
#[test]
fn one_name_means_one_key() {
    let schemas = |one: &str, other: &str| {
        let (head, rest) = TWO.split_once("    - version: 1\n").unwrap();
        let (_, rest) = rest.split_once("  shards:").unwrap();
        let (rest, _) = rest.split_once("  keys:\n").unwrap();
        format!(
            "{}    - {{version: 1, fields: [{{name: tenant, from: {one}}}]}}\n    - {{version: 2, fields: [{{name: tenant, from: {other}}}]}}\n  shards:{rest}  keys:\n",
            head.replace("  prefixTables:\n    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex}\n", "")
        )
    };
    let text = schemas("ipv4.src", "vlan.id") + "    - {name: one, match: {tenant: 1}, pool: general}\n";
    assert_eq!(
        problems(&text),
        [
            "p:14:26: spec.keys[0].match: 1 is tenant=0.0.0.1 by version 1 and tenant=1 by version 2: two keys, so say `schema: 1` or `schema: 2` with each"
        ]
    );
    let text = schemas("vlan.id", "ip.dscp")
        + "    - {name: one, match: {tenant: 1}, schema: 1, pool: general}\n    - {name: other, match: {tenant: 1}, schema: 2, pool: general}\n";
    assert_eq!(
        problems(&text),
        ["p:15:14: spec.keys[1].match: has the same values as \"one\", spec.keys[0] in line 14"]
    );
}

#[test]
fn combinations_of_named_values_are_bounded() {
    let values = |from: u32| (from..from + 64).map(|it| it.to_string()).collect::<Vec<_>>().join(", ");
    let field = |name: &str| format!("{{name: {name}, from: vlan.id, values: {{all: [{}]}}}}", values(1));
    let (head, rest) = TWO.split_once("      fields: [{name: tenant, from: vlan.id").unwrap();
    let (_, rest) = rest.split_once("    - version: 2").unwrap();
    let fields = |many: usize| {
        let fields: Vec<String> = ["x", "y", "z"].iter().take(many).map(|name| field(name)).collect();
        format!("      fields: [{}]\n", fields.join(", "))
    };
    let (_, schemas) = rest.split_once("      levels").unwrap();
    let (levels, after) = schemas.split_once("  keys:\n").unwrap();
    let _ = (levels, after);
    let text = |many: usize, key: &str| {
        let (between, _) = rest.split_once("  keys:\n").unwrap();
        format!(
            "{head}{}    - version: 2{between}  keys:\n    - {{name: k, match: {key}, pool: general}}\n",
            fields(many)
        )
    };
    let policy = parse(&text(2, "{x: all, y: all}"), "p", None).unwrap();
    assert_eq!(spellings(&policy.keys[0]).len(), 4096);
    let found = problems(&text(3, "{x: all, y: all, z: all}"));
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .ends_with(": stands for 262144 combinations of values: at most 4096 are possible for one key"),
        "{found:?}"
    );
}

fn day(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_version_stays_for_its_dual_accept_time() {
    let old = parse(TWO, "p", None).unwrap();
    let without = |version: &str| {
        let from = TWO.find(&format!("    - version: {version}\n")).unwrap();
        let length = TWO[from + 4..].find("    - version").or(TWO[from..].find("  shards:").map(|at| at - 4));
        let text = format!("{}{}", &TWO[..from], &TWO[from + 4 + length.unwrap()..]);
        let keep = |line: &&str| !(version == "1" && (line.contains("hooli,") || line.contains("old-acme")));
        let text: String = text.lines().filter(keep).map(|line| format!("{line}\n")).collect();
        parse(&text, "p", None).unwrap()
    };
    let new = without("1");
    let early = too_early(&old, &new, day("2026-11-30T23:59:59Z"));
    let said: Vec<(&str, &str)> = early.iter().map(|it| (it.message.as_str(), it.next.as_str())).collect();
    assert_eq!(
        said,
        [(
            "version 1 of the schema would go too early: it is accepted together with version 2 since 2026-11-01, and its dualAccept of 30d ends at 2026-12-01T00:00:00.000Z",
            "keep version 1 until then"
        )]
    );
    assert_eq!(too_early(&old, &new, day("2026-12-01")), []);
    assert_eq!(too_early(&old, &old, day("2026-11-02")), []);
    // Nothing stays: the versions were never accepted together.
    let text = TWO.replace("version: 1\n", "version: 3\n").replace("version: 2\n", "version: 4\n");
    let early = too_early(&old, &parse(&text, "p", None).unwrap(), day("2036-01-01"));
    assert_eq!(early.len(), 1);
    assert!(early[0].message.contains("no version of before staying"), "{early:?}");
}

#[test]
fn a_deprecated_version_is_reminded_of_from_its_day_on() {
    let text = TWO.replace("dualAccept: 30d", "deprecated: 2026-12-31");
    let policy = parse(&text, "p", None).unwrap();
    assert_eq!(overdue(&policy, day("2026-12-30T23:59:59Z")), []);
    let warnings = overdue(&policy, day("2026-12-31"));
    assert_eq!(
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "p:11:16: spec.schemas[0].deprecated: version 1 is deprecated since 2026-12-31 and still accepted: take it out once nobody sends it (keysteer_schema_packets_total)"
        ]
    );
}
