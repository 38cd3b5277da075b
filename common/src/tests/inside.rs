//! What is beyond the outer headers: labels, tunnels, options, and the packet inside.

use crate::access::Packet;
use crate::carrier::{Carrier, read_deep};
use crate::config::{ANY_ROTATION, Config, FieldConfig, Ports, reads};
use crate::headers::{Headers, found};
use crate::inside::{Inside, within};
use crate::look::facts_of;
use crate::slice::Frame;
use crate::vocabulary::Fault;

use super::world::{CLIENT, CLIENT6, SERVICE, SERVICE6, UDP, framed, ipv4, ipv6};

/// Reads everything, at the ports that everybody uses.
fn config() -> Config {
    Config { reads: reads::ALL, ports: Ports::IANA, quic_length: 4, ..Config::ZERO }
}

fn facts(frame: &[u8]) -> (Headers, Inside) {
    facts_of(&Frame::new(&mut frame.to_vec(), 3), &config())
}

/// A field of a carrier; of one of many bytes its first four.
fn field(carrier: Carrier, which: u32) -> FieldConfig {
    let length = if carrier.is_variable() { 4 } else { 0 };
    FieldConfig { carrier: carrier as u8, which, length, ..FieldConfig::default() }
}

fn read_field(frame: &[u8], field: &FieldConfig) -> Option<u128> {
    let (headers, mut inside) = facts(frame);
    assert_eq!(headers.fault, Fault::None as u8, "{headers:?}");
    let packet = Frame::new(&mut frame.to_vec(), 3).linear_len();
    assert_eq!(packet, frame.len());
    let mut bytes = frame.to_vec();
    let value = read_deep(&Frame::new(&mut bytes, 3), &headers, &mut inside, &Ports::IANA, field)?;
    Some(u128::from(value[0]) << 64 | u128::from(value[1]))
}

fn read(frame: &[u8], carrier: Carrier) -> Option<u128> {
    read_field(frame, &field(carrier, if carrier == Carrier::QuicDcid { ANY_ROTATION } else { 0 }))
}

/// A UDP datagram to a port of the service.
fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut udp = 50_000_u16.to_be_bytes().to_vec();
    udp.extend(port.to_be_bytes());
    udp.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    framed(0x0800, &ipv4(UDP, CLIENT, SERVICE, &udp))
}

/// An IPv4 packet inside: UDP from 192.0.2.1 port 1,000 to 192.0.2.2 port 2,000, with DSCP 34.
fn inner() -> Vec<u8> {
    ipv4(UDP, [192, 0, 2, 1], [192, 0, 2, 2], &super::world::udp(1000, 2000, 4))
}

fn bridged() -> Vec<u8> {
    framed(0x0800, &inner())
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The carriers of [`inner`].
fn assert_inner(frame: &[u8]) {
    assert_eq!(read(frame, Carrier::InnerIpv4Src), Some(0xc000_0201));
    assert_eq!(read(frame, Carrier::InnerIpDst), Some(0xc000_0202));
    assert_eq!(read(frame, Carrier::InnerIpProtocol), Some(17));
    assert_eq!(read(frame, Carrier::InnerIpDscp), Some(34));
    assert_eq!(read(frame, Carrier::InnerL4SrcPort), Some(1000));
    assert_eq!(read(frame, Carrier::InnerL4DstPort), Some(2000));
    assert_eq!(read(frame, Carrier::InnerIpv6Src), None);
}

#[test]
fn vxlan_has_a_network_a_policy_and_a_frame() {
    let frame = datagram(4789, &joined(&[&[0x88, 0, 0, 9, 0, 1, 2, 0], &bridged()]));
    assert_eq!(read(&frame, Carrier::VxlanVni), Some(0x0000_0102));
    assert_eq!(read(&frame, Carrier::VxlanPolicy), Some(9));
    assert_eq!(read(&frame, Carrier::InnerEthernetDst), Some(0x0200_0000_0002));
    assert_eq!(read(&frame, Carrier::InnerEthernetSrc), Some(0x0200_0000_0001));
    assert_inner(&frame);
    let without = datagram(4789, &joined(&[&[0, 0, 0, 9, 0, 1, 2, 0], &bridged()]));
    assert_eq!(read(&without, Carrier::VxlanVni), None, "the identifier is not valid");
    let elsewhere = datagram(4790, &joined(&[&[8, 0, 0, 0, 0, 1, 2, 0], &bridged()]));
    assert_eq!(read(&elsewhere, Carrier::VxlanVni), None);
}

#[test]
fn geneve_options_are_told_apart_by_class_and_type() {
    let options = [&[1, 2, 3, 1, 9, 9, 9, 9][..], &[1, 2, 4, 2, 0, 0, 0, 5, 6, 6, 6, 6]].concat();
    let frame = datagram(6081, &joined(&[&[5, 0, 0x65, 0x58, 0, 0, 7, 0], &options, &bridged()]));
    assert_eq!(read(&frame, Carrier::GeneveVni), Some(7));
    let option = |which| read_field(&frame, &field(Carrier::GeneveOption, which));
    assert_eq!(option(0x0001_0203), Some(0x0909_0909));
    assert_eq!(option(0x0001_0204), Some(5));
    assert_eq!(option(0x0001_0205), None);
    let far = FieldConfig { from: 4, length: 8, ..field(Carrier::GeneveOption, 0x0001_0204) };
    assert_eq!(read_field(&frame, &far), None, "four of the eight bytes are another header's");
    assert_inner(&frame);
}

#[test]
fn gre_keys_are_behind_a_checksum_that_is_there() {
    let gre = |header: &[u8]| framed(0x0800, &ipv4(47, CLIENT, SERVICE, &joined(&[header, &inner()])));
    let plain = gre(&[0x20, 0, 8, 0, 0, 0, 0, 5]);
    assert_eq!(read(&plain, Carrier::GreKey), Some(5));
    assert_inner(&plain);
    let all = gre(&[0xb0, 0, 8, 0, 1, 1, 0, 0, 0, 0, 0, 6, 0, 0, 0, 7]);
    assert_eq!(read(&all, Carrier::GreKey), Some(6));
    assert_inner(&all);
    assert_eq!(read(&gre(&[0, 0, 8, 0]), Carrier::GreKey), None);
    assert_eq!(read(&gre(&[0x20, 1, 0x88, 0x0b, 0, 0, 0, 5]), Carrier::GreKey), None, "version 1");
}

#[test]
fn gtpu_extension_headers_are_passed() {
    let frame = datagram(
        2152,
        &joined(&[&[0x34, 255, 0, 0, 0, 0, 0, 5, 0, 1, 0, 0x85, 1, 0, 9, 0xc0, 1, 1, 1, 0], &inner()]),
    );
    assert_eq!(read(&frame, Carrier::GtpuTeid), Some(5));
    assert_inner(&frame);
    let echo = datagram(2152, &[0x32, 1, 0, 4, 0, 0, 0, 8, 0, 1, 0, 0]);
    assert_eq!(read(&echo, Carrier::GtpuTeid), Some(8));
    assert_eq!(read(&echo, Carrier::InnerIpSrc), None);
}

#[test]
fn service_headers_are_read_over_gre_and_below_ip() {
    let nsh = [&[0x0f, 0xc6, 1, 1, 0, 0, 5, 255][..], &[3; 16]].concat();
    let over = framed(0x0800, &ipv4(47, CLIENT, SERVICE, &joined(&[&[0, 0, 0x89, 0x4f], &nsh, &inner()])));
    let below = framed(0x894f, &joined(&[&nsh, &inner()]));
    for frame in [over, below] {
        assert_eq!(read(&frame, Carrier::NshSpi), Some(5));
        assert_eq!(read(&frame, Carrier::NshContext), Some(u128::from_be_bytes([3; 16])));
        assert_inner(&frame);
    }
}

#[test]
fn a_service_header_says_what_follows_it() {
    let below =
        |next: u8| framed(0x894f, &joined(&[&[0x0f, 0xc6, 1, next, 0, 0, 5, 255], &[3; 16], &inner()]));
    assert!(facts(&below(1)).0.has(found::IPV4));
    for other in [2, 4, 5, 6] {
        assert!(!facts(&below(other)).0.has(found::IPV4), "next protocol {other}");
    }
}

#[test]
fn the_label_is_the_one_on_top() {
    let stack = [0, 0x01, 0x20, 64, 0, 0, 0x21, 64];
    let frame =
        framed(0x8847, &joined(&[&stack, &ipv6(UDP, CLIENT6, SERVICE6, &super::world::udp(1, 2, 0))]));
    assert_eq!(read(&frame, Carrier::MplsLabel), Some(0x12));
    assert_eq!(read(&frame, Carrier::EthernetType), Some(0x8847));
    assert_eq!(read(&frame, Carrier::L4DstPort), Some(2));
    let endless = framed(0x8847, &[0, 0, 0x10, 64].repeat(9));
    assert_eq!(facts(&endless).1.found & within::MPLS, 0);
}

#[test]
fn connection_ids_are_of_their_own_length_or_the_declared_one() {
    let long = datagram(443, &[0xc0, 0, 0, 0, 1, 5, 0x40, 2, 3, 4, 5, 0, 0]);
    assert_eq!(read(&long, Carrier::QuicDcid), Some(0x4002_0304));
    let short = datagram(443, &[0x40, 0x21, 2, 3, 4, 0, 0]);
    assert_eq!(read(&short, Carrier::QuicDcid), Some(0x2102_0304));
    let of = |rotation| read_field(&short, &field(Carrier::QuicDcid, rotation));
    assert_eq!((of(1), of(2)), (Some(0x2102_0304), None));
    let (headers, _) = facts(&datagram(443, &[0xc0, 0, 0, 0, 1, 9, 1]));
    assert_eq!(headers.fault, Fault::TunnelCut as u8);
}

#[test]
fn tcp_options_are_found_behind_padding_and_others() {
    let mut tcp = vec![0xc3, 0x50, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0xa0, 0x10, 1, 0, 0, 0, 0, 0];
    tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 253, 8, 0x12, 0x34, 0, 0, 0, 5]);
    let frame = framed(0x0800, &ipv4(6, CLIENT, SERVICE, &tcp));
    let option = |which| read_field(&frame, &field(Carrier::TcpOption, which));
    assert_eq!(option(253 << 16 | 0x1234), Some(5));
    assert_eq!(option(253 << 16 | 0x1235), None);
    assert_eq!(option(8 << 16), Some(1));
    assert_eq!(option(30 << 16), None);
}

#[test]
fn what_is_behind_the_datagram_is_not_read() {
    let mut frame = datagram(6081, &[1, 0, 0x65, 0x58, 0, 0, 7, 0]);
    frame.extend([1, 2, 3, 0, 9, 9, 9, 9]);
    assert_eq!(facts(&frame).0.fault, Fault::TunnelCut as u8, "the option is in the padding");
}

#[test]
fn a_datagram_without_a_length_ends_with_its_frame() {
    // A connection id of 16 bytes, of which 4 are there.
    let payload = [0xc0, 0, 0, 0, 1, 16, 1, 2, 3, 4];
    let mut datagram = vec![0xc3, 0x50, 1, 0xbb, 0, 0, 0, 0];
    datagram.extend(payload);
    let mut frame = framed(0x86dd, &ipv6(UDP, CLIENT6, SERVICE6, &datagram));
    frame[18..20].copy_from_slice(&[0, 0]);
    assert_eq!(facts(&frame).0.fault, Fault::TunnelCut as u8);
}

#[test]
fn a_header_that_is_cut_off_is_a_fault() {
    let fault = |frame: &[u8]| facts(frame).0.fault;
    // A service header of 24 bytes, of which 12 are there; an authentication header behind the datagram.
    let nsh = [0x0f, 0xc6, 1, 1, 0, 0, 5, 255, 3, 3, 3, 3];
    let over = framed(0x0800, &ipv4(47, CLIENT, SERVICE, &joined(&[&[0, 0, 0x89, 0x4f], &nsh])));
    assert_eq!(fault(&over), Fault::TunnelCut as u8);
    let padded = joined(&[&ipv4(51, CLIENT, SERVICE, &[]), &[6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &[0; 40]]);
    assert_eq!(fault(&framed(0x0800, &padded)), Fault::ExtensionCut as u8);
}

#[test]
fn an_error_that_quotes_a_tunnel_is_of_its_tunnel() {
    // What the service sent: from its address, to the tunnel's port, with the packet inside from it.
    let mut udp = 50_000_u16.to_be_bytes().to_vec();
    udp.extend([0x12, 0xb5, 0, 0, 0, 0]);
    udp.extend(joined(&[&[8, 0, 0, 0, 0, 0, 5, 0], &bridged()]));
    let quoted = ipv4(UDP, SERVICE, CLIENT, &udp);
    let error = joined(&[&[3, 4, 0, 0, 0, 0, 5, 0], &quoted]);
    let frame = framed(0x0800, &ipv4(1, [192, 0, 2, 9], SERVICE, &error));
    assert!(facts(&frame).0.has(found::QUOTED));
    assert_eq!(read(&frame, Carrier::VxlanVni), Some(5));
    assert_eq!(read(&frame, Carrier::InnerIpv4Src), Some(0xc000_0202), "turned round");
    assert_eq!(read(&frame, Carrier::InnerL4SrcPort), Some(2000));
}
