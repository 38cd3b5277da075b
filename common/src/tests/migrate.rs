//! Flows while placements change: who stays, who moves, and who cannot be captured.

use etherparse::PacketBuilder;

use super::world::{CLIENT, KEY_ID, Noted, SERVICE, World, framed, ipv4, udp};
use crate::forward::Action;
use crate::headers::NO_SHARD;
use crate::migrate::{Move, key_move, shard_unit};
use crate::overlay::shard_word;
use crate::pin::PROOF;
use crate::tables::{KeyEntry, KeyMeta, SLOTS, ShardEntry, Slot, SlotTable, WIDTH_ALL};

const OLD: Slot = 1;
const NEW: Slot = 2;
const UNIT: u32 = 40;

/// The key moves from `OLD` to `NEW`; there are four shards, and room for pins.
fn moving() -> (World, Noted) {
    let mut world = World::new();
    world.config.migrating = 1;
    world.config.shards = 4;
    world.config.ports.quic = 443;
    world.slots = (0..SLOTS).map(|slot| (slot % 4) as Slot).collect();
    world.shards = vec![ShardEntry { ..world.shards[0] }; 4];
    world.key(KeyEntry { key: 34, id: KEY_ID, place: NEW, meta: KeyMeta::direct(0, 0) });
    world.moves = vec![(key_move(KEY_ID), Move::from_shard(UNIT, OLD))];
    (world, Noted { room: 100, ..Noted::default() })
}

/// A TCP segment of the flow from `port`.
fn segment(port: u16, sequence: u32, syn: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let tcp = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(CLIENT, SERVICE, 60)
        .tcp(port, 80, sequence, 1000);
    let tcp = if syn { tcp.syn() } else { tcp.ack(5) };
    tcp.write(&mut frame, &[]).unwrap();
    frame[15] = 34 << 2;
    frame
}

/// A datagram to `to` whose payload begins with `payload`.
fn datagram(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut udp = udp(from, to, payload.len());
    udp.truncate(8);
    udp.extend(payload);
    framed(0x0800, &ipv4(17, CLIENT, SERVICE, &udp))
}

/// A QUIC packet: its first byte, and version 1 where that says that there is one.
fn quic(from: u16, first: u8) -> Vec<u8> {
    datagram(from, 443, &[first, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0])
}

fn to(world: &World, noted: &mut Noted, mut frame: Vec<u8>) -> Slot {
    world.decide(&mut frame, noted).1.record.decision.shard
}

/// Flows that opened: with a pin, and without.
fn opened(noted: &Noted) -> (u64, u64) {
    noted.moving.get(&UNIT).map_or((0, 0), |moving| (moving.pinned, moving.full))
}

#[test]
fn a_key_that_is_held_stays_with_all_that_opens_and_moves_when_let_go() {
    let (world, noted) = &mut moving();
    let (at, free) = world.moves[0];
    world.moves = vec![(at, free.held(true))];
    assert_eq!(to(world, noted, segment(1, 100, true)), OLD);
    assert_eq!(to(world, noted, segment(1, 101, false)), OLD);
    assert_eq!(to(world, noted, quic(5, 0xc0)), OLD);
    assert_eq!(to(world, noted, datagram(6, 53, &[1])), OLD);
    assert_eq!((opened(noted), noted.pins.len()), ((0, 0), 0));
    world.moves = vec![(at, free.held(true).held(false))];
    assert_eq!(to(world, noted, segment(1, 102, false)), OLD);
    assert_eq!(to(world, noted, segment(2, 100, true)), NEW);
    assert_eq!(to(world, noted, datagram(6, 53, &[1])), NEW);
    // One whose flows are pinned from before keeps these, and gets no more of them.
    world.moves = vec![(at, free.stray(true).held(true))];
    assert_eq!(to(world, noted, segment(2, 101, false)), NEW);
    assert_eq!(to(world, noted, segment(3, 100, true)), OLD);
}

#[test]
fn what_happens_to_flows_on_the_new_shard_is_counted() {
    let (world, noted) = &mut moving();
    let reset = |port: u16, sequence: u32| {
        let mut frame = segment(port, sequence, false);
        frame[14 + 20 + 13] |= 4;
        frame
    };
    // One that is answered late, one at once, one never; a reset of the first, and one of an older flow.
    for (sequence, syn) in [(100, true), (100, true), (100, true), (101, false)] {
        assert_eq!(to(world, noted, segment(1, sequence, syn)), NEW);
    }
    to(world, noted, segment(2, 100, true));
    to(world, noted, segment(2, 101, false));
    to(world, noted, segment(3, 100, true));
    assert_eq!(to(world, noted, reset(1, 102)), NEW);
    assert_eq!(to(world, noted, reset(4, 102)), OLD);
    let moving = noted.moving[&UNIT];
    let counted = [moving.pinned, moving.full, moving.proved, moving.again, moving.resets];
    assert_eq!(counted, [3, 0, 2, 1, 1]);
    // Another opening on the same ports is another flow.
    to(world, noted, segment(3, 5_000_000, true));
    assert_eq!(noted.moving[&UNIT].pinned, 4);
}

#[test]
fn flows_that_are_there_stay_and_new_ones_move() {
    let (world, noted) = &mut moving();
    assert_eq!(to(world, noted, segment(1, 700, false)), OLD);
    assert_eq!(to(world, noted, segment(2, 100, true)), NEW);
    // Until the handshake goes on nothing is known; then it is the new shard's, wherever its numbers go from there.
    let mut sequence = 101_u32;
    for _ in 0..3_000 {
        assert_eq!(to(world, noted, segment(2, sequence, false)), NEW);
        sequence = sequence.wrapping_add(3 << 20);
    }
    assert_eq!(to(world, noted, segment(1, 701, false)), OLD);
    assert_eq!(noted.left, [(UNIT, 2)].into());
    assert_eq!(opened(noted), (1, 0));
    // Once the move is over, all are the new shard's, and nothing is asked for.
    world.moves.clear();
    noted.room = 0;
    assert_eq!(to(world, noted, segment(1, 702, false)), NEW);
    assert_eq!(to(world, noted, segment(3, 702, true)), NEW);
    assert_eq!((noted.left[&UNIT], noted.pins.len()), (2, 1));
}

#[test]
fn without_room_a_flow_opens_on_the_old_shard_and_stays_there() {
    let (world, noted) = &mut moving();
    noted.room = 1;
    assert_eq!(to(world, noted, segment(1, 1, true)), NEW);
    assert_eq!(to(world, noted, segment(2, 1, true)), OLD);
    assert_eq!(to(world, noted, segment(2, 2, false)), OLD);
    assert_eq!(to(world, noted, segment(1, 2, false)), NEW);
    assert_eq!(opened(noted), (1, 1));
}

#[test]
fn a_forged_syn_captures_no_flow() {
    let (world, noted) = &mut moving();
    let live = 1_000_000;
    // On the tuple of a flow that was there before: it goes to the new shard, which knows nothing of it, and nothing else does.
    for forged in [5, 77, live + PROOF, live - PROOF - 2, u32::MAX] {
        assert_eq!(to(world, noted, segment(1, forged, true)), NEW);
        for sequence in [live, live + 1, live - 1] {
            assert_eq!(to(world, noted, segment(1, sequence, false)), OLD, "{forged} {sequence}");
        }
    }
    // On the tuple of one that is pinned, likewise, from a third shard's time too.
    assert_eq!(to(world, noted, segment(2, live, true)), NEW);
    assert_eq!(to(world, noted, segment(2, live + 1, false)), NEW);
    world.key(KeyEntry { key: 34, id: KEY_ID, place: 3, meta: KeyMeta::direct(0, 0) });
    for forged in [5, 77, live - PROOF] {
        assert_eq!(to(world, noted, segment(2, forged, true)), 3);
        assert_eq!(to(world, noted, segment(2, live + 500, false)), NEW);
    }
    // A newer SYN takes the place of a forged one, and a connection that uses the tuple again gets through.
    assert_eq!(to(world, noted, segment(2, 9_000_000, true)), 3);
    assert_eq!(to(world, noted, segment(2, 9_000_001, false)), 3);
    // What is sent again goes where it went.
    assert_eq!(to(world, noted, segment(4, 50, true)), 3);
    world.key(KeyEntry { key: 34, id: KEY_ID, place: 0, meta: KeyMeta::direct(0, 0) });
    assert_eq!(to(world, noted, segment(4, 50, true)), 3);
    assert_eq!(to(world, noted, segment(4, 51, false)), 3);
}

#[test]
fn a_move_that_is_taken_back_keeps_the_flows_of_both() {
    let (world, noted) = &mut moving();
    assert_eq!(to(world, noted, segment(1, 1, true)), NEW);
    assert_eq!(to(world, noted, segment(1, 2, false)), NEW);
    // Back to the old shard, with strays on the new one.
    world.key(KeyEntry { key: 34, id: KEY_ID, place: OLD, meta: KeyMeta::direct(0, 0) });
    world.moves = vec![(key_move(KEY_ID), Move::from_shard(UNIT, OLD).stray(true))];
    assert_eq!(to(world, noted, segment(1, 3, false)), NEW);
    assert_eq!(to(world, noted, segment(2, 3, false)), OLD);
    assert_eq!(to(world, noted, segment(3, 3, true)), OLD);
    assert_eq!(noted.left, [(UNIT, 1)].into());
    assert_eq!(noted.pins.len(), 1);
}

#[test]
fn datagrams_flip_or_are_held() {
    let (world, noted) = &mut moving();
    assert_eq!(to(world, noted, datagram(1, 53, &[0; 9])), NEW);
    world.moves[0].1 = world.moves[0].1.hold(true);
    assert_eq!(to(world, noted, datagram(1, 53, &[0; 9])), OLD);
    assert_eq!(noted.left, [(UNIT, 1)].into());
}

#[test]
fn quic_opens_by_initial_and_is_proved_by_handshake() {
    let (world, noted) = &mut moving();
    let (initial, early, handshake, short) = (0xc0, 0xd0, 0xe0, 0x40);
    assert_eq!(to(world, noted, quic(1, short)), OLD);
    assert_eq!(to(world, noted, quic(1, handshake)), OLD);
    assert_eq!(to(world, noted, quic(2, initial)), NEW);
    assert_eq!(to(world, noted, quic(2, early)), NEW);
    // A forged Initial diverts no short header.
    assert_eq!(to(world, noted, quic(1, initial)), NEW);
    assert_eq!(to(world, noted, quic(1, short)), OLD);
    assert_eq!(to(world, noted, quic(2, handshake)), NEW);
    assert_eq!(to(world, noted, quic(2, short)), NEW);
    assert_eq!(to(world, noted, quic(2, initial)), NEW);
    assert_eq!(to(world, noted, quic(2, short)), NEW);
}

#[test]
fn an_old_placement_may_be_of_any_width() {
    let (world, noted) = &mut moving();
    // Rows of two: shards 0 and 1 in row 5; before, the same flow had the one or the other.
    world.old_slots = (0..2 * SLOTS).map(|cell| (cell % 2) as Slot).collect();
    world.old_tables = vec![SlotTable::new(0, 2, 0), SlotTable::new(0, WIDTH_ALL, 0)];
    for table in [0, 1] {
        world.moves = vec![(key_move(KEY_ID), Move::from_table(UNIT, table, 5))];
        let mut seen = [0; 2];
        for port in 1..200 {
            let shard = to(world, noted, segment(port, 9, false));
            seen[usize::from(shard)] += 1;
            assert_eq!(to(world, noted, segment(port, 10, false)), shard);
        }
        assert!(seen.iter().all(|seen| *seen > 60), "{seen:?}");
    }
}

#[test]
fn a_shard_that_died_keeps_nobody_and_one_that_recovers_takes_nobody_away() {
    let (world, noted) = &mut moving();
    world.config.overlay = 1;
    assert_eq!(to(world, noted, segment(1, 1, false)), OLD);
    world.shard_words = vec![(u32::from(OLD), shard_word::DOWN)];
    assert_eq!(to(world, noted, segment(1, 2, false)), NEW);
    // The new one dies: its flows go to another, which opens flows meanwhile.
    world.moves.clear();
    world.shard_words = vec![(u32::from(NEW), shard_word::DOWN)];
    let other = to(world, noted, segment(1, 3, true));
    assert!(other != NEW && other != NO_SHARD);
    // It recovers: who opened elsewhere stays, by share others open on it.
    let recovers = |share: u64| vec![(u32::from(NEW), shard_word::RECOVERING | share << shard_word::SHARE)];
    world.shard_words = recovers(127);
    let mut opened = 0;
    for port in 1..1_000 {
        assert_eq!(to(world, noted, segment(port, 3, false)), other);
        noted.room = 10_000;
        opened += u32::from(to(world, noted, segment(port, 100, true)) == NEW);
        let back = to(world, noted, segment(port, 101, false));
        assert!(back == other || back == NEW);
    }
    assert!((400..600).contains(&opened), "{opened}");
    assert!(noted.left[&shard_unit(NEW)] > 900);
    world.shard_words = recovers(255);
    assert_eq!(to(world, noted, segment(2_000, 100, true)), NEW);
    // All are down: the chosen one is asked all the same; but not one that an operator disabled.
    world.shard_words = (0..4).map(|shard| (shard, shard_word::DOWN)).collect();
    assert_eq!(to(world, noted, segment(1, 3, true)), NEW);
    world.shard_words[usize::from(NEW)].1 = shard_word::DISABLED;
    let other = to(world, noted, segment(1, 3, true));
    assert!(other != NEW && other != NO_SHARD);
    world.shard_words = (0..4).map(|shard| (shard, shard_word::DOWN | shard_word::DISABLED)).collect();
    let (action, _) = world.decide(&mut segment(1, 3, true), noted);
    assert_eq!(action, Action::Drop);
}
