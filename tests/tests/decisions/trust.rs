//! Who may assert a key: what is claimed without right is counted by key and interface, and never charged to the key.

use keysteer::counters::add;
use keysteer::kernel::Dataplane;
use keysteer_common::account::Counter;
use keysteer_common::forward::Action;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::Packet;
use keysteer_tests::lab::{Lab, lab, mac};

use crate::table::{A, Expect, Table, table_of};

const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: trust}
spec:
  environment: test
  interfaces: [{name: eth0}, {name: veth-a}, {name: veth-b}, {name: veth-c}]
  scope: [{destinations: [203.0.113.0/24, "2001:db8:10::/48"]}]
  schemas:
    - version: 1
      fields: [{name: tenant, from: ip.dscp}, {name: port, from: l4.dst_port}]
      levels: [[tenant, port], [tenant]]
  shards: [{name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}]
  pools: [{name: a, shards: [a]}]
  keys:
    - {name: acme, match: {tenant: 10}, pool: a, sources: [10.1.0.0/16, "2001:db8:1::/48"]}
    - {name: globex, match: {tenant: 11}, pool: a, sources: [10.1.7.0/24, 10.2.0.0/16]}
    - {name: initech, match: {tenant: 12}, pool: a}
    - {name: acme-web, match: {tenant: 10, port: 443}, pool: a, sources: [10.1.7.0/24]}
  trust:
    default: trusted
    interfaces:
      eth0: {mode: verify}
      veth-a: {mode: trusted, carriers: [ip.dscp]}
      veth-b: {mode: ignore}
  classes: {missing: pass, unregistered: pass}
"#;

/// From an address, as a tenant, to a port.
fn packet(from: &str, tenant: u8, port: u16) -> Packet {
    let to = if from.contains(':') { "2001:db8:10::9" } else { "203.0.113.9" };
    let mut packet = Packet { dscp: tenant, ..Packet::between(from, to) };
    packet.ports.1 = port;
    packet
}

/// A packet's sentence: from, tenant, port, by which interface, and what becomes of it.
type Sentence = (&'static str, &'static str, u8, u16, &'static str, Is);

#[derive(Clone, Copy)]
enum Is {
    /// Steered as the key.
    Of(&'static str),
    /// It claims the key without right.
    Claims(&'static str),
    /// It has none.
    Missing,
}

const SENTENCES: [Sentence; 16] = [
    ("a key from its source", "10.1.2.3", 10, 80, "eth0", Is::Of("acme")),
    ("over IPv6 as well", "2001:db8:1::3", 10, 80, "eth0", Is::Of("acme")),
    ("inside of another's prefix", "10.1.7.9", 11, 80, "eth0", Is::Of("globex")),
    ("where prefixes nest, the outer's too", "10.1.7.9", 10, 80, "eth0", Is::Of("acme")),
    ("the most specific key", "10.1.7.9", 10, 443, "eth0", Is::Of("acme-web")),
    ("a wrong source", "10.1.2.3", 11, 80, "eth0", Is::Claims("globex")),
    ("another's source", "10.2.2.3", 10, 80, "eth0", Is::Claims("acme")),
    ("a source of nobody", "192.0.2.1", 10, 80, "eth0", Is::Claims("acme")),
    ("a source of nobody over IPv6", "2001:db8:2::3", 10, 80, "eth0", Is::Claims("acme")),
    ("a more specific key than it may use", "10.1.2.3", 10, 443, "eth0", Is::Claims("acme-web")),
    ("proof that cannot be had", "10.1.2.3", 12, 80, "eth0", Is::Claims("initech")),
    ("no proof where none is asked for", "10.1.2.3", 12, 80, "veth-a", Is::Of("initech")),
    ("a port that is not read there", "10.1.2.3", 10, 443, "veth-a", Is::Of("acme")),
    ("a wrong source where all is trusted", "192.0.2.1", 11, 80, "veth-a", Is::Claims("globex")),
    ("an interface that has no keys", "10.1.2.3", 10, 80, "veth-b", Is::Missing),
    ("an interface that is not named", "192.0.2.1", 12, 80, "veth-c", Is::Of("initech")),
];

fn say(lab: &Lab, table: &mut Table<'_>, drops: bool) {
    for (sentence, from, tenant, port, interface, is) in SENTENCES {
        let index = lab.index(interface);
        let expect = match is {
            Is::Of(key) => Expect::redirected(key, "a", Verdict::Interface, [A, mac(1)]),
            Is::Missing => Expect::class(Class::Missing, Reason::ClassPass),
            Is::Claims(key) if drops => {
                let class = Expect::class(Class::Unauthenticated, Reason::ClassDrop);
                Expect { claim: Some((key, index)), ..class }
            }
            // Spread over a pool as a class, which is no more the key's than when it is dropped.
            Is::Claims(key) => Expect {
                claim: Some((key, index)),
                shard: Some("a"),
                macs: Some([A, mac(1)]),
                ..Expect::of(Action::Redirect, Class::Unauthenticated, Verdict::Interface, Reason::Steered)
            },
        };
        table.frame(sentence, &packet(from, tenant, port).bytes(), index, &expect);
    }
}

#[test]
fn a_key_that_is_claimed_without_right_is_never_charged() {
    table_of(POLICY, |_| {}, |lab, mut table| say(lab, &mut table, true));
}

#[test]
fn what_is_claimed_without_right_goes_where_its_class_does() {
    let policy = POLICY.replace("unregistered: pass}", "unregistered: pass, unauthenticated: {pool: a}}");
    table_of(&policy, |_| {}, |lab, mut table| say(lab, &mut table, false));
}

/// More pairs of key and interface than are told apart: the rest is counted together, and nothing is lost.
#[test]
fn claims_without_room_are_counted_together() {
    const KEYS: u16 = 4_200;
    let (head, tail) = POLICY.split_once("  schemas:").unwrap();
    let mut policy =
        format!("{head}  schemas: [{{version: 1, fields: [{{name: port, from: l4.dst_port}}]}}]\n");
    let (_, places) = tail.split_once("  shards:").unwrap();
    policy += &format!("  shards:{}  keys:\n", places.split_once("  keys:\n").unwrap().0);
    for port in 1..=KEYS {
        policy +=
            &format!("    - {{name: k{port}, match: {{port: {port}}}, pool: a, sources: [192.0.2.0/24]}}\n");
    }
    lab(|lab| {
        let (_, image) = lab.compile(&policy, "table").unwrap();
        let dataplane = Dataplane::load(&image).unwrap();
        let mut bytes = 0;
        for port in 1..=KEYS {
            let frame = packet("10.1.2.3", 0, port).bytes();
            bytes += frame.len() as u64;
            dataplane.forward_run(&frame, 0).unwrap();
        }
        let counters = dataplane.counters().unwrap();
        let mut sum = Counter::default();
        counters.claims.values().for_each(|claim| add(&mut sum, *claim));
        assert_eq!(sum, Counter { packets: KEYS.into(), bytes });
        assert_eq!(sum, counters.class(Class::Unauthenticated));
        assert_eq!(counters.claims.len(), 4_096);
        assert_eq!(counters.claims[&(0, 0)].packets, u64::from(KEYS) - 4_095);
        assert!(counters.keys.iter().all(|key| key.packets == 0), "none is charged");
    });
}
