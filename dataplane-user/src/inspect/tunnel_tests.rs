//! Traffic in tunnels: what is counted, and what is proposed.

use keysteer_common::carrier::Carrier;

use super::{fields, inspect, of, proposed};
use crate::explain::flow;

/// A datagram to a port of a tunnel's end, with so many bytes of payload.
fn datagram(sender: u8, port: u16, payload: Vec<u8>) -> flow::Packet {
    let mut packet = flow::Packet::new([198, 51, 100, sender].into(), [192, 0, 2, 1].into());
    packet.protocol = 17;
    packet.ports = (50_000 + u16::from(sender), port);
    packet.payload = payload;
    packet
}

/// A frame inside a tunnel.
fn inner(last: u8) -> Vec<u8> {
    let mut packet = flow::Packet::new([10, 8, 0, last].into(), [10, 9, 0, 1].into());
    packet.ports.1 = 53;
    packet.frame().unwrap()
}

fn frame(packet: &flow::Packet) -> Vec<u8> {
    packet.frame().unwrap()
}

fn vxlan(n: u8, vni: u8) -> Vec<u8> {
    frame(&datagram(n, 4789, [&[0x08, 0, 0, 0, 0, 0x13, vni, 0], inner(n).as_slice()].concat()))
}

/// With an option of class 258 and type 3.
fn geneve(n: u8, vni: u8, data: [u8; 4]) -> Vec<u8> {
    let header = [&[2, 0, 0x65, 0x58, 0, 0, vni, 0, 1, 2, 3, 1][..], &data].concat();
    frame(&datagram(n, 6081, [header, inner(n)].concat()))
}

#[test]
fn a_networks_identifier_comes_first() {
    let report = inspect((0..40).map(|n| vxlan(n, n % 4))).report();
    let vni = of(&report, Carrier::VxlanVni);
    assert_eq!((vni.packets, vni.values, vni.lacking), (40, 4, 0.0));
    assert_eq!(of(&report, Carrier::InnerIpv4Src).values, 40);
    assert_eq!(of(&report, Carrier::InnerIpSrc).top[0].value, "10.8.0.0");
    assert_eq!(of(&report, Carrier::InnerL4DstPort).top[0].value, "53");
    assert_eq!(of(&report, Carrier::InnerEthernetSrc).values, 1);
    let policy = proposed(&report);
    assert_eq!(fields(&policy), [("tenant", Carrier::VxlanVni, false)]);
    assert_eq!(policy.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>()[0], "vni-4864");
    assert_eq!(report.proposal.because[1], "tenant: vxlan.vni: 100 % of the packets have it, with 4 values");
    // One network tells nobody apart.
    let one = proposed(&inspect((0..40).map(|n| vxlan(n, 1))).report());
    assert_ne!(fields(&one)[0].1, Carrier::VxlanVni);
}

#[test]
fn an_option_tells_apart_where_no_identifier_does() {
    let report = inspect((0..40).map(|n| geneve(n, 9, [0, 0, 7, n % 3]))).report();
    let options = of(&report, Carrier::GeneveOption);
    assert_eq!((options.values, options.top[0].value.as_str()), (1, "class 258 type 3"));
    let option = report.carriers.iter().find(|row| row.option.is_some()).unwrap();
    assert_eq!((option.option.as_deref(), option.bits, option.values), (Some("class 258 type 3"), 32, 3));
    assert_eq!(option.top[0].value, "0x00000700");
    let policy = proposed(&report);
    let field = &policy.schemas[0].fields[0];
    assert_eq!((field.source().as_str(), field.bits), ("geneve.option class 258 type 3", 32));
    assert_eq!(policy.keys.iter().map(|key| key.key).collect::<Vec<_>>(), [0x700, 0x701, 0x702]);

    let report = inspect((0..40).map(|n| {
        let mut packet = flow::Packet::new([198, 51, 100, n].into(), [192, 0, 2, 1].into());
        packet.ports.1 = 443;
        packet.tcp_options = vec![2, 4, 5, 0xb4, 253, 6, 0x12, 0x34, 9, n % 2, 0, 0];
        frame(&packet)
    }));
    let report = report.report();
    assert_eq!(of(&report, Carrier::TcpOption).top[0].value, "kind 253 experiment 4660");
    let policy = proposed(&report);
    assert_eq!(policy.schemas[0].fields[0].source(), "tcp.option kind 253 experiment 4660");
}

#[test]
fn labels_are_seen_and_what_is_behind_them() {
    let report = inspect((0..40_u8).map(|n| {
        let mut packet = datagram(n, 53, vec![0; 20]);
        packet.below = Some((0x8847, vec![0, 0, 0x10 + (n % 2) * 0x10, 64, 0, 0, 0x21, 64]));
        frame(&packet)
    }));
    let report = report.report();
    assert_eq!((report.ip, of(&report, Carrier::MplsLabel).values), (40, 2));
    assert_eq!(fields(&proposed(&report)), [("tenant", Carrier::MplsLabel, false)]);
}

#[test]
fn connection_ids_and_shims_are_seen_where_they_are() {
    let id = |n: u8| [&[0x40, 0x20, n, 3, 4, 5, 6, 7, 8][..], &[0; 20]].concat();
    let quic = inspect((0..10).map(|n| frame(&datagram(n, 443, id(n))))).report();
    assert_eq!(of(&quic, Carrier::QuicDcid).top[0].value, "0x20000304");
    assert_eq!(of(&quic, Carrier::ShimKey).packets, 0);
    let shim = |n: u8| [[0x13, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, n], [9; 8]].concat();
    let report = inspect((0..10).map(|n| frame(&datagram(n, 7000, shim(n))))).report();
    let keys = of(&report, Carrier::ShimKey);
    assert_eq!((keys.packets, keys.values, keys.top[0].value.as_str()), (10, 10, "0x0000000000000000"));
    // What only begins like one is none.
    let other = |n: u8| [&[0x13, 0, 0, 1, 7, 0, 0, n][..], &[0; 16]].concat();
    let report = inspect((0..10).map(|n| frame(&datagram(n, 7000, other(n))))).report();
    assert_eq!(of(&report, Carrier::ShimKey).packets, 0);
    // A port is no proof: what is too short for a tunnel is an ordinary datagram.
    let report = inspect([frame(&datagram(1, 4789, vec![8]))]).report();
    assert_eq!((report.malformed, of(&report, Carrier::VxlanVni).packets), (0, 0));
}
