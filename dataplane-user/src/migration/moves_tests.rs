//! What moves between two images, and how each finds its previous shard.

use keysteer_common::config::class_action;
use keysteer_common::headers::NO_SHARD;
use keysteer_common::tables::KeyMeta;

use super::*;

const SHARDS: u16 = 4;

/// Keys 1 (on shard 0), 2 (a row of two), 3 (all of the pool); class `unregistered` over the pool.
fn image() -> Image {
    let slots = (0..SLOTS).map(|slot| (slot % 4) as Slot).collect();
    let mut image = Image { slots, ..Image::default() };
    let rows = image.slots.len();
    image.slots.extend((0..2 * SLOTS).map(|cell| (cell % 4) as Slot));
    image.slot_tables =
        vec![SlotTable::new(0, WIDTH_ALL, 0), SlotTable::new(u32::try_from(rows).unwrap(), 2, 0)];
    let entry = |id: u32, place, meta| KeyEntry { key: id.into(), id, place, meta };
    image.keys = vec![
        entry(1, 0, KeyMeta::direct(0, 0)),
        entry(2, 5, KeyMeta::spread(0, 1)),
        entry(3, 9, KeyMeta::spread(0, 0)),
        KeyEntry::default(),
    ];
    image.shards =
        vec![ShardEntry { target: target::INTERFACE, port: 7, ..ShardEntry::default() }; SHARDS.into()];
    image.config.shards = SHARDS.into();
    image.config.classes[Class::Unregistered as usize] =
        ClassConfig { slots: 0, action: class_action::STEER };
    image.names.keys = crate::agent::fake::image(&["one", "two", "three"]).names.keys;
    image
}

fn found(live: &Image, new: &mut Image) -> Option<Moves> {
    begin(live, new, &Settings { pins: 64, holds: &|_| false, exists: &|_| true })
}

fn move_of(moves: &Moves, at: u32) -> Move {
    Move(moves.words.get(at as usize).copied().unwrap_or_default())
}

#[test]
fn what_is_as_it_was_does_not_move() {
    assert_eq!(found(&image(), &mut image()), None);
}

#[test]
fn a_key_of_one_shard_knows_the_one_before() {
    let mut new = image();
    new.keys[0].place = 3;
    let moves = found(&image(), &mut new).unwrap();
    let it = move_of(&moves, key_move(1));
    assert!(it.is_direct() && it.place() == 0 && !it.has_strays() && !it.holds());
    assert_eq!((it.unit(), moves.units, moves.pins), (5, 6, 64));
    assert_eq!((move_of(&moves, key_move(2)), move_of(&moves, key_move(3))), (Move::NONE, Move::NONE));
    assert_eq!((moves.tables.len(), moves.slots.len()), (0, 0));
}

#[test]
fn keys_of_several_shards_take_their_old_tables_along_once() {
    let mut new = image();
    new.slots.iter_mut().for_each(|slot| *slot = (*slot + 1) % SHARDS);
    let moves = found(&image(), &mut new).unwrap();
    let [two, three] = [2, 3].map(|id| move_of(&moves, key_move(id)));
    let class = move_of(&moves, class_move(Class::Unregistered as usize));
    assert_eq!((two.place(), three.place()), (5, 0));
    assert_eq!(three.table(), class.table());
    assert_eq!(moves.tables.len(), 2);
    let rows = moves.tables[two.table() as usize];
    assert_eq!(moves.slots[rows.first as usize + 10..][..2], [2, 3]);
    // Key 1 names its shard, which is another policy's to change.
    assert_eq!(move_of(&moves, key_move(1)), Move::NONE);
}

#[test]
fn another_pool_width_or_set_is_a_move() {
    for change in [
        |entry: &mut KeyEntry| *entry = KeyEntry { place: 1, meta: KeyMeta::direct(0, 0), ..*entry },
        |entry: &mut KeyEntry| *entry = KeyEntry { place: 5, meta: KeyMeta::spread(0, 1), ..*entry },
    ] {
        let mut new = image();
        change(&mut new.keys[2]);
        let moves = found(&image(), &mut new).unwrap();
        let it = move_of(&moves, key_move(3));
        assert!(it.unit() != 0 && !it.is_direct());
        assert_eq!(moves.tables[it.table() as usize].width, WIDTH_ALL);
    }
}

#[test]
fn a_move_that_is_not_over_keeps_its_beginning() {
    let mut second = image();
    second.keys[0].place = 1;
    second.slots.iter_mut().for_each(|slot| *slot = (*slot + 1) % SHARDS);
    let moves = found(&image(), &mut second);
    second.migrate(moves);
    // Key 3's is over.
    second.moves.words[key_move(3) as usize] = 0;
    let mut third = image();
    third.keys[0].place = 2;
    let moves = found(&second, &mut third).unwrap();
    let one = move_of(&moves, key_move(1));
    assert!(one.is_direct() && one.place() == 0 && one.has_strays());
    // Key 2 is back where it began, with flows that opened meanwhile elsewhere.
    let two = move_of(&moves, key_move(2));
    let first = moves.tables[two.table() as usize].first as usize;
    assert!(two.has_strays() && moves.slots[first..first + 4] == image().slots[SLOTS as usize..][..4]);
    let three = move_of(&moves, key_move(3));
    let first = moves.tables[three.table() as usize].first as usize;
    assert!(!three.has_strays() && moves.slots[first..first + 4] == second.slots[..4]);
}

#[test]
fn new_keys_come_from_where_strangers_were_and_denied_ones_from_nowhere() {
    let mut live = image();
    live.keys[2].id = 77;
    live.keys[1].meta = live.keys[1].meta.deny(true);
    live.keys[0].place = NO_SHARD;
    let moves = found(&live, &mut image());
    // Over the same pool nothing moves for who was none; who comes from nowhere has nothing to find.
    let moves = moves.unwrap();
    assert_eq!(move_of(&moves, key_move(3)), Move::NONE);
    for id in [1, 2] {
        // As strangers they were spread over the pool.
        let it = move_of(&moves, key_move(id));
        assert!(it.unit() != 0 && !it.is_direct(), "{id}");
    }
}

#[test]
fn shards_that_flows_are_with_are_kept() {
    let mut new = image();
    new.keys[0].place = 2;
    new.slots.iter_mut().filter(|slot| **slot == 0).for_each(|slot| *slot = 1);
    new.shards[0] = ShardEntry::default();
    let without = new.clone();
    found(&image(), &mut new).unwrap();
    assert_eq!((new.shards[0].port, new.config.shards), (7, u32::from(SHARDS)));
    // Not where its interface has gone.
    let mut gone = without;
    begin(&image(), &mut gone, &Settings { pins: 64, holds: &|_| true, exists: &|_| false }).unwrap();
    assert_eq!(gone.shards[0], ShardEntry::default());
}
