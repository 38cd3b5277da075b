//! What is said of a packet.

use std::fs;

use keysteer_tests::captures::pcap;
use keysteer_tests::frames::{Packet, Transport};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ENGINES, lines, of, replay};

/// Every kind of field: through a table, a number, a bit range, more than 32 bits.
const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: words}
spec:
  environment: test
  interfaces: [{name: there-is-none}]
  scope:
    - {destinations: [203.0.113.10, "2001:db8:10::/48"], services: [udp/1000-1999]}
  prefixTables:
    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex, "2001:db8:1::/48": acme}
  schemas:
    - version: 7
      fields:
        - {name: tenant, from: ip.src, table: tenants}
        - {name: product, from: ip.dscp}
        - {name: station, from: ethernet.src, bits: {offset: 8, length: 40}}
        - {name: region, from: vlan.id}
      levels: [[tenant, product, region], [tenant], [station]]
  shards:
    - {name: a, target: {interface: {name: nor-this, mac: "02:00:00:00:00:0a"}}}
    - {name: b, target: {nextHop: {interface: nor-this, mac: "02:00:00:00:00:0b"}}}
    - {name: c, target: {cpu: 4000}}
    - {name: d, target: drop}
  pools:
    - {name: left, shards: [a]}
    - {name: right, shards: [b]}
    - {name: below, shards: [c]}
    - {name: away, shards: [d]}
  keys:
    - {name: acme, match: {tenant: acme}, pool: left}
    - {name: acme-video, match: {tenant: acme, product: 34, region: 7}, pool: right}
    - {name: globex, match: {tenant: globex}, deny: true, pool: left}
    - {name: cpu, match: {station: 0x0000005eff}, pool: below}
    - {name: gone, match: {station: 0x0000005e00}, pool: away}
  classes: {missing: {pool: left}, unregistered: {pool: right}, malformed: drop}
"#;

/// A datagram to the service, with what differs.
fn datagram(source: &str, change: impl FnOnce(&mut Packet)) -> Packet {
    let destination = if source.contains(':') { "2001:db8:10::9" } else { "203.0.113.10" };
    let mut packet = Packet::between(source, destination);
    packet.transport = Transport::Udp;
    packet.ports = (40_000, 1_500);
    packet.macs = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 9]];
    change(&mut packet);
    packet
}

/// What is said by both engines of packets.
fn said(packets: &[Packet]) -> Vec<Value> {
    let directory = TempDir::new().unwrap();
    let (policy, capture) = (directory.path().join("policy.yaml"), directory.path().join("c.pcap"));
    fs::write(&policy, POLICY).unwrap();
    let frames: Vec<Vec<u8>> = packets.iter().map(Packet::bytes).collect();
    fs::write(&capture, pcap(frames.iter().map(Vec::as_slice))).unwrap();
    let [kernel, host] = ENGINES.map(|engine| lines(of(replay(engine, &policy, "jsonl"), &[&capture])).0);
    assert_eq!(kernel, host);
    kernel.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_member_says_what_was_decided() {
    let video = |packet: &mut Packet| {
        packet.dscp = 34;
        packet.tags = vec![(0x8100, 3 << 13 | 7)];
    };
    let packets = [
        datagram("10.1.2.3", |_| {}),
        datagram("10.1.2.3", video),
        datagram("2001:db8:1::3", video),
        datagram("10.2.2.3", |_| {}),
        datagram("192.0.2.1", |_| {}),
        datagram("192.0.2.1", |packet| packet.macs[1] = [2, 0, 0, 0, 0x5e, 0xff]),
        datagram("192.0.2.1", |packet| packet.macs[1] = [2, 0, 0, 0, 0x5e, 0]),
        datagram("10.1.2.3", |packet| packet.ports.1 = 80),
        datagram("10.1.2.3", |packet| packet.kept = Some(3)),
        datagram("2001:db8:99::1", |_| {}),
    ];
    let wanted = [
        json!({"packet": 1, "verdict": "interface", "reason": "steered", "class": "assigned", "key": "acme",
            "key_id": 1, "schema": 7, "level": 1, "pool": "left", "shard": "a",
            "fields": {"tenant": 0x0a01_0203, "product": 0, "station": "0x0000000009"}}),
        json!({"packet": 2, "verdict": "next_hop", "reason": "steered", "class": "assigned", "key": "acme-video",
            "key_id": 2, "schema": 7, "level": 0, "pool": "right", "shard": "b",
            "fields": {"tenant": 0x0a01_0203, "product": 34, "station": "0x0000000009", "region": 7}}),
        json!({"packet": 3, "verdict": "next_hop", "reason": "steered", "class": "assigned", "key": "acme-video",
            "key_id": 2, "schema": 7, "level": 0, "pool": "right", "shard": "b",
            "fields": {"tenant": "0x20010db8000100000000000000000003", "product": 34,
                "station": "0x0000000009", "region": 7}}),
        json!({"packet": 4, "verdict": "drop", "reason": "denied", "class": "assigned", "key": "globex",
            "key_id": 3, "schema": 7, "level": 1, "pool": null, "shard": null,
            "fields": {"tenant": 0x0a02_0203, "product": 0, "station": "0x0000000009"}}),
        // In no prefix: what was extracted is told all the same.
        json!({"packet": 5, "verdict": "next_hop", "reason": "steered", "class": "unregistered", "key": null,
            "key_id": 0, "schema": 7, "level": null, "pool": "right", "shard": "b",
            "fields": {"tenant": 0xc000_0201_u32, "product": 0, "station": "0x0000000009"}}),
        json!({"packet": 6, "verdict": "cpu", "reason": "steered", "class": "assigned", "key": "cpu",
            "key_id": 4, "schema": 7, "level": 2, "pool": "below", "shard": "c",
            "fields": {"tenant": 0xc000_0201_u32, "product": 0, "station": "0x0000005eff"}}),
        json!({"packet": 7, "verdict": "drop", "reason": "target_drop", "class": "assigned", "key": "gone",
            "key_id": 5, "schema": 7, "level": 2, "pool": "away", "shard": "d",
            "fields": {"tenant": 0xc000_0201_u32, "product": 0, "station": "0x0000005e00"}}),
        json!({"packet": 8, "verdict": "pass", "reason": "out_of_scope", "class": "foreign", "key": null,
            "key_id": 0, "schema": null, "level": null, "pool": null, "shard": null, "fields": {}}),
        json!({"packet": 9, "verdict": "drop", "reason": "class_drop", "class": "malformed", "key": null,
            "key_id": 0, "schema": null, "level": null, "pool": null, "shard": null, "fields": {}}),
        json!({"packet": 10, "verdict": "next_hop", "reason": "steered", "class": "unregistered", "key": null,
            "key_id": 0, "schema": 7, "level": null, "pool": "right", "shard": "b",
            "fields": {"tenant": "0x20010db8009900000000000000000001", "product": 0,
                "station": "0x0000000009"}}),
    ];
    let said = said(&packets);
    assert_eq!(said.len(), wanted.len());
    for (said, wanted) in said.iter().zip(&wanted) {
        assert_eq!(said, wanted);
    }
}

#[test]
fn members_are_all_there_in_the_order_of_the_contract() {
    let directory = TempDir::new().unwrap();
    let capture = directory.path().join("c.pcap");
    let frame = datagram("10.1.2.3", |_| {}).bytes();
    fs::write(&capture, pcap([frame.as_slice()])).unwrap();
    fs::write(directory.path().join("policy.yaml"), POLICY).unwrap();
    let said = of(replay("host", directory.path().join("policy.yaml"), "jsonl"), &[capture]);
    assert_eq!(
        said.out,
        "{\"packet\":1,\"verdict\":\"interface\",\"reason\":\"steered\",\"class\":\"assigned\",\"key\":\"acme\",\
         \"key_id\":1,\"schema\":7,\"level\":1,\"fields\":{\"tenant\":167838211,\"product\":0,\
         \"station\":\"0x0000000009\"},\"pool\":\"left\",\"shard\":\"a\"}\n"
    );
}
