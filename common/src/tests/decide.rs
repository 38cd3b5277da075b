//! Sentence, input, verdict, exact output bytes, exactly the counts that moved.

use crate::account::drop_slot;
use crate::config::{SERVICES_IN_TABLE, class_action};
use crate::forward::Action;
use crate::headers::NO_SHARD;
use crate::tables::{KeyEntry, KeyMeta, Service, ServiceSet, SlotTable, target};
use crate::vocabulary::{Class, Reason, Verdict};

use super::world::{Count, KEY_ID, NODE_MAC, Noted, SHARD_MAC, World, syn6, udp4};

const BYTES: u64 = 62;

fn node(class: Class, verdict: Verdict, reason: Reason) -> Count {
    Count::Node(class, verdict, reason, BYTES)
}

#[test]
fn a_registered_key_is_rewritten_and_redirected() {
    let world = World::new();
    let (mut frame, mut noted) = (udp4(), Noted::default());
    let (action, work) = world.decide(&mut frame, &mut noted);
    assert_eq!(action, Action::Redirect);
    let mut expected = udp4();
    expected[..6].copy_from_slice(&SHARD_MAC);
    expected[6..12].copy_from_slice(&NODE_MAC);
    assert_eq!(frame, expected);
    assert_eq!(
        (work.record.decision.key_id, work.record.decision.shard, work.record.decision.level),
        (KEY_ID, 0, 0)
    );
    assert_eq!(
        noted.counts,
        [
            node(Class::Assigned, Verdict::Interface, Reason::Steered),
            Count::Shard { index: 0, bytes: BYTES },
            Count::Key { id: KEY_ID, bytes: BYTES },
        ]
    );
}

#[test]
fn a_syn_counts_as_an_opened_flow() {
    let (mut frame, mut noted) = (syn6(), Noted::default());
    World::new().decide(&mut frame, &mut noted);
    assert!(noted.counts.contains(&Count::Opened { key: Some(KEY_ID), shard: Some(0) }));
}

#[test]
fn a_denied_key_is_dropped_untouched_and_charged_to_no_shard() {
    let mut world = World::new();
    world.deny();
    let (mut frame, mut noted) = (udp4(), Noted::default());
    let (action, work) = world.decide(&mut frame, &mut noted);
    assert_eq!((action, frame, work.record.decision.shard), (Action::Drop, udp4(), NO_SHARD));
    assert_eq!(
        noted.counts,
        [
            node(Class::Assigned, Verdict::Drop, Reason::Denied),
            Count::Key { id: KEY_ID, bytes: BYTES },
            Count::KeyDropped { id: KEY_ID, bytes: BYTES, drop: drop_slot(Reason::Denied).unwrap() },
        ]
    );
}

#[test]
fn foreign_traffic_is_untouched_and_charged_to_nobody() {
    let mut world = World::new();
    world.config.scope.v4.value = 0;
    let (mut frame, mut noted) = (udp4(), Noted::default());
    let (action, _) = world.decide(&mut frame, &mut noted);
    assert_eq!((action, frame), (Action::Pass, udp4()));
    assert_eq!(noted.counts, [node(Class::Foreign, Verdict::Pass, Reason::OutOfScope)]);
}

#[test]
fn a_port_outside_the_services_is_foreign_and_a_fragment_goes_by_protocol() {
    let mut world = World::new();
    let service = Service::new(17, 500, 600);
    let mut set = ServiceSet { len: 1, ..ServiceSet::default() };
    set.services[0] = service;
    world.services = vec![ServiceSet::default(), set];
    // As one of several sets, and as the only one.
    for (in_table, len) in [(true, SERVICES_IN_TABLE), (false, 1)] {
        world.config.services_len = len;
        world.config.services[0] = if in_table { Service::default() } else { service };
        port_and_fragment(&world);
    }
}

fn port_and_fragment(world: &World) {
    let (mut frame, mut noted) = (udp4(), Noted::default());
    world.decide(&mut frame, &mut noted);
    assert_eq!(noted.counts, [node(Class::Foreign, Verdict::Pass, Reason::OutOfScope)]);
    let (mut fragment, mut noted) = (udp4(), Noted::default());
    fragment[20] = 0x20;
    let (_, work) = world.decide(&mut fragment, &mut noted);
    assert_eq!(work.record.decision.class, Class::Assigned as u8);
}

#[test]
fn an_unregistered_key_meets_its_class_policy() {
    let mut world = World::new();
    let mut other = udp4();
    other[15] = 12 << 2;
    let (mut frame, mut noted) = (other.clone(), Noted::default());
    let (action, work) = world.decide(&mut frame, &mut noted);
    assert_eq!((action, frame, work.record.decision.key_id), (Action::Pass, other.clone(), 0));
    assert_eq!(noted.counts, [node(Class::Unregistered, Verdict::Pass, Reason::ClassPass)]);

    world.config.classes[Class::Unregistered as usize].action = class_action::DROP;
    let (mut frame, mut noted) = (other.clone(), Noted::default());
    assert_eq!(world.decide(&mut frame, &mut noted).0, Action::Drop);
    assert_eq!(noted.counts, [node(Class::Unregistered, Verdict::Drop, Reason::ClassDrop)]);

    world.config.classes[Class::Unregistered as usize].action = class_action::STEER;
    let (mut frame, mut noted) = (other, Noted::default());
    let (action, work) = world.decide(&mut frame, &mut noted);
    assert_eq!(action, Action::Redirect);
    assert_eq!(u32::from(work.record.decision.shard), work.record.decision.flow % 2);
    assert_eq!(noted.counts.len(), 2, "the node and the shard, no key: {:?}", noted.counts);
}

#[test]
fn a_key_without_its_fields_is_missing() {
    let mut world = World::new();
    world.config.fields[0][0].carrier = crate::carrier::Carrier::VlanId as u8;
    let (mut frame, mut noted) = (udp4(), Noted::default());
    world.decide(&mut frame, &mut noted);
    assert_eq!(noted.counts, [node(Class::Missing, Verdict::Pass, Reason::ClassPass)]);
}

#[test]
fn a_broken_packet_to_us_is_malformed() {
    let mut world = World::new();
    world.config.classes[Class::Malformed as usize].action = class_action::DROP;
    let (mut frame, mut noted) = (udp4(), Noted::default());
    frame[17] = 200;
    assert_eq!(world.decide(&mut frame, &mut noted).0, Action::Drop);
    assert_eq!(noted.counts, [node(Class::Malformed, Verdict::Drop, Reason::ClassDrop)]);
}

#[test]
fn an_exit_that_has_gone_is_a_named_drop_of_key_and_shard() {
    let world = World::new();
    let (mut frame, mut noted) = (udp4(), Noted { gone: true, ..Noted::default() });
    assert_eq!(world.decide(&mut frame, &mut noted).0, Action::Drop);
    assert_eq!(
        noted.counts,
        [
            node(Class::Assigned, Verdict::Drop, Reason::NoExit),
            Count::Shard { index: 0, bytes: BYTES },
            Count::Key { id: KEY_ID, bytes: BYTES },
            Count::KeyDropped { id: KEY_ID, bytes: BYTES, drop: drop_slot(Reason::NoExit).unwrap() },
            Count::ShardDropped(0),
        ]
    );
}

#[test]
fn each_target_leaves_in_its_own_way() {
    for (kind, port, action, verdict) in [
        (target::PASS, 0, Action::Pass, Verdict::Pass),
        (target::DROP, 0, Action::Drop, Verdict::Drop),
        (target::CPU, 1, Action::Redirect, Verdict::Cpu),
        (target::INTERFACE, 9, Action::Redirect, Verdict::Interface),
        (target::NEXT_HOP, 9, Action::Redirect, Verdict::NextHop),
        (target::NEXT_HOP, 3, Action::Transmit, Verdict::NextHop),
    ] {
        let mut world = World::new();
        world.shards[0].target = kind;
        world.shards[0].port = port;
        let (mut frame, mut noted) = (udp4(), Noted::default());
        let (taken, work) = world.decide(&mut frame, &mut noted);
        assert_eq!((taken, work.record.decision.verdict), (action, verdict as u8));
        let rewritten = matches!(kind, target::INTERFACE | target::NEXT_HOP);
        assert_eq!(frame != udp4(), rewritten, "target {kind}");
    }
}

#[test]
fn an_empty_slot_is_a_named_drop() {
    let mut world = World::new();
    world.keys.iter_mut().for_each(|key| key.place = NO_SHARD);
    let (mut frame, mut noted) = (udp4(), Noted::default());
    assert_eq!(world.decide(&mut frame, &mut noted).0, Action::Drop);
    assert_eq!(noted.counts[0], node(Class::Assigned, Verdict::Drop, Reason::NoShard));
}

#[test]
fn observing_decides_and_counts_but_touches_nothing() {
    let mut world = World::new();
    world.config.observe = 1;
    let (mut frame, mut noted) = (udp4(), Noted::default());
    assert_eq!(world.decide(&mut frame, &mut noted).0, Action::Pass);
    assert_eq!(frame, udp4());
    assert_eq!(
        noted.counts,
        [
            node(Class::Assigned, Verdict::Observe, Reason::Steered),
            Count::Shard { index: 0, bytes: BYTES },
            Count::Key { id: KEY_ID, bytes: BYTES },
        ]
    );
    world.deny();
    let mut noted = Noted::default();
    assert_eq!(world.decide(&mut frame, &mut noted).0, Action::Pass);
    assert_eq!(noted.counts[0], node(Class::Assigned, Verdict::Observe, Reason::Denied));
}

#[test]
fn a_width_uses_exactly_its_row() {
    let mut world = World::new();
    let slots = 100_000;
    // Row 5 of a table of width 3 has shards 0, 1, 0; everything else would panic the look-up below.
    world.slots = vec![NO_SHARD; slots + 5 * 3 + 3];
    for (column, shard) in [0, 1, 0].into_iter().enumerate() {
        world.slots[slots + 15 + column] = shard;
    }
    world.slot_tables = vec![SlotTable::new(u32::try_from(slots).unwrap(), 3, 0)];
    world.key(KeyEntry { key: 34, id: KEY_ID, place: 5, meta: KeyMeta::spread(0, 0) });
    let mut columns = std::collections::BTreeSet::new();
    for port in 0..200_u16 {
        let mut frame = udp4();
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        let (_, work) = world.decide(&mut frame, &mut Noted::default());
        assert_ne!(work.record.decision.shard, NO_SHARD);
        columns.insert(work.record.decision.slot);
    }
    assert_eq!(columns.len(), 3);
}
