//! Translation and stamps: every checksum that was right is right afterwards.

use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder, icmpv4};
use proptest::prelude::*;

use crate::access::Pos;
use crate::back::NOBODY;
use crate::checksum::Change;
use crate::config::PrefixIndex;
use crate::headers::Headers;
use crate::nat::{from_pod, to_pod};
use crate::slice::Frame;
use crate::stamp::{stamp, stamp_of};
use crate::tables::{Pod, Service};

use super::world::World;

const CLIENT4: [u8; 4] = [198, 51, 100, 7];
const SERVICE4: [u8; 4] = [203, 0, 113, 10];
const POD4: [u8; 4] = [10, 244, 1, 7];
const CLIENT6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
const SERVICE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const POD6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
const PORT: u16 = 443;
const OTHER: u16 = 50_000;

fn halves(address: [u8; 16]) -> [[u8; 8]; 2] {
    let (high, low) = address.split_at(8);
    [high.try_into().unwrap(), low.try_into().unwrap()]
}

/// Shard 1 is a pod; the scope is the service's addresses, TCP and UDP port 443.
fn world() -> World {
    let mut world = World::new();
    world.config.services[0] = Service::new(6, PORT, PORT);
    world.config.services[1] = Service::new(17, PORT, PORT);
    world.config.services_len = 2;
    let pod4 = u32::from_be_bytes(POD4);
    let [high, low] = halves(POD6).map(u64::from_be_bytes);
    let back = &mut world.config.back;
    (back.nat, back.service4, back.service6) = (1, SERVICE4, halves(SERVICE6));
    back.pods.v4 = PrefixIndex { common4: pod4, mask4: u32::MAX, value: 2, ..PrefixIndex::default() };
    back.pods.v6 =
        PrefixIndex { common: [high, low], mask: [u64::MAX; 2], value: 2, ..PrefixIndex::default() };
    world.pods = vec![Pod::default(), Pod { v6: halves(POD6), v4: POD4, ..Pod::default() }];
    world
}

/// What is in an IP packet behind the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tcp,
    Udp,
    UdpWithoutSum,
}

/// A frame from `from` to `to` with these ports.
fn frame(kind: Kind, v4: bool, from: &[u8], to: &[u8], ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(MACS.0, MACS.1);
    let ip = if v4 {
        link.ipv4(from.try_into().unwrap(), to.try_into().unwrap(), 64)
    } else {
        link.ipv6(from.try_into().unwrap(), to.try_into().unwrap(), 64)
    };
    let mut bytes = Vec::new();
    match kind {
        Kind::Tcp => ip.tcp(ports.0, ports.1, 77, 1_000).write(&mut bytes, payload).unwrap(),
        _ => ip.udp(ports.0, ports.1).write(&mut bytes, payload).unwrap(),
    }
    if kind == Kind::UdpWithoutSum {
        let at = 14 + if v4 { 20 } else { 40 } + 6;
        bytes[at..at + 2].fill(0);
    }
    bytes
}

/// An ICMP error from `from` to `to` that quotes the first `quote` bytes of a packet, without its Ethernet header.
fn error(v4: bool, from: &[u8], to: &[u8], quoted: &[u8], quote: usize) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(MACS.0, MACS.1);
    let mut bytes = Vec::new();
    let quoted = &quoted[14..quoted.len().min(14 + quote)];
    if v4 {
        let header = icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1_400 };
        let ip = link.ipv4(from.try_into().unwrap(), to.try_into().unwrap(), 64);
        ip.icmpv4(Icmpv4Type::DestinationUnreachable(header)).write(&mut bytes, quoted).unwrap();
    } else {
        let kind = Icmpv6Type::PacketTooBig { mtu: 1_400 };
        let ip = link.ipv6(from.try_into().unwrap(), to.try_into().unwrap(), 64);
        ip.icmpv6(kind).write(&mut bytes, quoted).unwrap();
    }
    bytes
}

/// What a receiver would say: the sum over header and data that has to be all ones (RFC 1071).
fn sums(frame: &[u8]) -> Vec<(&'static str, u16)> {
    fn sum(parts: &[&[u8]]) -> u16 {
        let mut sum = 0_u64;
        for part in parts {
            for word in part.chunks(2) {
                sum += u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
            }
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }
    let mut found = Vec::new();
    let ip = &frame[14..];
    let (protocol, addresses, rest) = if ip[0] >> 4 == 4 {
        let length = usize::from(ip[0] & 15) * 4;
        found.push(("IPv4", sum(&[&ip[..length]])));
        (ip[9], &ip[12..20], &ip[length..usize::from(u16::from_be_bytes([ip[2], ip[3]]))])
    } else {
        (ip[6], &ip[8..40], &ip[40..])
    };
    let pseudo = [0, protocol, (rest.len() >> 8) as u8, rest.len() as u8];
    match protocol {
        1 => found.push(("ICMP", sum(&[rest]))),
        17 if rest[6..8] == [0, 0] => {}
        _ => found.push(("transport", sum(&[addresses, &pseudo, rest]))),
    }
    found
}

fn all_right(frame: &[u8]) {
    for (of, sum) in sums(frame) {
        assert_eq!(sum, 0xffff, "{of} of {frame:02x?}");
    }
}

/// The addresses of one family: client, service, pod.
fn addresses(v4: bool) -> [&'static [u8]; 3] {
    if v4 { [&CLIENT4, &SERVICE4, &POD4] } else { [&CLIENT6, &SERVICE6, &POD6] }
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Tcp), Just(Kind::Udp), Just(Kind::UdpWithoutSum)]
}

proptest! {
    #[test]
    fn there_and_back_with_right_checksums(kind in kinds(), v4: bool, payload in prop::collection::vec(any::<u8>(), 0..64)) {
        let world = world();
        let [client, service, pod] = addresses(v4);
        let mut packet = frame(kind, v4, client, service, (OTHER, PORT), &payload);
        all_right(&packet);
        to_pod(&mut Frame::new(&mut packet, 3), &world, 1, Pos::from_stored(14)).unwrap();
        all_right(&packet);
        prop_assert_eq!(&packet, &frame(kind, v4, client, pod, (OTHER, PORT), &payload));

        let mut answer = frame(kind, v4, pod, client, (PORT, OTHER), &payload);
        let shard = from_pod(&mut Frame::new(&mut answer, 3), &world, &mut Headers::default());
        prop_assert_eq!(shard, 1);
        all_right(&answer);
        prop_assert_eq!(&answer, &frame(kind, v4, service, client, (PORT, OTHER), &payload));
    }

    #[test]
    fn what_errors_quote_is_translated_with_them(kind in kinds(), v4: bool, quote in 28_usize..120, payload in prop::collection::vec(any::<u8>(), 0..64)) {
        let world = world();
        // In whole words, so that no checksum is cut in two.
        let quote = quote / 4 * 4 + if v4 { 0 } else { 20 };
        let [client, service, pod] = addresses(v4);
        // A router on the way says of the service's packet that it is too large.
        let answer = frame(kind, v4, service, client, (PORT, OTHER), &payload);
        let mut packet = error(v4, client, service, &answer, quote);
        to_pod(&mut Frame::new(&mut packet, 3), &world, 1, Pos::from_stored(14)).unwrap();
        all_right(&packet);
        let translated = frame(kind, v4, pod, client, (PORT, OTHER), &payload);
        prop_assert_eq!(&packet, &error(v4, client, pod, &translated, quote));
        // The pod says the same of the client's, as does a router between.
        let question = frame(kind, v4, client, pod, (OTHER, PORT), &payload);
        for from in [pod, service] {
            let mut packet = error(v4, from, client, &question, quote);
            let shard = from_pod(&mut Frame::new(&mut packet, 3), &world, &mut Headers::default());
            prop_assert_eq!(shard, 1);
            all_right(&packet);
            let translated = frame(kind, v4, client, service, (OTHER, PORT), &payload);
            prop_assert_eq!(&packet, &error(v4, service, client, &translated, quote));
        }
    }

    #[test]
    fn a_change_is_what_a_new_sum_is(before: [u8; 16], after: [u8; 16], rest: [u8; 20]) {
        let sum = |address: &[u8]| {
            let words = address.chunks(2).chain(rest.chunks(2));
            let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            !(sum as u16)
        };
        let change = Change::sixteen(halves(before), halves(after));
        let found = u16::from_be_bytes(change.apply(sum(&before).to_be_bytes()));
        // Of the two zeroes of one's complement either is right.
        let wanted = sum(&after);
        prop_assert!(found == wanted || (found ^ wanted == 0xffff && (found == 0 || wanted == 0)), "{found:x} {wanted:x}");
    }

    #[test]
    fn stamps_leave_everything_else_as_it_was(v4: bool, dscp in 0_u8..64, label in 0_u32..1 << 20) {
        let [client, service, _] = addresses(v4);
        let before = frame(Kind::Tcp, v4, service, client, (PORT, OTHER), b"x");
        let mut packet = before.clone();
        let headers = crate::look::headers_of(&Frame::new(&mut packet.clone(), 3));
        stamp(&mut Frame::new(&mut packet, 3), &headers, stamp_of(Some(dscp), Some(label)));
        all_right(&packet);
        let wanted = crate::look::headers_of(&Frame::new(&mut packet.clone(), 3));
        prop_assert_eq!(wanted, headers);
        if v4 {
            prop_assert_eq!(packet[15], dscp << 2);
            prop_assert_eq!(&packet[26..], &before[26..]);
        } else {
            let word = u32::from_be_bytes(packet[14..18].try_into().unwrap());
            prop_assert_eq!(word, 6 << 28 | u32::from(dscp) << 22 | label);
            prop_assert_eq!(&packet[18..], &before[18..]);
        }
    }
}

#[test]
fn what_is_no_answer_of_a_service_is_the_pods_own() {
    let world = world();
    for v4 in [true, false] {
        let [client, service, pod] = addresses(v4);
        for (from, ports) in [(pod, (OTHER, PORT)), (service, (PORT, OTHER)), (client, (PORT, OTHER))] {
            let before = frame(Kind::Tcp, v4, from, client, ports, b"");
            let mut packet = before.clone();
            assert_eq!(from_pod(&mut Frame::new(&mut packet, 3), &world, &mut Headers::default()), NOBODY);
            assert_eq!(packet, before);
        }
    }
}

#[test]
fn fragments_are_translated_alike_and_only_the_first_has_a_checksum() {
    let world = world();
    let first = |offset: u16| {
        let mut bytes = frame(Kind::Udp, true, &CLIENT4, &SERVICE4, (OTHER, PORT), &[7; 32]);
        bytes[20..22].copy_from_slice(&(offset | 0x2000).to_be_bytes());
        bytes
    };
    let mut packet = first(4);
    let before = packet.clone();
    to_pod(&mut Frame::new(&mut packet, 3), &world, 1, Pos::from_stored(14)).unwrap();
    assert_eq!((&packet[30..34], &packet[34..]), (&POD4[..], &before[34..]));
    let mut packet = first(0);
    to_pod(&mut Frame::new(&mut packet, 3), &world, 1, Pos::from_stored(14)).unwrap();
    let whole = frame(Kind::Udp, true, &CLIENT4, &POD4, (OTHER, PORT), &[7; 32]);
    assert_eq!(packet[34..], whole[34..]);
}

#[test]
fn a_pod_without_an_address_of_the_family_gets_nothing() {
    let mut world = world();
    world.pods[1].v6 = [[0; 8]; 2];
    let mut packet = frame(Kind::Tcp, false, &CLIENT6, &SERVICE6, (OTHER, PORT), b"");
    assert_eq!(to_pod(&mut Frame::new(&mut packet, 3), &world, 1, Pos::from_stored(14)), None);
}
