//! Operators' words over the policy: who is denied, and where the packets of a disabled shard go.

use std::collections::BTreeMap;

use super::world::{KEY_ID, Noted, World, udp4};
use crate::config::class_action;
use crate::forward::Action;
use crate::headers::{Decision, NO_SHARD};
use crate::overlay::{key_word, shard_word};
use crate::tables::{KeyEntry, KeyMeta, SLOTS, ShardEntry, Slot, SlotTable};
use crate::vocabulary::Reason;

/// A world of `shards` shards that heeds words.
fn heeding(shards: Slot) -> World {
    let mut world = World::new();
    world.config.overlay = 1;
    world.config.shards = u32::from(shards);
    world.slots = (0..SLOTS).map(|slot| (slot % u32::from(shards)) as Slot).collect();
    world.shards = vec![ShardEntry { ..world.shards[0] }; usize::from(shards)];
    world
}

fn disable(world: &mut World, shards: impl IntoIterator<Item = u32>) {
    world.shard_words = shards.into_iter().map(|shard| (shard, shard_word::DISABLED)).collect();
}

fn from_port(port: u16) -> Vec<u8> {
    let mut frame = udp4();
    frame[34..36].copy_from_slice(&port.to_be_bytes());
    frame
}

fn decide(world: &World, frame: &[u8]) -> (Action, Decision) {
    let (action, work) = world.decide(&mut frame.to_vec(), &mut Noted::default());
    (action, work.record.decision)
}

/// How many of 1,000 flows go to each shard.
fn spread(world: &World) -> BTreeMap<Slot, u32> {
    let mut spread = BTreeMap::new();
    for port in 0..1_000 {
        *spread.entry(decide(world, &from_port(port)).1.shard).or_default() += 1;
    }
    spread
}

#[test]
fn an_operators_word_is_stronger_than_the_policys() {
    let mut world = heeding(2);
    let dropped = |world: &World| {
        let (action, decision) = decide(world, &udp4());
        assert_eq!(action == Action::Drop, decision.reason == Reason::Denied as u8);
        action == Action::Drop
    };
    assert!(!dropped(&world));
    world.key_words = vec![(KEY_ID, key_word::DENY)];
    assert!(dropped(&world));
    world.key_words = vec![(KEY_ID + 1, key_word::DENY)];
    assert!(!dropped(&world));
    world.deny();
    assert!(dropped(&world));
    world.key_words = vec![(KEY_ID, key_word::ALLOW)];
    assert!(!dropped(&world));
    // Both cannot be said; if they were, the safe one holds.
    world.key_words = vec![(KEY_ID, key_word::ALLOW | key_word::DENY)];
    assert!(dropped(&world));
}

#[test]
fn a_program_that_does_not_heed_words_has_none() {
    let mut world = heeding(2);
    world.config.overlay = 0;
    world.key_words = vec![(KEY_ID, key_word::DENY)];
    disable(&mut world, [0, 1]);
    let (action, decision) = decide(&world, &udp4());
    assert_eq!((action, decision.shard), (Action::Redirect, 0));
}

#[test]
fn a_key_of_width_1_falls_back_to_one_shard_of_its_pool_and_comes_back() {
    let mut world = heeding(8);
    disable(&mut world, [0]);
    let fallen = spread(&world);
    assert_eq!(fallen.len(), 1, "every flow to one shard: {fallen:?}");
    assert!(!fallen.contains_key(&0) && !fallen.contains_key(&NO_SHARD));
    // Another disabled shard is passed over as well, and one that is not on the way changes nothing.
    let second = u32::from(*fallen.keys().next().unwrap());
    disable(&mut world, [0, second]);
    let further = spread(&world);
    assert!(further.len() == 1 && !further.contains_key(&0) && !further.contains_key(&(second as Slot)));
    let elsewhere =
        (1..8).find(|shard| *shard != second && !further.contains_key(&(*shard as Slot))).unwrap();
    disable(&mut world, [0, elsewhere]);
    assert_eq!(spread(&world), fallen);
    disable(&mut world, []);
    assert_eq!(spread(&world), BTreeMap::from([(0, 1_000)]));
}

#[test]
fn keys_of_one_disabled_shard_spread_over_the_others() {
    let mut world = heeding(8);
    disable(&mut world, [0]);
    let mut to = BTreeMap::new();
    for key in 0..64 {
        world.config.levels[0].mask = [0, 0x3f];
        world.key(KeyEntry { key, id: KEY_ID, place: 0, meta: KeyMeta::direct(0, 0) });
        let mut frame = udp4();
        frame[15] = (key as u8) << 2;
        *to.entry(decide(&world, &frame).1.shard).or_insert(0) += 1;
    }
    assert_eq!(to.len(), 7, "{to:?}");
    assert!(to.values().all(|many| (2..25).contains(many)), "{to:?}");
}

#[test]
fn a_wider_key_never_leaves_its_row() {
    let mut world = heeding(8);
    let row = [3, 5, 6];
    let first = world.slots.len();
    world.slots.extend(row);
    world.slot_tables = vec![SlotTable::new(u32::try_from(first).unwrap(), 3, 0)];
    world.key(KeyEntry { key: 34, id: KEY_ID, place: 0, meta: KeyMeta::spread(0, 0) });
    let all = spread(&world);
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), row);
    disable(&mut world, [5]);
    let two = spread(&world);
    assert_eq!(two.keys().copied().collect::<Vec<_>>(), [3, 6]);
    // Flows of the shards that stay stay.
    for port in 0..1_000 {
        let now = decide(&world, &from_port(port)).1;
        let before = {
            let mut world = heeding(8);
            world.slots.extend(row);
            world.slot_tables = vec![SlotTable::new(u32::try_from(first).unwrap(), 3, 0)];
            world.key(KeyEntry { key: 34, id: KEY_ID, place: 0, meta: KeyMeta::spread(0, 0) });
            decide(&world, &from_port(port)).1
        };
        assert!(before.shard == 5 || before.shard == now.shard);
    }
    disable(&mut world, [3, 5, 6]);
    assert_eq!(spread(&world), BTreeMap::from([(NO_SHARD, 1_000)]));
}

#[test]
fn a_class_over_a_pool_passes_over_disabled_shards_evenly() {
    let mut world = heeding(4);
    world.keys.clear();
    world.keys.resize(2, KeyEntry::default());
    world.config.classes[2].action = class_action::STEER;
    disable(&mut world, [1]);
    let spread = spread(&world);
    assert_eq!(spread.keys().copied().collect::<Vec<_>>(), [0, 2, 3]);
    assert!(spread.values().all(|flows| (250..420).contains(flows)), "{spread:?}");
}

#[test]
fn where_every_shard_is_disabled_packets_are_dropped_by_name() {
    let mut world = heeding(2);
    disable(&mut world, [0, 1]);
    let (action, decision) = decide(&world, &udp4());
    assert_eq!((action, decision.reason), (Action::Drop, Reason::NoShard as u8));
}
