//! More shards than one per-CPU value counts.

use std::fmt::Write as _;

use keysteer_common::account::TALLY_SHARDS;
use keysteer_common::forward::Action;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::{Packet, SYN, Transport};

use crate::table::{Expect, table_of};

/// Shards at both ends of two values, and the last.
const KEYS: [(&str, &str, usize); 5] = [
    ("k0", "s0", 0),
    ("k1", "s1", TALLY_SHARDS - 1),
    ("k2", "s2", TALLY_SHARDS),
    ("k3", "s3", 2 * TALLY_SHARDS - 1),
    ("k4", "s4", 2 * TALLY_SHARDS + 44),
];

/// A key for each of [`KEYS`], alone on its shard; every other shard is there and unused.
fn policy() -> String {
    let mut text = String::from(
        "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {name: many}\nspec:\n  \
         environment: test\n  interfaces: [{name: eth0}]\n  scope: [{destinations: [203.0.113.0/24]}]\n  \
         schemas:\n    - {version: 1, fields: [{name: product, from: ip.dscp}], levels: [[product]]}\n  shards:\n",
    );
    for index in 0..=KEYS[4].2 {
        let used = KEYS.iter().find(|(_, _, at)| *at == index);
        let name = used.map_or(format!("unused-{index}"), |(_, name, _)| (*name).to_owned());
        let target = if index % 2 == 0 { "pass" } else { "drop" };
        let _ = writeln!(text, "    - {{name: {name}, target: {target}}}");
    }
    text.push_str("  pools:\n");
    for (_, shard, _) in KEYS {
        let _ = writeln!(text, "    - {{name: {shard}, shards: [{shard}]}}");
    }
    text.push_str("  keys:\n");
    for (number, (key, shard, _)) in KEYS.iter().enumerate() {
        let _ = writeln!(text, "    - {{name: {key}, match: {{product: {number}}}, pool: {shard}}}");
    }
    text
}

#[test]
fn every_shard_is_counted_however_many_there_are() {
    table_of(
        &policy(),
        |_| {},
        |_, mut table| {
            for (dscp, (key, shard, index)) in (0..).zip(KEYS) {
                let expect = if index % 2 == 0 {
                    let passed = Expect::of(Action::Pass, Class::Assigned, Verdict::Pass, Reason::Steered);
                    Expect { key: Some(key), shard: Some(shard), ..passed }
                } else {
                    Expect::dropped(key, Some(shard), Reason::TargetDrop)
                };
                let packet = Packet { dscp, ..Packet::between("10.1.2.3", "203.0.113.9") };
                table.says("a datagram", &packet, &expect);
                let opens = Expect { opens: true, ..expect };
                let syn = Packet { transport: Transport::Tcp(SYN), ..packet };
                table.says("a segment that opens a flow", &syn, &opens);
            }
        },
    );
}
