//! The frames that rows begin with: 60 bytes for IPv4, 74 for IPv6, as small as they get.

use std::ops::Range;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Offset of the IPv4 header.
pub(crate) const HEADER4: u32 = 14;
/// Offset of the IPv4 source address, and of the source port behind it.
pub(crate) const SOURCE4: u32 = 26;
pub(crate) const PORT4: u32 = 34;
/// The same of the destination, which is what varies in answers.
pub(crate) const DESTINATION4: u32 = 30;
pub(crate) const DESTINATION_PORT4: u32 = 36;
/// The same for IPv6: the second word of the source address, where tenants differ.
pub(crate) const SOURCE6: u32 = 26;
pub(crate) const PORT6: u32 = 54;
/// The last word of the IPv6 destination address.
pub(crate) const DESTINATION6_LAST: u32 = 50;

fn frame(ether_type: u16, rest: &[u8], length: usize) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    frame.extend(ether_type.to_be_bytes());
    frame.extend(rest);
    frame.resize(length, 0);
    frame
}

/// Whom questions come from.
const CLIENT4: [u8; 4] = [10, 0, 0, 0];
/// The ports of client and service.
const CLIENT_PORT: [u8; 2] = [4, 0];
const SERVICE_PORT: [u8; 2] = [1, 0xbb];

/// An IPv4 packet of 46 bytes from 10.0.0.0.
pub(crate) fn ipv4(protocol: u8, destination: [u8; 4], dscp: u8) -> Vec<u8> {
    with_dscp(between4(protocol, (CLIENT4, CLIENT_PORT), (destination, SERVICE_PORT)), dscp)
}

/// What answers it from `source`.
pub(crate) fn answer4(protocol: u8, source: [u8; 4]) -> Vec<u8> {
    between4(protocol, (source, SERVICE_PORT), (CLIENT4, CLIENT_PORT))
}

/// An IPv4 packet from one address and port to another.
fn between4(protocol: u8, from: ([u8; 4], [u8; 2]), to: ([u8; 4], [u8; 2])) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 46, 0, 1, 0, 0, 60, protocol, 0, 0];
    ip.extend([from.0, to.0].concat());
    ip.extend([from.1, to.1].concat());
    ip.extend(match protocol {
        6 => &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0][..],
        _ => &[0, 26, 0, 0],
    });
    frame(0x0800, &ip, 60)
}

/// An IPv4 packet with another code point.
pub(crate) fn with_dscp(mut frame: Vec<u8>, dscp: u8) -> Vec<u8> {
    frame[HEADER4 as usize + 1] = dscp << 2;
    frame
}

/// A frame as it leaves for the MAC address of the policies' shards: by the loopback, whose own is zero.
pub(crate) fn steered_to(mut frame: Vec<u8>) -> Vec<u8> {
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 0xa, 0, 0, 0, 0, 0, 0]);
    frame
}

/// One of these frames with its checksums (RFC 1071), which are left out where nothing follows them.
pub(crate) fn summed(mut frame: Vec<u8>) -> Vec<u8> {
    let (header, addresses, protocol) = match frame[14] >> 4 {
        4 => (20, 26..34, frame[23]),
        _ => (40, 22..54, frame[20]),
    };
    if header == 20 {
        put_sum(&mut frame, 24, 14..34, 0);
    }
    let transport = 14 + header..if header == 20 { 60 } else { 74 };
    let pseudo = u64::from(protocol) + transport.len() as u64 + words(&frame[addresses]);
    let at = transport.start + if protocol == 6 { 16 } else { 6 };
    put_sum(&mut frame, at, transport, pseudo);
    frame
}

/// Puts the checksum over `range`, and what is added to it, at `at`.
fn put_sum(frame: &mut [u8], at: usize, range: Range<usize>, also: u64) {
    frame[at..at + 2].fill(0);
    let mut sum = also + words(&frame[range]);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// The sum of the big-endian words of an even number of bytes.
fn words(bytes: &[u8]) -> u64 {
    bytes.as_chunks().0.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum()
}

/// An IPv6 UDP packet of 60 bytes from 2001:db8::.
pub(crate) fn ipv6(destination: [u8; 16]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, 20, 17, 60];
    ip.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    ip.extend(destination);
    ip.extend([4, 0, 1, 0xbb, 0, 20, 0, 0]);
    frame(0x86dd, &ip, 74)
}

/// An ARP request.
pub(crate) fn arp() -> Vec<u8> {
    frame(0x0806, &[0, 1, 8, 0, 6, 4, 0, 1], 60)
}

/// The frame with an 802.1Q tag.
pub(crate) fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend([0x81, 0]);
    tagged.extend(vlan.to_be_bytes());
    tagged.extend(&frame[12..]);
    tagged
}

/// The service's address.
pub(crate) const SERVICE4: [u8; 4] = [203, 0, 113, 10];
/// The same for IPv6.
pub(crate) const SERVICE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
