//! ICMP errors about tunnels: to the shard of the flow that they quote, and charged to its key.

use std::collections::BTreeSet;
use std::net::IpAddr;

use keysteer_common::headers::found;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::{Header, Inside, Packet};
use keysteer_tests::lab::mac;

use crate::table::{A, Expect, table_of};

const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: quoted}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope: [{destinations: [203.0.113.0/24, "2001:db8:10::/48"]}]
  schemas:
    - version: 1
      fields: [{name: network, from: vxlan.vni}, {name: circuit, from: gre.key}]
      levels: [[network], [circuit]]
  shards:
    - {name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
    - {name: b, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
    - {name: c, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
  pools: [{name: all, shards: [a, b, c]}, {name: b, shards: [b]}]
  keys:
    - {name: network, match: {network: 77}, pool: b}
    - {name: wide-network, match: {network: 78}, pool: all, width: all}
    - {name: circuit, match: {circuit: 0xfeedbeef}, pool: all, width: all}
  classes: {missing: drop, unregistered: pass}
"#;

#[test]
fn an_error_about_a_tunnels_packet_goes_where_its_flow_goes() {
    let inner = || Packet::between("192.0.2.1", "198.51.100.7");
    let vxlan = |vni| (Header::Vxlan { vni, policy: None }, Inside::Ethernet(inner()));
    let gre = |key| (Header::Gre { checksum: false, key: Some(key), sequence: None }, Inside::Ip(inner()));
    table_of(
        POLICY,
        |_| {},
        |_, mut table| {
            for (key, (header, inside)) in
                [("network", vxlan(77)), ("wide-network", vxlan(78)), ("circuit", gre(0xfeed_beef))]
            {
                let mut shards = BTreeSet::new();
                for end in 1..=20 {
                    for (source, destination, router, kind) in [
                        (format!("10.1.2.{end}"), "203.0.113.9", "10.9.9.9", 3),
                        (format!("2001:db8:1::{end:x}"), "2001:db8:10::9", "2001:db8:9::9", 2),
                    ] {
                        let mut flow = Packet::tunnel(&source, destination, header.clone(), inside.clone());
                        // Both ends send from the port that they listen at: so an answer is of the same flow.
                        flow.ports.0 = flow.ports.1;
                        let at = table.run("the flow", &flow.bytes(), 0).work.record.decision.shard;
                        let shard = ["a", "b", "c"][usize::from(at)];
                        shards.insert(shard);
                        let error = flow.error(router.parse::<IpAddr>().unwrap(), kind);
                        let steered = Expect::redirected(key, shard, Verdict::Interface, [A, mac(1)]);
                        let outcome = table.says("an error about it", &error, &steered);
                        assert!(outcome.work.headers.has(found::QUOTED));
                    }
                }
                assert_eq!(shards.len(), if key == "network" { 1 } else { 3 }, "{key}");
            }
            let (header, inside) = gre(5);
            let flow = Packet::tunnel("10.1.2.3", "203.0.113.9", header, inside);
            let unregistered = Expect::class(Class::Unregistered, Reason::ClassPass);
            let error = flow.error("10.9.9.9".parse::<IpAddr>().unwrap(), 3);
            table.says("an error about a flow that nobody has", &error, &unregistered);
        },
    );
}
