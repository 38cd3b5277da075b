//! Keys that are pinned to shards, through the code that runs in the kernel.

use keysteer_common::headers::NO_SHARD;
use keysteer_common::overlay::{Chosen, around, shard_word};
use keysteer_common::tables::{SLOTS, WIDTH_ALL};

use super::*;
use crate::policy::parse;

const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: edge}
spec:
  environment: prod
  interfaces: [{name: eth0}]
  scope: [{destinations: [203.0.113.0/24]}]
  schemas: [{version: 1, fields: [{name: site, from: vxlan.vni}], levels: [[site]]}]
  shards:
    - {name: a, target: pass}
    - {name: b, target: pass}
    - {name: c, target: pass}
    - {name: d, target: pass}
  pools: [{name: general, shards: [d, c, b, a]}]
  keys:
    - {name: plain, match: {site: 1}, pool: general}
    - {name: one, match: {site: 2}, pool: general, shards: [c]}
    - {name: set, match: {site: 3}, pool: general, shards: [d, a, b]}
    - {name: same, match: {site: 4}, pool: general, shards: [a, b, d]}
    - {name: other, match: {site: 5}, pool: general, shards: [a, c]}
"#;

fn build() -> Image {
    let policy = parse(POLICY, "p", None).unwrap();
    let imagined = Imagined::of(&policy);
    compile_for(&policy, imagined.host(), &Secrets::from_bytes(&[7; 32]), &mut Ids::default()).unwrap()
}

fn entry(image: &Image, name: &str) -> keysteer_common::tables::KeyEntry {
    let id = image.names.keys.iter().find(|key| key.name == name).unwrap().id;
    *image.keys.iter().find(|entry| entry.id == id && !entry.meta.is_empty()).unwrap()
}

#[test]
fn one_shard_is_in_the_entry_and_falls_back_over_the_pool() {
    let image = build();
    let entry = entry(&image, "one");
    assert!(entry.meta.is_direct());
    assert_eq!(image.names.shard(entry.place), Some("c"));
    let table = image.slot_tables[entry.meta.table() as usize];
    assert_eq!((table.width, table.pool), (WIDTH_ALL, table.first));
    let key = image.names.keys.iter().find(|key| key.name == "one").unwrap();
    assert!(key.pinned && key.width == 1 && *key.shards[0] == *"c");
}

#[test]
fn a_set_has_one_small_table_whose_rows_begin_with_each_of_its_shards() {
    let image = build();
    let (set, same, other) = (entry(&image, "set"), entry(&image, "same"), entry(&image, "other"));
    assert_eq!(set.meta.table(), same.meta.table());
    assert_ne!(set.meta.table(), other.meta.table());
    let table = image.slot_tables[set.meta.table() as usize];
    assert_eq!(table.width, 3);
    let first = table.first as usize;
    let names: Vec<&str> =
        image.slots[first..first + 9].iter().map(|slot| image.names.shard(*slot).unwrap()).collect();
    assert_eq!(names, ["a", "b", "d", "b", "d", "a", "d", "a", "b"]);
    assert!(set.place < 3 && same.place < 3 && other.place < 2);
    // A pool's table, nowhere, and 9 and 4 slots.
    assert_eq!(image.slots.len(), 2 * SLOTS as usize + 9 + 4);
    let key = image.names.keys.iter().find(|key| key.name == "set").unwrap();
    let mut shards: Vec<&str> = key.shards.iter().map(|shard| &**shard).collect();
    shards.sort_unstable();
    assert_eq!((key.width, shards), (3, vec!["a", "b", "d"]));
}

/// With all of its shards disabled a set's key goes nowhere; with one left, there.
#[test]
fn a_set_is_never_left() {
    let mut image = build();
    let set = entry(&image, "set");
    let table = image.slot_tables[set.meta.table() as usize];
    let index = |image: &Image, name: &str| {
        image.names.policy_shards().find(|(_, shard)| shard.name == name).map(|(index, _)| index).unwrap()
    };
    let slot = table.first + u32::from(set.place) * table.width;
    for (disabled, expected) in
        [(&["a", "b", "d"][..], None), (&["a", "b"], Some("d")), (&["d", "b"], Some("a"))]
    {
        let shards = disabled.iter().map(|name| (u32::from(index(&image, name)), shard_word::DISABLED));
        let words = Words { shards: shards.collect(), ..Words::default() };
        image.heed(words);
        for column in 0..table.width {
            for flow in 0..50 {
                let chosen = Chosen::for_key(&image, &set, slot + column, flow).unwrap();
                let there = image.slots[(slot + column) as usize];
                let found = if keysteer_common::overlay::takes(&image, there) {
                    there
                } else {
                    around(&image, chosen)
                };
                let found = Some(found).filter(|found| *found != NO_SHARD);
                match expected {
                    None => assert_eq!(found, None),
                    Some(name) => assert_eq!(found.and_then(|it| image.names.shard(it)), Some(name)),
                }
            }
        }
    }
}

#[test]
fn tables_of_another_policy_are_refused() {
    let policy = parse(POLICY, "p", None).unwrap();
    let imagined = Imagined::of(&policy);
    let error = compile_placed(
        &policy,
        imagined.host(),
        &Secrets::from_bytes(&[7; 32]),
        &mut Ids::default(),
        &Placement::default(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("pool general has no table of width 1"), "{error}");
}
