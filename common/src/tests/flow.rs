//! What must share a flow hash does: a datagram's fragments, and an ICMP error with its flow.

use crate::select::flow;
use crate::slice::Frame;

use super::world::{CLIENT, CLIENT6, IPV4, IPV6, SERVICE, SERVICE6, UDP, framed, headers, ipv4, ipv6, udp};

const SECRET: [u64; 2] = [0x1234, 0x5678];

fn hash(mut frame: Vec<u8>) -> u32 {
    let headers = headers(&mut frame);
    flow(&Frame::new(&mut frame, 3), SECRET, &headers)
}

fn fragment4(bits: [u8; 2]) -> u32 {
    let mut ip = ipv4(UDP, CLIENT, SERVICE, &udp(1111, 443, 8));
    ip[6..8].copy_from_slice(&bits);
    hash(framed(IPV4, &ip))
}

#[test]
fn fragments_of_a_datagram_meet() {
    assert_eq!(fragment4([0x20, 0]), fragment4([0x20, 2]));
    assert_eq!(fragment4([0x20, 0]), fragment4([0, 4]));
    let six = |bits: [u8; 2]| {
        let mut payload = vec![UDP, 0, bits[0], bits[1], 0, 0, 0, 9];
        payload.extend(udp(1111, 443, 8));
        hash(framed(IPV6, &ipv6(44, CLIENT6, SERVICE6, &payload)))
    };
    assert_eq!(six([0, 1]), six([0, 9]));
    assert_eq!(six([0, 1]), six([0, 16]));
}

#[test]
fn ports_tell_flows_apart() {
    let whole = |port| hash(framed(IPV4, &ipv4(UDP, CLIENT, SERVICE, &udp(port, 443, 8))));
    assert_ne!(whole(1111), whole(1112));
    assert_ne!(whole(1111), fragment4([0x20, 0]));
}

#[test]
fn an_error_follows_its_flow() {
    let flow4 = hash(framed(IPV4, &ipv4(UDP, CLIENT, SERVICE, &udp(1111, 443, 8))));
    let mut icmp = vec![3, 4, 0, 0, 0, 0, 5, 0];
    icmp.extend(ipv4(UDP, SERVICE, CLIENT, &udp(443, 1111, 0)));
    assert_eq!(hash(framed(IPV4, &ipv4(1, [192, 0, 2, 1], SERVICE, &icmp))), flow4);

    let flow6 = hash(framed(IPV6, &ipv6(UDP, CLIENT6, SERVICE6, &udp(1111, 443, 8))));
    let mut icmp = vec![2, 0, 0, 0, 0, 0, 5, 0];
    icmp.extend(ipv6(UDP, SERVICE6, CLIENT6, &udp(443, 1111, 0)));
    let router = [0xfe; 16];
    assert_eq!(hash(framed(IPV6, &ipv6(58, router, SERVICE6, &icmp))), flow6);
}

#[test]
fn an_error_follows_its_fragmented_flow() {
    let mut quoted = ipv4(UDP, SERVICE, CLIENT, &udp(443, 1111, 0));
    quoted[6] = 0x20;
    let mut icmp = vec![11, 1, 0, 0, 0, 0, 0, 0];
    icmp.extend(quoted);
    assert_eq!(hash(framed(IPV4, &ipv4(1, [192, 0, 2, 1], SERVICE, &icmp))), fragment4([0x20, 0]));
}
