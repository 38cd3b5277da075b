//! What a packet without a registered key meets.

use keysteer_common::forward::Action;
use keysteer_common::vocabulary::{Class, Fault, Reason, Verdict};
use keysteer_tests::frames::{AUTHENTICATION, Packet, Transport};
use keysteer_tests::lab::mac;

use crate::table::{A, Expect, POLICY, acme, acme6, table, table_of};

fn to_a(class: Class) -> Expect {
    let steered = Expect::of(Action::Redirect, class, Verdict::Interface, Reason::Steered);
    Expect { shard: Some("a"), macs: Some([A, mac(1)]), ..steered }
}

#[test]
fn every_class_meets_what_the_policy_says() {
    let umbrella = Packet::between("10.2.0.1", "203.0.113.9");
    let stranger = Packet::between("2001:db8:9::1", "2001:db8:10::9");
    let mut short = acme(0).bytes();
    short.truncate(40);
    table(|_, mut table| {
        let missing = Expect::class(Class::Missing, Reason::ClassPass);
        table.says("an address in no prefix has no key", &stranger, &missing);
        table.says("a tenant without a key is unregistered", &umbrella, &to_a(Class::Unregistered));
        let malformed = Expect::class(Class::Malformed, Reason::ClassDrop);
        table.frame("a datagram that ends early is malformed", &short, 0, &malformed);
    });
    let other = POLICY.replace(
        "{missing: pass, unregistered: {pool: a}, malformed: drop}",
        "{missing: drop, unregistered: pass, malformed: {pool: a}}",
    );
    table_of(
        &other,
        |_| {},
        |_, mut table| {
            table.says("missing, dropped", &stranger, &Expect::class(Class::Missing, Reason::ClassDrop));
            let passed = Expect::class(Class::Unregistered, Reason::ClassPass);
            table.says("unregistered, passed", &umbrella, &passed);
            table.frame("malformed, steered by what is left of it", &short, 0, &to_a(Class::Malformed));
        },
    );
}

#[test]
fn every_fault_has_its_name() {
    let mut extensions = acme6(0);
    extensions.extensions = vec![(0, 0); 7];
    let mut cut = acme6(0);
    cut.extensions = vec![(AUTHENTICATION, 0), (60, 255)];
    let change = |packet: &Packet, changes: &[(usize, u8)]| {
        let mut frame = packet.bytes();
        changes.iter().for_each(|(at, byte)| frame[*at] = *byte);
        frame
    };
    let tcp = Packet { transport: Transport::Tcp(0), ..acme(0) };
    let mut header_cut = tcp.bytes();
    header_cut.truncate(34 + 19);
    header_cut[17] = 39;
    table(|_, mut table| {
        for (sentence, frame, fault) in [
            ("an IPv4 header of 16 bytes", change(&acme(0), &[(14, 0x44)]), Fault::Ipv4HeaderLength),
            ("a datagram shorter than its header", change(&acme(0), &[(17, 19)]), Fault::Ipv4HeaderLength),
            ("an IPv4 length beyond the frame", change(&acme(0), &[(17, 37)]), Fault::IpLength),
            ("an IPv6 length beyond the frame", change(&acme6(0), &[(19, 17)]), Fault::IpLength),
            ("an extension header out of reach", cut.bytes(), Fault::ExtensionCut),
            ("seven extension headers", extensions.bytes(), Fault::TooManyExtensions),
            ("a TCP header of 19 bytes", header_cut, Fault::TransportCut),
            ("TCP says its header has 16 bytes", change(&tcp, &[(46, 0x40)]), Fault::TransportLength),
            ("UDP says its length is 7", change(&acme(0), &[(39, 7)]), Fault::TransportLength),
        ] {
            let dropped = Expect::class(Class::Malformed, Reason::ClassDrop);
            let outcome = table.frame(sentence, &frame, 0, &dropped);
            assert_eq!(Fault::from_number(outcome.work.headers.fault), Some(fault), "{sentence}");
        }
    });
}
