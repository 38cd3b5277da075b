//! Entries that no policy makes, and the proof that a wrong one is seen.

use keysteer_common::headers::NO_SHARD;
use keysteer_common::vocabulary::{Class, Reason};
use keysteer_tests::frames::Packet;
use keysteer_tests::lab::lab;
use keysteer_tests::pair::{Difference, Pair};

use crate::table::{Expect, POLICY, acme, table_of};

#[test]
fn a_wrong_entry_in_the_kernels_slots_is_seen() {
    lab(|lab| {
        let (_, image) = lab.compile(POLICY, "planted").unwrap();
        let mut pair = Pair::new(&image).unwrap();
        let slot = pair.run(&acme(0).bytes(), 0).unwrap().work.decision.slot as usize;
        let mut wrong = image.clone();
        wrong.slots[slot] ^= 1;
        let mut pair = Pair::of(&wrong, &image).unwrap();
        match pair.run(&acme(0).bytes(), 0) {
            Err(Difference::Frame { kernel, host }) => {
                assert_ne!(kernel.work.decision.shard, host.work.decision.shard);
            }
            other => panic!("the planted entry was not seen: {other:?}"),
        }
        // The frame went to another shard, so that the counters tell as well.
        assert!(matches!(pair.counters(), Err(Difference::Counters(_))));
    });
}

#[test]
fn a_slot_without_a_shard_drops_and_says_so() {
    for word in [u64::from(NO_SHARD), 60_000] {
        table_of(
            POLICY,
            |image| image.slots.fill(word),
            |_, mut table| {
                let outcome = table.run("no shard", &acme(0).bytes(), 0);
                let decision = outcome.work.decision;
                assert_eq!((decision.reason, decision.class), (Reason::NoShard as u8, Class::Assigned as u8));
                let umbrella = Packet::between("10.2.0.1", "203.0.113.9");
                let outcome = table.run("nor for a class", &umbrella.bytes(), 0);
                assert_eq!(outcome.work.decision.reason, Reason::NoShard as u8);
                table.counters("no shard");
            },
        );
    }
    table_of(
        POLICY,
        |image| image.slots.fill(NO_SHARD.into()),
        |_, mut table| {
            table.says("no shard", &acme(0), &Expect::dropped("acme", None, Reason::NoShard));
        },
    );
}
