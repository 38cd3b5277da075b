//! Zones, and keys that are pinned to shards.

use super::*;
use crate::policy::model::Width;

fn said(from: &str, to: &str) -> Vec<String> {
    assert!(RIGHT.contains(from), "{from}");
    problems(&RIGHT.replacen(from, to, 1))
}

#[test]
fn shards_have_zones() {
    let text = RIGHT
        .replace("target: pass}", "target: pass, zone: east}")
        .replace("{cpu: 1}}", "{cpu: 1}, zone: west}");
    let policy = parse(&text, "p", None).unwrap();
    let zones: Vec<_> = policy.shards.iter().map(|shard| shard.zone.as_deref()).collect();
    assert_eq!(zones, [Some("east"), Some("west")]);
}

#[test]
fn a_pool_has_zones_for_all_of_its_shards_or_for_none() {
    assert_eq!(
        said("target: pass}", "target: pass, zone: east}"),
        [
            "p:21:14: spec.pools[0].shards: shard \"a\" of the pool has a zone and shard \"b\" has none: give all shards of a pool a zone, or none"
        ]
    );
}

#[test]
fn keys_are_pinned_to_shards_of_their_pool() {
    let pinned = |shards: &str| {
        let text = RIGHT.replace(
            "product: 34}, pool: general",
            &format!("product: 34}}, pool: general, shards: {shards}"),
        );
        let policy = parse(&text, "p", None).unwrap();
        let key = policy.keys.iter().find(|key| key.name == "acme-video").unwrap().clone();
        (key.shards.map(|shards| shards.to_vec()), key.width)
    };
    assert_eq!(pinned("[b]"), (Some(vec![1]), Width::Shards(1)));
    assert_eq!(pinned("[b, a]"), (Some(vec![0, 1]), Width::Shards(2)));
    assert_eq!(pinned("[b, a], width: 2"), (Some(vec![0, 1]), Width::Shards(2)));
    // The tier's width gives way.
    let text = RIGHT.replace("tier: gold}\n", "tier: gold, shards: [b]}\n");
    assert_eq!(parse(&text, "p", None).unwrap().keys[0].width, Width::Shards(1));
}

#[test]
fn what_is_wrong_with_pins_is_said() {
    let at = "product: 34}, pool: general";
    let key = |more: &str| said(at, &format!("product: 34}}, pool: general, {more}"));
    let one = |found: Vec<String>, expected: &str| {
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    };
    one(key("shards: [c]"), "spec.keys[1].shards: unknown shard \"c\"");
    one(key("shards: [a, a]"), "spec.keys[1].shards: lists shard \"a\" twice");
    one(key("shards: []"), "spec.keys[1].shards: must not be empty");
    one(key("shards: [a], width: 2"), "spec.keys[1].width: the key is pinned to 1 shard");
    one(key("shards: [a], width: all"), "spec.keys[1].width: the key is pinned to 1 shard");
    one(said("deny: true}", "deny: true, shards: [a]}"), "spec.keys[2].shards: needs a pool");
    let other = RIGHT.replace("shards: [a, b]}", "shards: [a, b]}\n    - {name: only-a, shards: [a]}");
    one(
        problems(&other.replace(at, "product: 34}, pool: only-a, shards: [b]")),
        "spec.keys[1].shards: shard \"b\" is not in pool \"only-a\"",
    );
}

#[test]
fn a_file_pins_keys_too() {
    let keys = |_: &str| Ok("name,match.tenant,pool,shards\nhooli,acme-old,general,b a\n".into());
    let text = RIGHT.replace("10.2.0.0/16: globex", "10.2.0.0/16: globex, 10.3.0.0/16: acme-old");
    let text = text.replace("  keys:\n", "  keysFrom: keys.csv\n  keys:\n");
    let policy = parse_with(&text, "p", &keys).unwrap();
    let key = policy.keys.iter().find(|key| key.name == "hooli").unwrap();
    assert_eq!((key.shards.as_deref(), key.width), (Some(&[0, 1][..]), Width::Shards(2)));
}
