//! Signed keys: what is steered, and what is not believed.

use std::net::IpAddr;

use keysteer::image::Image;
use keysteer::signing::{SecretKey, address};
use keysteer_common::shim::{self, Claim, Secret, Signing, flag, source_prefix};
use keysteer_common::vocabulary::Class;
use keysteer_tests::frames::{Packet, Transport};

use crate::table::table_of;

const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: signed}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope: [{services: [any]}]
  schemas:
    - version: 1
      fields: [{name: key, from: shim.key}]
  shards:
    - {name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
  pools: [{name: a, shards: [a]}]
  keys: [{name: acme, match: {key: 42}, pool: a}]
  classes: {missing: drop, unregistered: pass, malformed: drop}
  signing:
    secrets: [{id: 1, file: /etc/keysteer/shim-1.key}, {id: 2, file: /etc/keysteer/shim-2.key}]
    bind: {source: {ipv4: 24, ipv6: 48}}
"#;

/// The time at which everything is signed and verified, in nanoseconds since 1970: both homes' clocks are set to it again and
/// again, because a slow machine lets epochs pass meanwhile. It is a second into an epoch.
const NOW: u64 = 26_562_500 * 64_000_000_000 + 1_000_000_000;

fn epoch() -> u16 {
    shim::epoch(NOW)
}

/// Has an image believe the secrets 1 and 2, where a key is bound to its source.
pub(crate) fn verifying(image: &mut Image) {
    image.signing = Signing {
        secrets: [Secret { key: secret(b'1'), id: 1, live: 1 }, Secret { key: secret(b'2'), id: 2, live: 1 }],
        clock_offset: NOW,
        require: flag::SOURCE,
        source_bits4: 24,
        source_bits6: 48,
        ..Signing::default()
    };
    image.now = 0;
}

/// A datagram with a shim that is right.
pub(crate) fn rightly(packet: &Packet, key: u64) -> Packet {
    signed(packet, secret(b'1'), Claim { flags: flag::SOURCE, secret_id: 1, epoch: epoch(), key })
}

fn secret(digit: u8) -> [u64; 2] {
    SecretKey::parse(&[digit; 32]).unwrap().words()
}

/// A datagram whose payload begins with a shim for its addresses.
fn signed(packet: &Packet, by: [u64; 2], claim: Claim) -> Packet {
    let [source, destination]: [IpAddr; 2] = [packet.source, packet.destination];
    let source = source_prefix(address(source), 24, 48);
    let mut payload = shim::to_bytes(shim::sign(by, claim, source, address(destination))).to_vec();
    payload.extend(b"what follows is the application's");
    Packet { transport: Transport::Datagram(payload), ..packet.clone() }
}

#[test]
fn a_key_is_steered_when_it_is_signed_for_where_it_comes_from_and_else_never() {
    table_of(POLICY, verifying, |_, mut table| {
        let id = table.image.names.keys[0].id as usize;
        let claim = Claim { flags: flag::SOURCE, secret_id: 1, epoch: epoch(), key: 42 };
        let mut packets = 0;
        let mut class = |packet: &Packet, what: &str| {
            let outcome = table.run(what, &packet.bytes(), 0);
            let class = Class::from_number(outcome.work.record.decision.class).unwrap();
            packets += u64::from(class == Class::Assigned);
            assert_eq!(table.counters(what).keys[id].packets, packets, "{what}: charged to the key");
            class
        };
        let plain =
            |packet: &Packet| Packet { transport: Transport::Datagram(vec![0; 40]), ..packet.clone() };
        for packet in
            [Packet::between("10.1.2.3", "203.0.113.9"), Packet::between("2001:db8:1::3", "2001:db8:10::9")]
        {
            let good = signed(&packet, secret(b'1'), claim);
            assert_eq!(class(&good, "signed"), Class::Assigned);
            let other = signed(&packet, secret(b'2'), Claim { secret_id: 2, flags: flag::ALL, ..claim });
            assert_eq!(
                class(&other, "signed with the other secret, for its destination too"),
                Class::Assigned
            );
            let unknown = signed(&packet, secret(b'1'), Claim { key: 43, ..claim });
            assert_eq!(class(&unknown, "another key"), Class::Unregistered);
            assert_eq!(class(&plain(&packet), "no shim"), Class::Missing);
            for (what, bad) in [
                ("the wrong secret", signed(&packet, secret(b'2'), claim)),
                (
                    "a secret that is not there",
                    signed(&packet, secret(b'1'), Claim { secret_id: 3, ..claim }),
                ),
                ("not bound", signed(&packet, secret(b'1'), Claim { flags: 0, ..claim })),
                (
                    "too late",
                    signed(&packet, secret(b'1'), Claim { epoch: claim.epoch.wrapping_sub(3), ..claim }),
                ),
                ("replayed from elsewhere", Packet { source: packet.destination, ..good.clone() }),
            ] {
                assert_eq!(class(&bad, what), Class::Unauthenticated, "{what}");
            }
        }
    });
}
