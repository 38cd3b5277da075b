//! Several versions of the schema, names of values and aliases, through the code that runs in the kernel.

use keysteer_common::account::Counter;
use keysteer_common::vocabulary::Class;

use super::tests::frame;
use super::*;
use crate::compile::{Imagined, compile_for};
use crate::engine::Engine;
use crate::image::KeyInfo;
use crate::policy::examples::EXAMPLES;
use crate::policy::parse;

fn text() -> &'static str {
    EXAMPLES.iter().find(|example| example.name == "two-versions").unwrap().text
}

fn build(text: &str, ids: &mut Ids) -> (Policy, Image) {
    let policy = parse(text, "p", None).unwrap();
    let secrets = Secrets::from_bytes(&[7; 32]);
    let image = compile_for(&policy, Imagined::of(&policy).host(), &secrets, ids).unwrap();
    (policy, image)
}

/// A packet from 10.`tenant`.0.1, in a VLAN if one is given.
fn packet(tenant: u8, dscp: u8, vlan: Option<u16>) -> Vec<u8> {
    let mut packet = frame([10, tenant, 0, 1], [203, 0, 113, 10], dscp, (40_000, 443));
    if let Some(vlan) = vlan {
        let [high, low] = vlan.to_be_bytes();
        packet.splice(12..12, [0x81, 0, high, low]);
    }
    packet
}

fn key<'i>(image: &'i Image, name: &str) -> &'i KeyInfo {
    image.names.keys.iter().find(|key| key.name == name).expect("a key")
}

#[test]
fn the_first_version_with_a_registered_key_decides_and_is_counted() {
    let (_, image) = build(text(), &mut Ids::default());
    let mut engine = Engine::new(&image);
    // Sender, DSCP, VLAN; class, key, version.
    let cases = [
        ((1, 0, None), Class::Assigned, "acme", 2),
        // By both: version 2 is declared first.
        ((1, 0, Some(102)), Class::Assigned, "acme", 2),
        ((1, 46, None), Class::Assigned, "acme-voice", 2),
        ((1, 40, Some(7)), Class::Assigned, "acme-voice", 2),
        ((9, 0, Some(101)), Class::Assigned, "acme", 1),
        ((9, 0, Some(102)), Class::Assigned, "globex", 1),
        ((9, 0, Some(103)), Class::Assigned, "globex", 1),
        ((9, 0, Some(110)), Class::Assigned, "acme-vlan-110", 1),
        ((3, 0, Some(101)), Class::Assigned, "initech", 2),
        // A VLAN that is nobody's is a well-formed key by version 1.
        ((9, 0, Some(111)), Class::Unregistered, "", 0),
        ((9, 0, None), Class::Missing, "", 0),
    ];
    for ((tenant, dscp, vlan), class, name, version) in cases {
        let before = engine.counters().clone();
        let decided = engine.decide(&mut packet(tenant, dscp, vlan), 2);
        let decision = decided.work.record.decision;
        let what = format!("tenant {tenant}, dscp {dscp}, vlan {vlan:?}");
        assert_eq!(decision.class, class as u8, "{what}");
        let found = image.names.key(decision.key_id).map_or("", |key| &key.name);
        assert_eq!(found, name, "{what}");
        let bytes = u64::from(decision.bytes);
        for schema in &image.names.schemas {
            let of = |snapshot: &crate::counters::Snapshot| {
                snapshot.versions.get(&schema.version).copied().unwrap_or_default()
            };
            let (before, after) = (of(&before), of(engine.counters()));
            let one = u64::from(schema.version == version);
            let expected = Counter { packets: before.packets + one, bytes: before.bytes + one * bytes };
            assert_eq!(after, expected, "{what}: version {}", schema.version);
        }
        if class == Class::Assigned {
            let at = usize::from(decision.schema);
            assert_eq!(image.names.schemas[at].version, version, "{what}");
            let (schema, _) = image.names.level(decision.level.into()).unwrap();
            assert_eq!(schema.version, version, "{what}");
        }
    }
    engine.counters().balanced().unwrap();
}

#[test]
fn an_alias_is_counted_by_itself_and_placed_as_the_other() {
    for width in ["", ", width: 2"] {
        let text = text().replace("owner: team-acme}", &format!("owner: team-acme{width}}}"));
        let (_, image) = build(&text, &mut Ids::default());
        let (acme, alias) = (key(&image, "acme"), key(&image, "acme-vlan-110"));
        assert_eq!(alias.alias_of, Some(acme.id));
        assert_ne!(alias.id, acme.id);
        assert_eq!((&alias.pool, &alias.owner, alias.width), (&acme.pool, &acme.owner, acme.width));
        assert_eq!(alias.shards, acme.shards);
        assert_eq!(slot_of(&image.names, alias), slot_of(&image.names, acme));
        assert_ne!(slot(&of_compiled(&image.names, alias)), slot_of(&image.names, alias));
        let mut engine = Engine::new(&image);
        let one = engine.decide(&mut packet(1, 0, Some(110)), 2).work.record.decision;
        let other = engine.decide(&mut packet(1, 0, Some(110)), 2).work.record.decision;
        assert_eq!(one.shard, other.shard);
        engine.decide(&mut packet(9, 0, Some(110)), 2);
        let counters = engine.counters();
        assert_eq!(counters.keys[acme.id as usize].packets, 2);
        assert_eq!(counters.keys[alias.id as usize].packets, 1);
    }
}

/// What a key is: the same with one version, with both, and with the other alone.
#[test]
fn a_version_that_comes_or_goes_moves_nothing() {
    let mut ids = Ids::default();
    let (head, rest) = text().split_once("    - version: 2\n").unwrap();
    let (second, rest) = rest.split_once("    - version: 1\n").unwrap();
    let (first, rest) = rest.split_once("  shards:\n").unwrap();
    let keys = |names: &[&str]| {
        let keep = |line: &&str| {
            !line.starts_with("    - {name: ")
                || !line.contains("match:")
                || names.iter().any(|name| line.contains(&format!("name: {name},")))
        };
        rest.lines().filter(keep).map(|line| format!("{line}\n")).collect::<String>()
    };
    let of = |image: &Image| -> Vec<(String, u32, String, Vec<String>)> {
        let both = image.names.keys.iter().filter(|key| matches!(&*key.name, "acme" | "globex"));
        both.map(|key| {
            let shards = key.shards.iter().map(ToString::to_string).collect();
            (key.name.clone(), key.id, of_compiled(&image.names, key), shards)
        })
        .collect()
    };
    let both = ["acme", "globex"];
    let head = head.to_owned();
    let one = format!(
        "{}    - version: 1\n{first}  shards:\n{}",
        head.replace(
            "  prefixTables:\n    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex, 10.3.0.0/16: initech}\n",
            ""
        ),
        keys(&both)
    );
    let two = format!(
        "{head}    - version: 2\n{second}  shards:\n{}",
        keys(&["acme", "globex", "acme-voice", "initech"])
    );
    let before = of(&build(&one, &mut ids).1);
    assert_eq!(before[0].2, "prod;tenant=acme");
    assert_eq!(of(&build(text(), &mut ids).1), before);
    assert_eq!(of(&build(&two, &mut ids).1), before);
}

#[test]
fn values_with_a_name_are_one_key() {
    let (policy, image) = build(text(), &mut Ids::default());
    let globex = key(&image, "globex");
    // Two VLANs, and a label.
    assert_eq!(globex.also.len(), 2);
    assert_eq!(
        image.names.shown(globex, &image.names.veil).collect::<Vec<_>>(),
        [("tenant", "globex".to_owned())]
    );
    assert_eq!(image.names.versions_of(globex), [2, 1]);
    assert_eq!(identity(&policy, &policy.keys[1]), "prod;tenant=globex");
    let entries = image.keys.iter().filter(|entry| entry.id == globex.id).count();
    assert_eq!(entries, 3);
}
