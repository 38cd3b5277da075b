//! Entries that no policy makes, and the proof that a wrong one is seen.

use keysteer_common::headers::NO_SHARD;
use keysteer_common::vocabulary::{Class, Reason};
use keysteer_tests::frames::Packet;
use keysteer_tests::lab::lab;
use keysteer_tests::pair::{Difference, Pair};

use crate::table::{Expect, POLICY, acme, table_of};

#[test]
fn a_wrong_entry_in_the_kernels_keys_is_seen() {
    lab(|lab| {
        let (_, image) = lab.compile(POLICY, "planted").unwrap();
        let mut wrong = image.clone();
        wrong.keys.iter_mut().for_each(|entry| entry.place ^= 1);
        let mut pair = Pair::of(&wrong, &image, true).unwrap();
        match pair.run(&acme(0).bytes(), 0) {
            Err(Difference::Frame { kernel, host }) => {
                assert_ne!(kernel.work.record.decision.shard, host.work.record.decision.shard);
            }
            other => panic!("the planted entry was not seen: {other:?}"),
        }
        // The frame went to another shard, so that the counters tell as well.
        assert!(matches!(pair.counters(), Err(Difference::Counters(_))));
    });
}

#[test]
fn a_slot_without_a_shard_drops_and_says_so() {
    for slot in [NO_SHARD, 60_000] {
        table_of(
            POLICY,
            |image| {
                image.slots.fill(slot);
                image.keys.iter_mut().for_each(|entry| entry.place = slot);
            },
            |_, mut table| {
                let outcome = table.run("no shard", &acme(0).bytes(), 0);
                let decision = outcome.work.record.decision;
                assert_eq!((decision.reason, decision.class), (Reason::NoShard as u8, Class::Assigned as u8));
                let umbrella = Packet::between("10.2.0.1", "203.0.113.9");
                let outcome = table.run("nor for a class", &umbrella.bytes(), 0);
                assert_eq!(outcome.work.record.decision.reason, Reason::NoShard as u8);
                table.counters("no shard");
            },
        );
    }
    table_of(
        POLICY,
        |image| {
            image.slots.fill(NO_SHARD);
            image.keys.iter_mut().for_each(|entry| entry.place = NO_SHARD);
        },
        |_, mut table| {
            table.says("no shard", &acme(0), &Expect::dropped("acme", None, Reason::NoShard));
        },
    );
}
