//! Later fragments of a key that only their first has: what the policy says, and those that follow.

use std::collections::BTreeSet;

use keysteer_common::forward::Action;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::{Gtpu, Header, Inside, Packet};
use keysteer_tests::lab::mac;

use crate::table::{A, Expect, Table, table_of};

/// By the tunnel's end, wide, all shards behind one interface.
const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: fragments}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope: [{services: [any]}]
  schemas: [{version: 1, fields: [{name: tenant, from: gtpu.teid}]}]
  shards:
    - {name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
    - {name: b, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
    - {name: c, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
  pools: [{name: all, shards: [a, b, c]}, {name: c, shards: [c]}]
  keys:
    - {name: wide, match: {tenant: 1}, pool: all, width: all}
    - {name: other, match: {tenant: 2}, pool: c}
    - {name: denied, match: {tenant: 3}, deny: true}
  classes: {missing: pass, unregistered: pass}
"#;

/// With what is said of fragments.
fn policy(fragments: &str) -> String {
    format!("{POLICY}  fragments: {fragments}\n")
}

/// A tunnel's packet, of either family, from one of many ends.
fn whole(four: bool, end: u8, teid: u32) -> Packet {
    let inside = Inside::Ip(Packet::between("192.0.2.1", "198.51.100.7"));
    let header = Header::Gtpu(Gtpu { teid, ..Gtpu::default() });
    if four {
        Packet::tunnel(&format!("10.1.2.{end}"), "203.0.113.9", header, inside)
    } else {
        Packet::tunnel(&format!("2001:db8:1::{end:x}"), "2001:db8:10::9", header, inside)
    }
}

fn first(packet: &Packet) -> Packet {
    Packet { fragment: Some((0, true)), ..packet.clone() }
}

/// One in the middle, and the last.
fn later(packet: &Packet) -> [Packet; 2] {
    [(185, true), (370, false)].map(|place| Packet { fragment: Some(place), payload: 32, ..packet.clone() })
}

fn to(key: &'static str, shard: &'static str) -> Expect {
    Expect::redirected(key, shard, Verdict::Interface, [A, mac(1)])
}

/// The shard that a packet goes to.
fn shard(table: &mut Table<'_>, packet: &Packet) -> &'static str {
    let at = table.run("a first fragment", &packet.bytes(), 0).work.record.decision.shard;
    ["a", "b", "c"][usize::from(at)]
}

#[test]
fn they_meet_what_the_policy_says_of_them() {
    let pool = Expect {
        shard: Some("c"),
        macs: Some([A, mac(1)]),
        ..Expect::of(Action::Redirect, Class::Missing, Verdict::Interface, Reason::Steered)
    };
    let missing = |reason| Expect::class(Class::Missing, reason);
    for (policy, expect) in [
        (POLICY.to_owned(), missing(Reason::FragmentPass)),
        (policy("pass"), missing(Reason::FragmentPass)),
        (policy("drop"), missing(Reason::FragmentDrop)),
        (policy("{pool: c}"), pool),
    ] {
        table_of(
            &policy,
            |_| {},
            |_, mut table| {
                for four in [true, false] {
                    let packet = whole(four, 1, 2);
                    table.says("the first has the key", &first(&packet), &to("other", "c"));
                    for packet in later(&packet) {
                        table.says("a later one has none", &packet, &expect);
                    }
                    let plain = Packet { ports: (1, 2), ..Packet::between("10.1.2.3", "203.0.113.9") };
                    table.says("a whole one without", &plain, &missing(Reason::ClassPass));
                }
            },
        );
    }
}

#[test]
fn they_follow_their_first_to_its_shard_and_are_charged_to_its_key() {
    table_of(
        &policy("{table: 1024, otherwise: drop}"),
        |_| {},
        |_, mut table| {
            let mut shards = BTreeSet::new();
            let overtaken = Expect::class(Class::Missing, Reason::FragmentDrop);
            for (four, end) in [true, false].into_iter().flat_map(|four| (1..=20).map(move |end| (four, end)))
            {
                let packet = whole(four, end, 1);
                for packet in later(&packet) {
                    table.says("one that overtook its first", &packet, &overtaken);
                }
                let chosen = shard(&mut table, &first(&packet));
                shards.insert(chosen);
                for packet in later(&packet) {
                    table.says("one that follows", &packet, &to("wide", chosen));
                }
                for other in later(&Packet { source: packet.destination, ..packet.clone() }) {
                    table.says("one of another datagram", &other, &overtaken);
                }
            }
            assert_eq!(shards.len(), 3, "a wide key's datagrams spread");
            let packet = whole(true, 1, 3);
            table.says("denied", &first(&packet), &Expect::dropped("denied", None, Reason::Denied));
            for packet in later(&packet) {
                let denied = Expect::dropped("denied", None, Reason::Denied);
                table.says("the datagram is another's by now, and denied", &packet, &denied);
            }
        },
    );
}
