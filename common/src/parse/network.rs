//! IPv4 (RFC 791) and the fixed IPv6 header (RFC 8200).

use core::mem::offset_of;

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::access::{Packet, Pos, Wire};
use crate::headers::{Headers, found};
use crate::parse::link::ETHER_TYPE_IPV4;
use crate::vocabulary::Fault;

// SAFETY: `repr(C)`, made of `u8` and byte arrays alone: no padding, no invalid pattern, alignment 1.
unsafe impl Wire for Ipv4Hdr {}
// SAFETY: as above.
unsafe impl Wire for Ipv6Hdr {}

const _: () = assert!(size_of::<Ipv4Hdr>() == 20 && align_of::<Ipv4Hdr>() == 1);
const _: () = assert!(size_of::<Ipv6Hdr>() == 40 && align_of::<Ipv6Hdr>() == 1);

/// "More fragments" and the fragment offset (RFC 791); reserved and "don't fragment" left out.
pub(super) const FRAGMENT_BITS: u16 = 0x3fff;
/// The fragment offset alone.
pub(super) const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Fills what the IP header at `at` says. False when its destination cannot be read or believed
/// (cut off, or another version): then it is foreign. A fault found later leaves the destination good.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P, headers: &mut Headers, at: Pos) -> bool {
    headers.l3 = at.store();
    if headers.ether_type == ETHER_TYPE_IPV4 {
        ipv4(packet, headers, at).is_some()
    } else {
        ipv6(packet, headers, at).is_some()
    }
}

#[inline(always)]
fn ipv4<P: Packet>(packet: &P, headers: &mut Headers, at: Pos) -> Option<()> {
    let ip = packet.load::<Ipv4Hdr>(at, 0)?;
    if ip.vihl >> 4 != 4 {
        return None;
    }
    headers.source = packet.advance(at, offset_of!(Ipv4Hdr, src_addr))?.store();
    headers.destination = packet.advance(at, offset_of!(Ipv4Hdr, dst_addr))?.store();
    headers.protocol = ip.proto;
    headers.dscp = ip.tos >> 2;
    headers.set(found::IPV4 | found::PROTOCOL);

    let header_length = ((ip.vihl & 0x0f) as usize) << 2;
    let total_length = u16::from_be_bytes(ip.tot_len) as usize;
    if u16::from_be_bytes(ip.frags) & FRAGMENT_BITS != 0 {
        headers.set(found::FRAGMENT);
    }
    if header_length < Ipv4Hdr::LEN || total_length < header_length {
        headers.fail(Fault::Ipv4HeaderLength);
    } else if beyond_frame(packet, at, total_length) {
        headers.fail(Fault::IpLength);
    }
    match packet.advance(at, header_length) {
        Some(l4) => headers.l4 = l4.store(),
        None => headers.fail(Fault::TransportCut),
    }
    Some(())
}

#[inline(always)]
fn ipv6<P: Packet>(packet: &P, headers: &mut Headers, at: Pos) -> Option<()> {
    let ip = packet.load::<Ipv6Hdr>(at, 0)?;
    let first: [u8; 2] = packet.load::<[u8; 2]>(at, 0)?;
    if first[0] >> 4 != 6 {
        return None;
    }
    headers.source = packet.advance(at, offset_of!(Ipv6Hdr, src_addr))?.store();
    headers.destination = packet.advance(at, offset_of!(Ipv6Hdr, dst_addr))?.store();
    headers.protocol = ip.next_hdr;
    // Version 4 bits, traffic class 8, flow label 20; the DSCP is the top six of the class.
    headers.dscp = (first[0] & 0x0f) << 2 | first[1] >> 6;
    headers.set(found::IPV6);

    let payload_length = u16::from_be_bytes(ip.payload_len) as usize;
    // A length of 0 is a jumbogram (RFC 2675) or a GSO packet above 64 KiB.
    if payload_length != 0 && beyond_frame(packet, at, Ipv6Hdr::LEN + payload_length) {
        headers.fail(Fault::IpLength);
    }
    match packet.advance(at, Ipv6Hdr::LEN) {
        Some(l4) => headers.l4 = l4.store(),
        None => headers.fail(Fault::TransportCut),
    }
    Some(())
}

/// Whether `length` bytes from `at` reach past the frame. The whole frame's length is only asked for
/// when its linear part does not settle it.
#[inline(always)]
fn beyond_frame<P: Packet>(packet: &P, at: Pos, length: usize) -> bool {
    let end = at.get() + length;
    end > packet.linear_len() && end > packet.frame_len()
}
