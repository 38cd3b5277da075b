//! What may stand between the Ethernet header and the transport does not change whose packet it is.

use keysteer_common::headers::found;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::{AUTHENTICATION, Packet, Transport};
use keysteer_tests::lab::mac;

use crate::table::{A, Expect, acme, acme6, table};

fn to_a() -> Expect {
    Expect::redirected("acme", "a", Verdict::Interface, [A, mac(1)])
}

#[test]
fn tags_are_followed_and_kept() {
    table(|_, mut table| {
        for tpid in [0x8100, 0x88a8, 0x9100] {
            for packet in [acme(0), acme6(0)] {
                let one = Packet { tags: vec![(tpid, 0xe064)], ..packet.clone() };
                let outcome = table.says("one tag", &one, &to_a());
                assert!(
                    outcome.work.headers.has(found::VLAN) && !outcome.work.headers.has(found::VLAN_INNER)
                );
                assert_eq!(outcome.work.headers.outer_tci, 0xe064);
                let two = Packet { tags: vec![(tpid, 1), (0x8100, 2)], ..packet.clone() };
                let headers = table.says("two tags", &two, &to_a()).work.headers;
                assert_eq!((headers.outer_tci, headers.inner_tci), (1, 2));
                let three = Packet { tags: vec![(tpid, 1), (0x8100, 2), (0x8100, 3)], ..packet };
                table.says("behind three tags nothing is looked for", &three, &Expect::foreign());
            }
        }
    });
}

#[test]
fn options_and_extension_headers_are_passed_over() {
    table(|_, mut table| {
        for options in 1..=10 {
            table.says("IPv4 options", &Packet { options, ..acme(0) }, &to_a());
        }
        for number in [0, 43, AUTHENTICATION, 60, 135] {
            for units in [0, 1, 7] {
                let packet = Packet { extensions: vec![(number, units)], ..acme6(0) };
                let outcome = table.says("an IPv6 extension header", &packet, &to_a());
                assert!(outcome.work.headers.has(found::PORTS));
            }
        }
        let six = vec![(0, 0), (60, 1), (43, 2), (AUTHENTICATION, 4), (60, 0), (135, 0)];
        table.says("six of them", &Packet { extensions: six, ..acme6(0) }, &to_a());
    });
}

#[test]
fn fragments_are_their_datagrams_tenants() {
    table(|_, mut table| {
        for packet in [acme(0), acme6(0)] {
            for (sentence, fragment, ports) in [
                ("the first fragment", (0, true), true),
                ("one in the middle", (185, true), false),
                ("the last", (370, false), false),
            ] {
                let piece = Packet { fragment: Some(fragment), ..packet.clone() };
                let headers = table.says(sentence, &piece, &to_a()).work.headers;
                assert_eq!((headers.has(found::FRAGMENT), headers.has(found::PORTS)), (true, ports));
            }
        }
        let atomic = Packet { fragment: Some((0, false)), ..acme6(0) };
        let headers = table.says("an atomic fragment is a whole datagram", &atomic, &to_a()).work.headers;
        assert!(!headers.has(found::FRAGMENT) && headers.has(found::PORTS));
    });
}

#[test]
fn an_icmp_error_is_of_the_tenant_whose_flow_it_quotes() {
    table(|_, mut table| {
        let router = [192, 0, 2, 1].into();
        for kind in [3, 4, 5, 11, 12] {
            let outcome = table.says("an ICMP error", &acme(0).error(router, kind), &to_a());
            assert!(outcome.work.headers.has(found::QUOTED));
        }
        let router = "2001:db8:ffff::1".parse().unwrap();
        for kind in 1..=4 {
            table.says("an ICMPv6 error", &acme6(0).error(router, kind), &to_a());
        }
        let denied = Expect::dropped("acme-denied", None, Reason::Denied);
        table.says("of a denied one it is dropped", &acme6(6).error(router, 1), &denied);
        let other_port = Packet { ports: (40_000, 80), ..acme(0) }.error([192, 0, 2, 1].into(), 3);
        table.says("about a flow that is not ours it is foreign", &other_port, &Expect::foreign());
        let echo = Packet { transport: Transport::Icmp(8), ..acme(0) };
        table.says("an echo request is the sender's own", &echo, &to_a());
        let cut = Packet { transport: Transport::Icmp(3), payload: 12, ..acme(0) };
        let headers = table.says("an unreadable quote leaves the sender's", &cut, &to_a()).work.headers;
        assert!(!headers.has(found::QUOTED));
    });
}

#[test]
fn what_is_no_ip_is_foreign() {
    table(|_, mut table| {
        let mut arp = acme(0).bytes();
        arp[12..14].copy_from_slice(&[8, 6]);
        table.frame("ARP", &arp, 0, &Expect::foreign());
        table.frame("a bare Ethernet header", &acme(0).bytes()[..14], 0, &Expect::foreign());
        table.frame("half an IP header", &acme(0).bytes()[..30], 0, &Expect::foreign());
        let mut version = acme(0).bytes();
        version[14] = 0x65;
        table.frame("a version that contradicts the EtherType", &version, 0, &Expect::foreign());
        let mut tagged = Packet { tags: vec![(0x8100, 1)], ..acme(0) }.bytes();
        tagged.truncate(17);
        table.frame("half a tag", &tagged, 0, &Expect::foreign());
        let mut length = acme(0).bytes();
        length[17] = 37;
        table.frame(
            "junk for us is malformed",
            &length,
            0,
            &Expect::class(Class::Malformed, Reason::ClassDrop),
        );
    });
}
