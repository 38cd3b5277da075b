//! The builder against another project's parser.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;

/// Another project's parser understands what is built here.
#[test]
fn packets_are_what_they_say() {
    for (source, destination) in [("10.1.2.3", "203.0.113.9"), ("2001:db8:1::3", "2001:db8:10::9")] {
        let plain = Packet { dscp: 34, ports: (1111, 443), ..Packet::between(source, destination) };
        let six = plain.destination.is_ipv6();
        for packet in [
            plain.clone(),
            Packet { tags: vec![(0x88a8, 5), (0x8100, 6)], ..plain.clone() },
            Packet { transport: Transport::Tcp(SYN), payload: 0, ..plain.clone() },
            Packet { options: 3, extensions: vec![(0, 0), (60, 2), (AUTHENTICATION, 4)], ..plain.clone() },
            Packet { fragment: Some((0, false)), ..plain.clone() },
            plain.error(plain.source, if six { 1 } else { 3 }),
        ] {
            let frame = packet.bytes();
            let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
            assert_eq!(parsed.vlan_ids().len(), packet.tags.len());
            match parsed.net {
                Some(NetSlice::Ipv4(ip)) => {
                    assert_eq!(IpAddr::V4(ip.header().source_addr()), packet.source);
                    assert_eq!(usize::from(ip.header().total_len()), packet.ip().len());
                }
                Some(NetSlice::Ipv6(ip)) => {
                    assert_eq!(IpAddr::V6(ip.header().source_addr()), packet.source);
                    assert_eq!(usize::from(ip.header().payload_length()) + 40, packet.ip().len());
                }
                other => panic!("{packet:?}: {other:?}"),
            }
            match (&packet.transport, parsed.transport) {
                (Transport::Udp, Some(TransportSlice::Udp(udp))) => {
                    assert_eq!((udp.source_port(), udp.destination_port()), (1111, 443));
                }
                (Transport::Tcp(_), Some(TransportSlice::Tcp(tcp))) => assert!(tcp.syn() && !tcp.ack()),
                (Transport::Error(..), Some(TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_))) => {}
                (_, other) => panic!("{packet:?}: {other:?}"),
            }
        }
    }
}
