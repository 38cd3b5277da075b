//! What a right policy becomes.

use keysteer_common::carrier::Carrier;

use super::*;

#[test]
fn names_become_indices_and_tiers_fill_in() {
    let policy = parse(RIGHT, "p", None).unwrap();
    assert_eq!(
        (policy.name.as_str(), policy.environment.as_str(), policy.mode),
        ("edge", "prod", Mode::Steer)
    );
    assert_eq!(policy.tables[0].labels, ["acme", "globex"]);
    let [tenant, product] = policy.schemas[0].fields.as_slice() else { panic!("two fields") };
    assert_eq!((tenant.bits, tenant.place, tenant.table), (32, 6, Some(0)));
    assert_eq!((product.carrier, product.bits, product.place), (Carrier::IpDscp, 6, 0));
    assert_eq!(policy.schemas[0].levels, [vec![0, 1], vec![0]]);
    let [acme, video, globex] = policy.keys.as_slice() else { panic!("three keys") };
    assert_eq!((acme.key, acme.level, acme.pool, acme.width), (1 << 6, 1, Some(0), Width::Shards(2)));
    assert_eq!((video.key, video.level, video.width), (1 << 6 | 34, 0, Width::Shards(1)));
    assert_eq!((globex.key, globex.pool, globex.denied.as_deref()), (2 << 6, None, Some("denied")));
    assert_eq!(policy.warnings, []);
    assert_eq!(policy.classes, Classes::default());
}

#[test]
fn signing_is_understood() {
    let with = |signing: &str| {
        let text = RIGHT.replacen(
            "  keys:\n",
            &format!("  signing: {{secrets: [{{id: 7, file: /k}}]{signing}}}\n  keys:\n"),
            1,
        );
        parse(&text, "p", None).unwrap().signing.unwrap()
    };
    assert_eq!(parse(RIGHT, "p", None).unwrap().signing, None);
    let least = with("");
    assert_eq!((least.secrets[0].id, least.secrets[0].file.to_str()), (7, Some("/k")));
    assert_eq!((least.source, least.destination), (None, false));
    let bound = with(", bind: {source: {ipv6: 48}, destination: true}");
    assert_eq!((bound.source, bound.destination), (Some((32, 48)), true));
    assert_eq!(with(", bind: {source: {}}").source, Some((32, 128)));
}

#[test]
fn signed_keys_and_their_secrets_go_together() {
    let warned = |from: &str, to: &str| -> Vec<String> {
        let text =
            RIGHT.replacen("{name: product, from: ip.dscp}", &format!("{{name: product, from: {from}}}"), 1);
        let text = text.replacen("  keys:\n", &format!("{to}  keys:\n"), 1);
        parse(&text, "p", None).unwrap().warnings.iter().map(ToString::to_string).collect()
    };
    let signing = "  signing: {secrets: [{id: 7, file: /k}]}\n";
    let option = "geneve.option, option: {class: 0xff01, type: 1}, signed: true";
    for signed in ["shim.key", option] {
        assert_eq!(warned(signed, signing), [""; 0]);
        let [warning] = &warned(signed, "")[..] else { panic!("{signed}") };
        assert!(warning.starts_with("p:15:33: spec.signing: there is no secret"), "{warning}");
    }
    let [warning] = &warned("ip.dscp", signing)[..] else { panic!("one") };
    assert!(warning.contains("spec.signing: no field"), "{warning}");
}

#[test]
fn values_of_every_kind_are_read() {
    let with = |from: &str, value: &str| {
        let text = RIGHT
            .replace("{name: product, from: ip.dscp}", &format!("{{name: product, from: {from}}}"))
            .replace("product: 34", &format!("product: {value}"))
            .replace("from: ip.src, table: tenants", "from: l4.dst_port")
            .replace("tenant: acme", "tenant: 1")
            .replace("tenant: globex", "tenant: 2");
        let policy = parse(&text, "p", None).unwrap_or_else(|error| panic!("{from} {value}: {error}"));
        let field = &policy.schemas[0].fields[1];
        (field.value(policy.keys[1].key), field.text(&policy.tables, field.value(policy.keys[1].key)))
    };
    assert_eq!(with("ethernet.src", "\"02:00:00:00:00:0a\""), (0x0200_0000_000a, "02:00:00:00:00:0a".into()));
    assert_eq!(with("ethernet.src", "0x02000000000a"), (0x0200_0000_000a, "02:00:00:00:00:0a".into()));
    assert_eq!(with("ipv4.dst", "10.0.0.1"), (0x0a00_0001, "10.0.0.1".into()));
    assert_eq!(with("ipv6.dst, bits: {offset: 0, length: 16}", "0x2001"), (0x2001, "8193".into()));
    assert_eq!(with("vlan.id", "4095"), (4095, "4095".into()));
}

#[test]
fn services_are_inherited_by_narrower_destinations() {
    let text = RIGHT.replace(
        "    - {destinations: [203.0.113.10/32], services: [tcp/443]}",
        "    - {destinations: [203.0.113.0/24], services: [tcp/443]}\n    - {destinations: [203.0.113.10], services: [udp/53]}\n    - {destinations: [203.0.113.128/25]}",
    );
    let scope = parse(&text, "p", None).unwrap().scope;
    let shown: Vec<(String, Vec<String>)> = scope
        .iter()
        .map(|to| (to.prefix.to_string(), to.services.iter().map(service_text).collect()))
        .collect();
    assert_eq!(
        shown,
        [
            ("203.0.113.0/24".into(), vec!["tcp/443".into()]),
            ("203.0.113.10/32".into(), vec!["tcp/443".into(), "udp/53".into()]),
            ("203.0.113.128/25".to_owned(), vec![]),
        ]
    );
}

#[test]
fn what_looks_wrong_is_warned_of() {
    let text = RIGHT
        .replace(
            "    - {name: a, target: pass}",
            "    - {name: a, target: pass}\n    - {name: spare, target: drop}",
        )
        .replace("  tiers:\n", "  tiers:\n    - {name: silver, pool: general}\n")
        .replace("    tenants: {", "    unused: {10.9.0.0/16: bob@example.com}\n    tenants: {")
        .replace("name: acme-video", "name: +49 30 1234567");
    let policy = parse(&text, "p", None).unwrap();
    let warnings: Vec<String> = policy.warnings.iter().map(|warning| warning.to_string()).collect();
    assert_eq!(policy.findings, 2);
    assert_eq!(
        warnings,
        [
            "p:10:5: spec.prefixTables.unused: no field uses the table",
            "p:10:27: spec.prefixTables.unused.10.9.0.0/16: looks like a mail address: labels are shown in logs and answers; use a pseudonym, or hide them: `display` of the fields that use the table",
            "p:20:14: spec.shards[1]: no pool has the shard, so it gets nothing",
            "p:25:14: spec.tiers[0]: no key uses the tier",
            "p:29:14: spec.keys[1].name: looks like a phone number: it is shown in metrics, events and bills; use a pseudonym",
        ]
    );
}

#[test]
fn a_table_without_the_carriers_family_is_warned_of() {
    let text = RIGHT.replace("from: ip.src", "from: ipv6.src");
    let warnings = parse(&text, "p", None).unwrap().warnings;
    assert_eq!(
        warnings[0].to_string(),
        "p:14:49: spec.schemas[0].fields[0].table: the table has no IPv6 prefix, so the field will never have a value: ipv6.src"
    );
}
