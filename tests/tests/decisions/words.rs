//! What operators say of keys and shards, over what the policy says.

use std::collections::BTreeSet;

use keysteer::image::Image;
use keysteer_common::headers::NO_SHARD;
use keysteer_common::overlay::{key_word, shard_word};
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::Packet;
use keysteer_tests::lab::mac;

use crate::table::{A, B, Expect, POLICY, Table, acme, acme6, table_of};

/// Says `word` of a key, which the image then asks for.
fn of_key(image: &mut Image, name: &str, word: u64) {
    let id = image.names.keys.iter().find(|key| key.name == name).unwrap().id;
    image.words.keys.insert(id, word);
    image.config.overlay = 1;
}

/// Disables a shard.
fn disable(image: &mut Image, name: &str) {
    let (index, _) = image.names.policy_shards().find(|(_, shard)| shard.name == name).unwrap();
    image.words.shards.insert(index.into(), shard_word::DISABLED);
    image.config.overlay = 1;
}

#[test]
fn a_key_is_denied_and_allowed_whatever_the_policy_says() {
    let policy =
        POLICY.replace("{tenant: acme, product: 6}, deny", "{tenant: acme, product: 6}, pool: a, deny");
    let prepare = |image: &mut Image| {
        of_key(image, "acme", key_word::DENY);
        of_key(image, "acme-denied", key_word::ALLOW);
        of_key(image, "acme-c", key_word::ALLOW);
        of_key(image, "acme-all", key_word::DENY | key_word::ALLOW);
    };
    table_of(&policy, prepare, |_, mut table| {
        for (base, family) in [(acme as fn(u8) -> Packet, "IPv4"), (acme6, "IPv6")] {
            let denied = |key| Expect::dropped(key, None, Reason::Denied);
            table.says(&format!("{family}: an operator denied it"), &base(0), &denied("acme"));
            let steered = |key, shard, verdict, macs| Expect::redirected(key, shard, verdict, macs);
            let allowed = steered("acme-denied", "a", Verdict::Interface, [A, mac(1)]);
            table.says(&format!("{family}: an operator allowed it"), &base(6), &allowed);
            table.says(&format!("{family}: denied and allowed is denied"), &base(9), &denied("acme-all"));
            let other = table.run("a key that is steered anyway", &base(2).bytes(), 0);
            assert_eq!(other.work.record.decision.reason, Reason::Steered as u8);
        }
        table.counters("words of keys").balanced().unwrap();
    });
}

/// The shards that flows of a packet go to.
fn shards(table: &mut Table<'_>, base: &Packet) -> BTreeSet<u16> {
    let shard = |port| {
        let packet = Packet { ports: (port, 443), ..base.clone() };
        table.run("a flow", &packet.bytes(), 0).work.record.decision.shard
    };
    (0..300).map(shard).collect()
}

#[test]
fn a_disabled_shard_takes_nothing_and_others_of_its_pool_take_its_packets() {
    let plain = |table: &mut Table<'_>| [acme(8), acme(9)].map(|base| shards(table, &base));
    let mut row = BTreeSet::new();
    table_of(
        POLICY,
        |_| {},
        |_, mut table| {
            let [two, all] = plain(&mut table);
            assert_eq!((two.len(), all.len()), (2, 5));
            row.extend(two);
        },
    );
    // One of the two of the wider key's row.
    let out = *row.first().unwrap();
    let stays = *row.last().unwrap();
    let prepare = |image: &mut Image| {
        let name = image.names.shard(out).unwrap().to_owned();
        disable(image, &name);
    };
    table_of(POLICY, prepare, |_, mut table| {
        let [two, all] = plain(&mut table);
        assert_eq!(two, BTreeSet::from([stays]), "the other of its row takes all");
        assert!(all.len() == 4 && !all.contains(&out), "the others of the pool: {all:?}");
        let counters = table.counters("a disabled shard");
        assert_eq!(counters.shards[usize::from(out)].packets, 0);
        counters.balanced().unwrap();
    });
}

#[test]
fn where_no_other_shard_is_packets_are_dropped_and_counted() {
    table_of(
        POLICY,
        |image| disable(image, "a"),
        |_, mut table| {
            table.says(
                "its only shard is disabled",
                &acme(0),
                &Expect::dropped("acme", None, Reason::NoShard),
            );
            let unregistered = Packet::between("10.2.0.1", "203.0.113.9");
            let dropped = Expect::class(Class::Unregistered, Reason::NoShard);
            table.says("a class whose only shard is disabled", &unregistered, &dropped);
            let other = Expect::redirected("acme-b", "b", Verdict::NextHop, [B, mac(0)]);
            let other = Expect { action: table.run("b", &acme(1).bytes(), 0).action.unwrap(), ..other };
            table.says("a key of another shard goes on", &acme(1), &other);
        },
    );
    let everything = |image: &mut Image| {
        for name in ["a", "b", "c", "cpu", "here"] {
            disable(image, name);
        }
    };
    table_of(POLICY, everything, |_, mut table| {
        for base in [acme(8), acme(9)] {
            assert_eq!(shards(&mut table, &base), BTreeSet::from([NO_SHARD]), "all of the pool are disabled");
        }
        table.counters("nowhere to go").balanced().unwrap();
    });
}
