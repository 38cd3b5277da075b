//! Every carrier, read from every packet that has it, and from none that has not.

use std::net::IpAddr;

use keysteer_common::carrier::Carrier;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::{Packet, Transport};
use keysteer_tests::lab::mac;

use crate::table::{A, Expect, table_of};

/// A policy of one field and one key.
fn policy(field: &str, value: &str, table: bool) -> String {
    let table = if table {
        "  prefixTables:\n    blocks: {10.1.0.0/16: mine, \"2001:db8:1::/48\": mine, 10.1.7.0/24: other}\n"
    } else {
        ""
    };
    format!(
        r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {{name: carrier}}
spec:
  environment: test
  interfaces: [{{name: eth0}}]
  scope: [{{services: [any]}}]
{table}  schemas:
    - version: 1
      fields: [{{name: field, {field}}}]
  shards:
    - {{name: a, target: {{interface: {{name: veth-a, mac: "02:00:00:00:00:0a"}}}}}}
  pools: [{{name: a, shards: [a]}}]
  keys: [{{name: key, match: {{field: "{value}"}}, pool: a}}]
  classes: {{missing: drop, unregistered: pass, malformed: drop}}
"#
    )
}

/// A carrier, the value that is registered, a packet with it, one with another and one without any.
struct Case {
    carrier: Carrier,
    value: &'static str,
    with: Packet,
    other: Packet,
    without: Option<Packet>,
}

fn case(
    carrier: Carrier,
    value: &'static str,
    with: &Packet,
    other: &Packet,
    without: Option<Packet>,
) -> Case {
    Case { carrier, value, with: with.clone(), other: other.clone(), without }
}

fn cases() -> Vec<Case> {
    let four = Packet::between("10.1.2.3", "203.0.113.9");
    let six = Packet::between("2001:db8:1::3", "2001:db8:10::9");
    let macs = |destination, source| Packet {
        macs: [[2, 0, 0, 0, 5, destination], [2, 0, 0, 0, 6, source]],
        ..four.clone()
    };
    let tags = |tags: &[(u16, u16)]| Packet { tags: tags.to_vec(), ..four.clone() };
    let ports = |from, to, transport| Packet { ports: (from, to), transport, ..six.clone() };
    let label = |label| Packet { label, ..six.clone() };
    let dscp = |dscp| Packet { dscp, ..six.clone() };
    let carries = |transport| Packet { transport, ..four.clone() };
    let back = four.turned();
    let ping = Packet { transport: Transport::Icmp(128), ..six.clone() };
    let (tcp, sctp) = (Transport::Tcp(0), Transport::Sctp);
    let one = |tci| tags(&[(0x8100, tci)]);
    let two = |tci| tags(&[(0x88a8, 0xe064), (0x8100, tci)]);
    vec![
        case(Carrier::EthernetSrc, "02:00:00:00:06:07", &macs(1, 7), &macs(7, 1), None),
        case(Carrier::EthernetDst, "02:00:00:00:05:07", &macs(7, 1), &macs(1, 7), None),
        case(Carrier::EthernetType, "0x86dd", &six, &four, None),
        case(Carrier::VlanId, "100", &one(0xe064), &one(0xe065), Some(four.clone())),
        case(Carrier::VlanInnerId, "4095", &two(0x0fff), &two(0x0ffe), Some(one(0x0fff))),
        case(Carrier::VlanPcp, "7", &one(0xe064), &one(0xc064), Some(four.clone())),
        case(Carrier::Ipv4Src, "10.1.2.3", &four, &back, Some(six.clone())),
        case(Carrier::Ipv4Dst, "203.0.113.9", &four, &back, Some(six.clone())),
        case(Carrier::Ipv6Src, "2001:db8:1::3", &six, &six.turned(), Some(four.clone())),
        case(Carrier::Ipv6Dst, "2001:db8:10::9", &six, &six.turned(), Some(four.clone())),
        case(Carrier::IpSrc, "mine", &six, &Packet::between("10.1.7.1", "10.1.2.3"), Some(back.clone())),
        case(Carrier::IpDst, "mine", &back, &Packet::between("10.1.2.3", "10.1.7.1"), Some(four.clone())),
        case(Carrier::IpDscp, "34", &dscp(34), &dscp(35), None),
        case(Carrier::IpProtocol, "47", &carries(Transport::Other(47)), &carries(Transport::Other(50)), None),
        case(Carrier::Ipv6FlowLabel, "0xabcde", &label(0xa_bcde), &label(0xb_bcde), Some(four.clone())),
        case(
            Carrier::L4SrcPort,
            "1111",
            &ports(1111, 2, tcp.clone()),
            &ports(2, 1111, tcp),
            Some(ping.clone()),
        ),
        case(Carrier::L4DstPort, "443", &ports(1, 443, sctp.clone()), &ports(443, 1, sctp), Some(ping)),
    ]
}

#[test]
fn every_carrier_is_read_where_it_is() {
    let cases = cases();
    assert_eq!(cases.iter().map(|case| case.carrier).collect::<Vec<_>>(), Carrier::ALL);
    for Case { carrier, value, with, other, without } in cases {
        let name = carrier.name();
        let table = carrier.needs_table();
        let field = format!("from: {name}{}", if table { ", table: blocks" } else { "" });
        table_of(
            &policy(&field, value, table),
            |_| {},
            |_, mut table| {
                let steered = Expect::redirected("key", "a", Verdict::Interface, [A, mac(1)]);
                table.says(name, &with, &steered);
                let unregistered = Expect::class(Class::Unregistered, Reason::ClassPass);
                table.says(&format!("{name}, another value"), &other, &unregistered);
                if let Some(without) = without {
                    let missing = Expect::class(Class::Missing, Reason::ClassDrop);
                    table.says(&format!("{name}, not there"), &without, &missing);
                }
            },
        );
    }
}

#[test]
fn a_range_of_bits_is_cut_from_where_the_policy_says() {
    // 60 bits across the middle of the address: its bits 40 to 99, from the most significant.
    let field = "from: ipv6.dst, bits: {offset: 40, length: 60}";
    table_of(
        &policy(field, "0xaabbccddeeff123", false),
        |_| {},
        |_, mut table| {
            let to = |text: &str| {
                Packet::new("2001:db8:1::3".parse::<IpAddr>().unwrap(), text.parse::<IpAddr>().unwrap())
            };
            let steered = Expect::redirected("key", "a", Verdict::Interface, [A, mac(1)]);
            table.says("the bits", &to("2001:db8:10aa:bbcc:ddee:ff12:3000:1"), &steered);
            table.says("beside them anything", &to("ffff:ffff:ffaa:bbcc:ddee:ff12:3fff:ffff"), &steered);
            let unregistered = Expect::class(Class::Unregistered, Reason::ClassPass);
            table.says("their first", &to("2001:db8:102a:bbcc:ddee:ff12:3000:1"), &unregistered);
            table.says("their last", &to("2001:db8:10aa:bbcc:ddee:ff12:2000:1"), &unregistered);
        },
    );
}
