//! Every carrier, read from every packet that has it, and from none that has not.

use std::net::IpAddr;

use keysteer_common::carrier::Carrier;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::{ACK, GeneveOption, Gtpu, Header, Inside, Nsh, Packet, Quic, Transport};
use keysteer_tests::lab::mac;

use crate::signed::{rightly, verifying};
use crate::table::{A, Expect, table_of};

/// A policy of one field and one key.
fn policy(field: &str, value: &str, table: bool) -> String {
    let table = if table {
        "  prefixTables:\n    blocks: {10.1.0.0/16: mine, \"2001:db8:1::/48\": mine, 10.1.7.0/24: other}\n"
    } else {
        ""
    };
    let signing = if field.contains("shim.key") {
        "  signing: {secrets: [{id: 1, file: /etc/keysteer/shim-1.key}], bind: {source: {ipv4: 24, ipv6: 48}}}\n"
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
{signing}"#
    )
}

/// A carrier, the value that is registered, a packet with it, one with another and one without any.
#[derive(Clone)]
struct Case {
    carrier: Carrier,
    value: &'static str,
    with: Packet,
    other: Packet,
    without: Option<Packet>,
    /// What else the field says of where it is.
    parameters: &'static str,
}

fn case(
    carrier: Carrier,
    value: &'static str,
    with: &Packet,
    other: &Packet,
    without: Option<Packet>,
) -> Case {
    Case { carrier, value, with: with.clone(), other: other.clone(), without, parameters: "" }
}

fn in_outer_headers() -> Vec<Case> {
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

/// One whose place has parameters.
fn case_of(
    parameters: &'static str,
    carrier: Carrier,
    value: &'static str,
    with: &Packet,
    other: &Packet,
    without: Packet,
) -> Case {
    Case { parameters, ..case(carrier, value, with, other, Some(without)) }
}

/// A tunnel in the outer network.
fn tunnel(header: Header, inside: Inside) -> Packet {
    Packet::tunnel("10.1.2.3", "203.0.113.9", header, inside)
}

/// A tunnel over IPv6.
fn tunnel6(header: Header, inside: Inside) -> Packet {
    Packet::tunnel("2001:db8:1::3", "2001:db8:10::9", header, inside)
}

/// Labels, service headers, and the headers of tunnels.
fn in_tunnel_headers() -> Vec<Case> {
    let four = Packet::between("10.1.2.3", "203.0.113.9");
    let six = Packet::between("2001:db8:1::3", "2001:db8:10::9");
    let labels = |labels: &[u32]| Packet { labels: labels.to_vec(), ..four.clone() };
    let vxlan = |vni, policy| tunnel(Header::Vxlan { vni, policy }, Inside::Ethernet(six.clone()));
    let geneve = |vni, options: &[GeneveOption]| {
        tunnel6(Header::Geneve { vni, options: options.to_vec() }, Inside::Ip(four.clone()))
    };
    let option = |kind, data: &[u8]| GeneveOption { class: 0x0102, kind, data: data.to_vec() };
    let before = option(4, &[0, 0xc0, 0xff, 0xee, 0, 0, 0, 0]);
    let tenant = |last| [before.clone(), option(3, &[9, 0xc0, 0xff, 0xee, last, 1, 2, 3])];
    let gre =
        |key, checksum| tunnel(Header::Gre { checksum, key, sequence: Some(9) }, Inside::Ip(six.clone()));
    let gtpu = |teid| {
        let extensions = vec![(0x85, vec![0x10, 9])];
        tunnel6(Header::Gtpu(Gtpu { teid, sequence: None, extensions }), Inside::Ip(four.clone()))
    };
    let nsh = |spi, context| Packet { nsh: Some(Nsh { spi, index: 255, context }), ..four.clone() };
    let in_gre = |spi, context| {
        let nsh = Nsh { spi, index: 1, context };
        let header = Header::Gre { checksum: false, key: None, sequence: None };
        tunnel6(header, Inside::Nsh(nsh, Box::new(Inside::Ip(six.clone()))))
    };
    vec![
        case(
            Carrier::MplsLabel,
            "0xabcde",
            &labels(&[0xa_bcde, 16]),
            &labels(&[16, 0xa_bcde]),
            Some(four.clone()),
        ),
        case(
            Carrier::VxlanVni,
            "0xfedcba",
            &vxlan(0xfe_dcba, None),
            &vxlan(0xfe_dcbb, Some(3)),
            Some(four.clone()),
        ),
        case(
            Carrier::VxlanPolicy,
            "0x1234",
            &vxlan(1, Some(0x1234)),
            &vxlan(1, Some(0x1235)),
            Some(vxlan(0x1234, None)),
        ),
        case(Carrier::GeneveVni, "77", &geneve(77, &[]), &geneve(78, &tenant(0)), Some(gre(Some(77), false))),
        case_of(
            "option: {class: 0x0102, type: 3}, bits: {offset: 8, length: 32}",
            Carrier::GeneveOption,
            "0xc0ffee00",
            &geneve(1, &tenant(0)),
            &geneve(1, &tenant(1)),
            geneve(1, std::slice::from_ref(&before)),
        ),
        case(
            Carrier::GreKey,
            "0xfeedbeef",
            &gre(Some(0xfeed_beef), true),
            &gre(Some(0xfeed_bee0), false),
            Some(gre(None, true)),
        ),
        case(Carrier::GtpuTeid, "0x1001", &gtpu(0x1001), &gtpu(0x1002), Some(four.clone())),
        case(Carrier::NshSpi, "42", &nsh(42, 1), &in_gre(43, 42), Some(four.clone())),
        case(
            Carrier::NshContext,
            "0x0102030405060708090a0b0c0d0e0f10",
            &in_gre(1, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
            &nsh(1, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f11),
            Some(four),
        ),
    ]
}

/// What is behind the ports.
fn in_payloads() -> Vec<Case> {
    let four = Packet::between("10.1.2.3", "203.0.113.9");
    let six = Packet::between("2001:db8:1::3", "2001:db8:10::9");
    let quic = |quic| Packet { transport: Transport::Quic(quic), ..four.clone() };
    let options = |options: &[(u8, &[u8])]| Packet {
        transport: Transport::Tcp(ACK),
        tcp_options: options.iter().map(|(kind, data)| (*kind, data.to_vec())).collect(),
        ..six.clone()
    };
    let id = |last| [1, 0xab, 0xcd, last, 5, 6, 7, 8];
    vec![
        case_of(
            "bits: {offset: 8, length: 24}",
            Carrier::QuicDcid,
            "0xabcdef",
            &quic(Quic::short(&id(0xef))),
            &quic(Quic::long(&id(0xee))),
            quic(Quic::long(&id(0xef)[..3])),
        ),
        case_of(
            "option: {kind: 253, experiment: 0x1234}, bits: {offset: 0, length: 32}",
            Carrier::TcpOption,
            "0xc0ffee00",
            &options(&[(2, &[5, 0xb4]), (1, &[]), (253, &[0x12, 0x34, 0xc0, 0xff, 0xee, 0])]),
            &options(&[(253, &[0x12, 0x34, 0xc0, 0xff, 0xee, 1])]),
            options(&[(253, &[0x12, 0x35, 0xc0, 0xff, 0xee, 0])]),
        ),
        case(Carrier::ShimKey, "42", &rightly(&four, 42), &rightly(&six, 43), Some(four.clone())),
    ]
}

/// What is in the packet inside a tunnel.
fn inside() -> Vec<Case> {
    let four = Packet::between("192.0.2.1", "198.51.100.7");
    let six = Packet::between("2001:db8:77::3", "2001:db8:88::9");
    let ethernet = |destination, source| {
        let macs = [[2, 0, 0, 0, 5, destination], [2, 0, 0, 0, 6, source]];
        let packet = Packet { macs, ..six.clone() };
        tunnel(Header::Vxlan { vni: 1, policy: None }, Inside::Ethernet(packet))
    };
    let gre = |packet: &Packet| {
        let header = Header::Gre { checksum: true, key: None, sequence: None };
        tunnel6(header, Inside::Ip(packet.clone()))
    };
    let geneve = |packet: &Packet| {
        tunnel(Header::Geneve { vni: 1, options: Vec::new() }, Inside::Ethernet(packet.clone()))
    };
    let gtpu = |packet: &Packet| {
        tunnel(Header::Gtpu(Gtpu { teid: 1, ..Gtpu::default() }), Inside::Ip(packet.clone()))
    };
    let ip = |packet: &Packet| tunnel(Header::Ip, Inside::Ip(packet.clone()));
    let dscp = |packet: &Packet, dscp| ip(&Packet { dscp, ..packet.clone() });
    let carries = |number| gtpu(&Packet { transport: Transport::Other(number), ..four.clone() });
    let ports = |from, to, transport| gre(&Packet { ports: (from, to), transport, ..four.clone() });
    let ping = gre(&Packet { transport: Transport::Icmp(8), ..four.clone() });
    let mine = Packet::between("10.1.2.3", "10.1.7.1");
    let no_tunnel = Packet::between("192.0.2.1", "2.2.2.2");
    vec![
        case(
            Carrier::InnerEthernetSrc,
            "02:00:00:00:06:07",
            &ethernet(1, 7),
            &ethernet(7, 1),
            Some(gre(&four)),
        ),
        case(
            Carrier::InnerEthernetDst,
            "02:00:00:00:05:07",
            &ethernet(7, 1),
            &ethernet(1, 7),
            Some(gre(&six)),
        ),
        case(
            Carrier::InnerIpv4Src,
            "192.0.2.1",
            &gre(&four),
            &geneve(&four.turned()),
            Some(no_tunnel.clone()),
        ),
        case(Carrier::InnerIpv4Dst, "198.51.100.7", &geneve(&four), &gtpu(&four.turned()), Some(ip(&six))),
        case(Carrier::InnerIpv6Src, "2001:db8:77::3", &gtpu(&six), &ip(&six.turned()), Some(gre(&four))),
        case(Carrier::InnerIpv6Dst, "2001:db8:88::9", &ip(&six), &gre(&six.turned()), Some(gtpu(&four))),
        case(Carrier::InnerIpSrc, "mine", &ip(&mine), &gre(&mine.turned()), Some(ip(&six))),
        case(Carrier::InnerIpDst, "mine", &gre(&mine.turned()), &geneve(&mine), Some(mine.clone())),
        case(
            Carrier::InnerIpDscp,
            "34",
            &dscp(&six, 34),
            &dscp(&four, 35),
            Some(Packet { dscp: 34, ..four.clone() }),
        ),
        case(
            Carrier::InnerIpProtocol,
            "89",
            &carries(89),
            &carries(103),
            Some(Packet { transport: Transport::Other(89), ..four.clone() }),
        ),
        case(
            Carrier::InnerL4SrcPort,
            "1111",
            &ports(1111, 2, Transport::Udp),
            &ports(2, 1111, Transport::Udp),
            Some(ping.clone()),
        ),
        case(
            Carrier::InnerL4DstPort,
            "443",
            &ports(1, 443, Transport::Tcp(ACK)),
            &ports(443, 1, Transport::Sctp),
            Some(ping),
        ),
    ]
}

#[test]
fn every_carrier_is_read_where_it_is() {
    let cases = [in_outer_headers(), in_tunnel_headers(), in_payloads(), inside()].concat();
    assert_eq!(cases.iter().map(|case| case.carrier).collect::<Vec<_>>(), Carrier::ALL);
    for Case { carrier, value, with, other, without, parameters } in cases {
        let name = carrier.name();
        let table = carrier.needs_table();
        let parameters = if table { "table: blocks" } else { parameters };
        let comma = if parameters.is_empty() { "" } else { ", " };
        table_of(
            &policy(&format!("from: {name}{comma}{parameters}"), value, table),
            |image| {
                if carrier == Carrier::ShimKey {
                    verifying(image);
                }
            },
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
