//! Several versions of the schema, in the order that the policy declares, each counted.

use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::Packet;
use keysteer_tests::lab::mac;

use crate::table::{A, Expect, table_of};

const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: versions}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope: [{services: [any]}]
  schemas:
    - version: 7
      fields:
        - {name: tenant, from: vlan.id, values: {acme: 100, globex: 200}}
        - {name: port, from: l4.dst_port}
      levels: [[tenant, port], [tenant]]
    - version: 3
      fields:
        - {name: tenant, from: ipv6.flow_label, values: {acme: 10, globex: [11, 12]}}
        - {name: port, from: l4.dst_port}
      levels: [[tenant, port], [tenant]]
  shards: [{name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}]
  pools: [{name: a, shards: [a]}]
  keys:
    - {name: acme, match: {tenant: acme}, pool: a}
    - {name: acme-web, match: {tenant: acme, port: 443}, pool: a}
    - {name: globex, match: {tenant: globex}, pool: a}
    - {name: globex-denied, match: {tenant: globex, port: 666}, deny: true}
    - {name: initech, match: {tenant: 20}, schema: 3, pool: a}
  classes: {missing: drop, unregistered: pass}
"#;

/// In a VLAN, with a flow label where it is IPv6, to a port.
fn packet(vlan: Option<u16>, label: Option<u32>, port: u16) -> Packet {
    let base = match label {
        Some(label) => Packet { label, ..Packet::between("2001:db8:1::3", "2001:db8:10::9") },
        None => Packet::between("10.1.2.3", "203.0.113.9"),
    };
    Packet { tags: vlan.map(|vlan| (0x8100, vlan)).into_iter().collect(), ports: (40_000, port), ..base }
}

#[test]
fn the_first_version_with_a_registered_key_decides_and_is_counted() {
    let by = |key, version| Expect {
        version: Some(version),
        ..Expect::redirected(key, "a", Verdict::Interface, [A, mac(1)])
    };
    let denied =
        |version| Expect { version: Some(version), ..Expect::dropped("globex-denied", None, Reason::Denied) };
    let unregistered = || Expect::class(Class::Unregistered, Reason::ClassPass);
    let missing = || Expect::class(Class::Missing, Reason::ClassDrop);
    table_of(
        POLICY,
        |_| {},
        |_, mut table| {
            for (sentence, vlan, label, port, expect) in [
                ("by the first, where the second has nothing", Some(100), None, 80, by("acme", 7)),
                ("by the first, whatever the second says", Some(100), Some(11), 80, by("acme", 7)),
                ("its coarse level before the second's fine one", Some(200), Some(10), 443, by("globex", 7)),
                ("its fine level", Some(100), Some(10), 443, by("acme-web", 7)),
                ("by the second, where the first has nothing", None, Some(11), 80, by("globex", 3)),
                ("another value of that name", None, Some(12), 80, by("globex", 3)),
                ("by the second, where the first has no such key", Some(999), Some(10), 80, by("acme", 3)),
                ("the second's fine level", Some(999), Some(10), 443, by("acme-web", 3)),
                ("a key of the second alone", None, Some(20), 80, by("initech", 3)),
                ("the first's value of it is nothing to the second", Some(20), Some(5), 80, unregistered()),
                ("denied by the first", Some(200), None, 666, denied(7)),
                ("denied by the second", None, Some(12), 666, denied(3)),
                ("a key of neither", Some(999), Some(999), 443, unregistered()),
                ("a value of the second, read by the first", Some(10), None, 443, unregistered()),
                ("nothing of either", None, None, 443, missing()),
            ] {
                let packet = packet(vlan, label, port);
                let decision = table.says(sentence, &packet, &expect).work.record.decision;
                if let Some(version) = expect.version {
                    assert_eq!(decision.schema, u8::from(version == 3), "{sentence}: by which it was read");
                }
            }
            let counters = table.counters("all of them");
            let counted = |version| counters.versions[&version].packets;
            assert_eq!((counters.versions.len(), counted(7), counted(3)), (2, 5, 6));
        },
    );
}
